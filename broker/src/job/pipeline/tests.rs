//! The engine of pipelines: Gopherbot's semantics as a table, and its limits.

use super::*;
use std::collections::BTreeMap;

/// What a task does: what it adds, and whether it ends well.
type Script = (Vec<(Kind, &'static str, bool)>, bool);

/// What it is about, the scripts, the order, and whether it ends well.
type Row = (&'static str, Vec<(&'static str, Script)>, &'static str, bool);

fn step(line: &'static str) -> (Kind, &'static str, bool) {
    (Kind::Step, line, false)
}

/// Runs a pipeline to its end. A task that is not listed adds nothing and ends well. Gives the order, and how it ended.
fn ran(scripts: &[(&'static str, Script)]) -> (Vec<String>, bool) {
    let scripts: BTreeMap<&str, &Script> = scripts.iter().map(|(name, script)| (*name, script)).collect();
    let mut pipeline = Pipeline::of(JobId(1));
    let (mut now, mut order) = ("begin".to_owned(), Vec::new());
    loop {
        order.push(now.clone());
        let mut well = true;
        if let Some((adds, ends)) = scripts.get(now.as_str()) {
            for (kind, line, own) in adds {
                pipeline.add(*kind, (*line).to_owned(), *own).expect("added");
            }
            well = *ends;
        }
        match pipeline.ended(well) {
            Next::Run(task, kind) => {
                pipeline.runs(&task, kind, JobId(u64::from(task.number) + 2));
                now = task.line;
            }
            Next::Over { well } => {
                assert!(pipeline.tasks().iter().all(|task| !matches!(task.state, State::Waits | State::Runs)));
                return (order, well);
            }
        }
    }
}

/// The table: what is added by whom, in which order it runs, and how the whole ends.
#[test]
fn tasks_run_in_gopherbots_order() {
    let finals = || vec![(Kind::Final, "f1", false), (Kind::Final, "f2", false)];
    let fails = || vec![(Kind::Fail, "x1", false), (Kind::Fail, "x2", false)];
    let all = || [vec![step("a"), step("b")], finals(), fails()].concat();
    let table: [Row; 10] = [
        ("nothing is added", vec![], "begin", true),
        (
            "the last one appends",
            vec![("begin", (vec![step("a")], true)), ("a", (vec![step("b")], true))],
            "begin a b",
            true,
        ),
        (
            "one that others wait for has its own before them",
            vec![("begin", (vec![step("a"), step("b")], true)), ("a", (vec![step("c"), step("d")], true))],
            "begin a c d b",
            true,
        ),
        ("final ones run last to first", vec![("begin", (all(), true))], "begin a b f2 f1", true),
        (
            "a failure ends what waits; those for failures run first to last, then the final ones",
            vec![("begin", (all(), true)), ("a", (vec![], false))],
            "begin a x1 x2 f2 f1",
            false,
        ),
        ("the job itself fails", vec![("begin", (all(), false))], "begin x1 x2 f2 f1", false),
        (
            "a final one that fails ends no other",
            vec![("begin", (all(), true)), ("f2", (vec![], false))],
            "begin a b f2 f1",
            false,
        ),
        (
            "the failure of a nested one is that of those around it",
            vec![
                ("begin", (all(), true)),
                ("a", (vec![step("c"), step("d")], true)),
                ("c", (vec![(Kind::Final, "cf", false), (Kind::Fail, "cx", false)], false)),
            ],
            "begin a c cx cf x1 x2 f2 f1",
            false,
        ),
        (
            "a job of its own has done everything before the next one",
            vec![
                ("begin", (vec![(Kind::Step, "job", true), step("b")], true)),
                ("job", (vec![step("c"), (Kind::Final, "jf", false)], true)),
            ],
            "begin job c jf b",
            true,
        ),
        (
            "what is added by one that fails is not run",
            vec![("begin", (vec![step("a")], true)), ("a", (vec![step("c"), (Kind::Final, "f", false)], false))],
            "begin a f",
            false,
        ),
    ];
    for (what, scripts, order, well) in table {
        let (ran, ended) = ran(&scripts);
        assert_eq!((ran.join(" ").as_str(), ended), (order, well), "{what}");
    }
}

#[test]
fn who_cleans_up_adds_nothing_and_nobody_adds_without_end() {
    let mut pipeline = Pipeline::of(JobId(1));
    pipeline.add(Kind::Final, "f".to_owned(), false).expect("added");
    let Next::Run(task, kind) = pipeline.ended(true) else { panic!("nothing runs") };
    pipeline.runs(&task, kind, JobId(2));
    assert!(pipeline.cleans_up());
    assert!(pipeline.add(Kind::Step, "a".to_owned(), false).is_err());
    assert_eq!(pipeline.ended(true), Next::Over { well: true });
    assert!(pipeline.add(Kind::Step, "a".to_owned(), false).is_err(), "it is over");

    let mut pipeline = Pipeline::of(JobId(1));
    for _ in 0..MOST_TASKS {
        pipeline.add(Kind::Step, "a".to_owned(), false).expect("added");
    }
    assert!(pipeline.add(Kind::Final, "f".to_owned(), false).is_err());

    let mut pipeline = Pipeline::of(JobId(1));
    for depth in 1.. {
        if pipeline.add(Kind::Step, "a".to_owned(), true).is_err() {
            assert_eq!(depth, DEEPEST);
            break;
        }
        let Next::Run(task, kind) = pipeline.ended(true) else { panic!("nothing runs") };
        pipeline.runs(&task, kind, JobId(2));
    }
}

#[test]
fn one_that_is_stopped_cleans_up() {
    let mut pipeline = Pipeline::of(JobId(1));
    for (kind, line) in [(Kind::Step, "a"), (Kind::Step, "b"), (Kind::Final, "f")] {
        pipeline.add(kind, line.to_owned(), false).expect("added");
    }
    let Next::Run(task, kind) = pipeline.ended(true) else { panic!("nothing runs") };
    pipeline.runs(&task, kind, JobId(2));
    pipeline.stop();
    // Also where the task that ran ended well before it was told.
    assert!(matches!(pipeline.ended(true), Next::Run(task, Kind::Final) if task.line == "f"));
    let states: Vec<State> = pipeline.tasks().iter().map(|task| task.state).collect();
    assert_eq!(states, [State::Done, State::Left, State::Runs]);
}

#[test]
fn it_comes_back_as_it_was() {
    let mut pipeline = Pipeline::of(JobId(1));
    pipeline.add(Kind::Step, "a".to_owned(), true).expect("added");
    pipeline.tags.push("web".to_owned());
    let stored = serde_json::to_string(&pipeline).expect("written");
    assert_eq!(serde_json::from_str::<Pipeline>(&stored).expect("read"), pipeline);
}
