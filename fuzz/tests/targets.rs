//! Each target for a while. `FUZZ_SECONDS` chooses how long, `FUZZ_SEED` repeats one input.

use bartizan_fuzz::engine::fuzz;
use bartizan_fuzz::targets::ALL;

macro_rules! fuzzed {
    ($($name:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            let target = ALL.iter().find(|target| target.name == stringify!($name)).expect("a target of that name");
            let inputs = fuzz(target);
            println!("{}: {inputs} inputs", target.name);
            assert!(inputs > 0);
        })*
    };
}

fuzzed! {
    frames, messages, config, allowlist, command, arguments, output, event, answers, markup, websocket, attested,
    control_frames, scrubber, order, script, transcript, audit_log, brain, receipt, signature,
    remote_order,
}

#[test]
fn every_target_is_run() {
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
}
