//! `bartizan top` at a terminal, over a running service.

use bartizan_tests::house::{House, Plan, programs};
use bartizan_tests::terminal::Terminal;

#[tokio::test(flavor = "current_thread")]
async fn top_shows_what_runs_stops_a_job_after_a_second_key_and_leaves_the_terminal_as_it_was() {
    let plan = Plan::default().bash("hold", "echo held; sleep 60", "timeout = \"60s\"").bash(
        "broken",
        "exit 7",
        "timeout = \"10s\"",
    );
    let house = House::build(plan).await;
    house.ask("carol", "ops", "!broken").await;
    let post = house.say("carol", "ops", "!hold");
    house.wait("a job that runs", || (house.jobs() == 2).then_some(())).await;

    let program = programs().join("bartizan");
    let socket = house.service.socket();
    let mut top = Terminal::start(&program, &["top"], &[("BARTIZAN_SOCKET", &socket)]);
    for shown in ["Processes", "connector", "hold", "errors", "broken"] {
        if !top.seen.contains(shown) {
            top.until(shown);
        }
    }
    top.keys("k");
    top.until("Stop");
    let jobs = house.operator(&["ps"]).await.output;
    assert!(jobs.contains("hold") && !jobs.contains("stopping"), "one key stops nothing: {jobs}");
    top.keys("y");
    top.until("stopping");
    house.wait("its end", || house.said(&post).iter().any(|said| said.contains("stopped")).then_some(())).await;
    top.keys("q");
    assert!(top.ended().success());
    assert!(top.seen.contains("\u{1b}[?1049h") && top.seen.contains("\u{1b}[?1049l"), "the screen is given back");

    // Once, for programs; and no terminal is no screen.
    let once = house.operator(&["top", "--json"]).await;
    assert!(once.output.contains("\"failed\"") && once.output.contains("broken"), "{}", once.output);
    let refused = house.operator(&["top"]).await;
    assert!(refused.output.contains("needs a terminal"), "{}", refused.output);
}
