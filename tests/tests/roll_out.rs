//! Twenty machines with a daemon of OpenSSH's each, a worker as the core orders it, and what goes wrong among them.

use bartizan_playground::service::hosts;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::Ending;
use bartizan_tests::house::{PATIENCE, programs, skip, stand};
use bartizan_tests::remote::{Fleet, Wish, name};
use std::time::Instant;

const DONE: Option<Ending> = Some(Ending::Ended(ExitStatus::Code(0)));
const FAILED: Option<Ending> = Some(Ending::Ended(ExitStatus::Code(1)));

/// So many machines; `None` where there can be none.
fn fleet(test: &str, count: u8) -> Option<Fleet> {
    stand();
    if let Some(why) = hosts::missing() {
        skip(test, &why);
        return None;
    }
    Some(Fleet::start(&programs(), count).expect("machines"))
}

/// Lines of the table that name these words.
fn lines<'a>(output: &'a str, words: &[&str]) -> Vec<&'a str> {
    output.lines().filter(|line| words.iter().all(|word| line.contains(word))).collect()
}

#[test]
fn twenty_machines_the_canary_first_and_each_with_its_own_order() {
    let Some(fleet) = fleet("twenty_machines", 20) else { return };
    let wish = Wish { canary: 1, fanout: 8, ..Wish::of("echo \"I am $TARGET\"") };
    let (ending, output) = fleet.roll_out(&wish).expect("it ran");
    assert_eq!(ending, DONE, "{output}");
    for n in 1..=20 {
        assert_eq!(
            lines(&output, &[&format!("| I am {}", name(n))]).iter().filter(|line| line.ends_with(&name(n))).count(),
            1,
            "{output}"
        );
    }
    assert!(output.starts_with("web-1 | I am web-1\n"), "the canary goes alone: {output}");
    assert!(output.contains("20 targets: 20 ok\n"), "{output}");
    // The key was in the job's memory only: what ssh was given of it is its public half.
    assert!(!output.contains("PRIVATE"));
}

#[test]
fn one_that_is_down_one_that_is_slow_and_one_that_is_somebody_else_do_not_hold_up_the_others() {
    let Some(fleet) = fleet("one_that_is_down", 6) else { return };
    fleet.hosts.does(&["down", "web-2"]).expect("down");
    fleet.hosts.does(&["slow", "web-3", "3"]).expect("slow");
    fleet.hosts.does(&["rekey", "web-4"]).expect("another host key");
    let (ending, output) = fleet.roll_out(&Wish::of("echo done; [ $TARGET != web-5 ] || exit 7")).expect("it ran");
    assert_eq!(ending, FAILED, "{output}");
    assert!(output.contains("6 targets: 3 ok, 1 failed, 1 unreachable, 1 wrong host key\n"), "{output}");
    for (machine, what) in [
        ("web-2", "unreachable: nobody answers there"),
        ("web-4", "wrong host key: its host key is not the pinned one: nothing was sent"),
        ("web-5", "failed: exit 7"),
    ] {
        assert_eq!(lines(&output, &[&format!("{machine} | {what}")]).len(), 1, "{machine}: {output}");
    }
    assert_eq!(lines(&output, &["web-3 | done"]).len(), 1, "{output}");
    assert_eq!(lines(&output, &["web-4 | done"]).len(), 0, "{output}");
}

#[test]
fn when_the_canary_fails_nobody_else_hears_of_it_and_after_two_failures_no_further_one() {
    let Some(fleet) = fleet("when_the_canary_fails", 5) else { return };
    let canary = Wish { canary: 1, ..Wish::of("echo here; [ $TARGET != web-1 ] || exit 1") };
    let (ending, output) = fleet.roll_out(&canary).expect("it ran");
    assert_eq!((ending, lines(&output, &["| here"]).len()), (FAILED, 1), "{output}");
    assert!(output.contains("5 targets: 1 failed, 4 not begun\n"), "{output}");
    let stop = Wish { fanout: 1, stop_after: 2, ..Wish::of("echo here; exit 1") };
    let (_, output) = fleet.roll_out(&stop).expect("it ran");
    assert!(output.contains("5 targets: 2 failed, 3 not begun\n"), "{output}");
}

#[test]
fn a_kill_in_the_middle_ends_the_jobs_on_the_machines() {
    let Some(fleet) = fleet("a_kill_in_the_middle", 4) else { return };
    let mark = format!("87{}", std::process::id());
    let mut running = fleet.begin(&Wish::of(&format!("echo runs; sleep {mark} & sleep {mark}"))).expect("begins");
    for n in 1..=4 {
        running.until(&format!("{} | runs", name(n))).expect("it runs");
    }
    let alive = || {
        let found = std::process::Command::new("pgrep").args(["-f", &format!("sleep {mark}")]).output().expect("pgrep");
        String::from_utf8_lossy(&found.stdout).lines().count()
    };
    let until = Instant::now() + PATIENCE;
    while alive() < 8 {
        assert!(Instant::now() < until, "{} of 8 run", alive());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    running.kill().expect("it ends");
    let until = Instant::now() + PATIENCE;
    while alive() > 0 {
        assert!(Instant::now() < until, "{} live on", alive());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_order_that_was_taken_from_the_wire_is_worth_nothing_a_second_time_or_elsewhere() {
    let Some(fleet) = fleet("an_order_that_was_taken", 2) else { return };
    let (ending, output) = fleet.roll_out(&Wish::of("echo first")).expect("it ran");
    assert_eq!(ending, DONE, "{output}");
    // Machines of another broker take none of these.
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    std::fs::write(fleet.hosts.path("", "broker.pub"), other).expect("written");
    let (ending, output) = fleet.roll_out(&Wish::of("echo second")).expect("it ran");
    assert_eq!(ending, FAILED);
    assert!(output.contains("2 targets: 2 refused") && !output.contains("| second"), "{output}");
}
