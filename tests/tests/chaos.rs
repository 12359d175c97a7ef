//! Kills at random moments and at the points of the core's turn, with the server's faults in all pairs (row 85): nothing is lost, nothing
//! doubled, nothing left running, and every answer explained.
//!
//! `BARTIZAN_CHAOS_RUNS`, `BARTIZAN_CHAOS_SEED` and `BARTIZAN_CHAOS_HOUSES` (on a machine with more cores) choose; `make chaos RUNS=10000 SEED=7` sets them. The last line is the verdict.

use bartizan_tests::chaos::{Count, run};
use bartizan_tests::house::stand;

/// Houses at once, each with its share of the runs.
const HOUSES: u64 = 3;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(otherwise, |text| text.parse().expect(name))
}

#[test]
fn row_85_in_chaos_nothing_is_lost_nothing_doubled_and_nothing_left_running() {
    stand();
    let (runs, seed) = (number("BARTIZAN_CHAOS_RUNS", 102), number("BARTIZAN_CHAOS_SEED", 5));
    let houses = number("BARTIZAN_CHAOS_HOUSES", HOUSES).max(1);
    println!("{runs} runs by seed {seed}, in {houses} houses");
    let in_house = |house: u64| {
        let share = runs / houses + u64::from(house < runs % houses);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            // Each share has a seed of its own, in which all of them are.
            runtime.block_on(run(seed.wrapping_mul(1_000_003).wrapping_add(house), share))
        })
    };
    let threads: Vec<_> = (0..houses).map(in_house).collect();
    let counts = threads.into_iter().map(|house| house.join().expect("a house that stands"));
    let count = counts.fold(Count::default(), Count::with);
    println!("{count}");
    assert!(count.is_clean(), "by seed {seed}: {count}");
}
