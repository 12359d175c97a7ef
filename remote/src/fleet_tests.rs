//! The rules of a roll-out, and that a thousand targets cost no more each than twenty.

use super::*;
use bartizan_proto::ids::TargetName;
use bartizan_proto::remote::SignedOrder;
use bartizan_proto::{Bytes, List, Text};
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn name(n: usize) -> TargetName {
    format!("web-{n}").parse().expect("a name")
}

fn target(n: usize) -> PlannedTarget {
    PlannedTarget {
        name: name(n),
        host: Text::cut("192.0.2.1"),
        port: 22,
        user: Text::cut("deploy"),
        key: "ssh/key".parse().expect("a name"),
        host_keys: List::default(),
        order: SignedOrder { format: 1, order: Bytes::default(), signature: Bytes::default() },
    }
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Report for Heard {
    fn line(&mut self, name: &str, line: &[u8]) {
        self.0.push(format!("{name} | {}", String::from_utf8_lossy(line)));
    }
    fn ended(&mut self, result: &HostResult, done: usize, all: usize) {
        self.0.push(format!("{} {} {done}/{all}", result.name, result.outcome.word()));
    }
}

fn result(name: TargetName, outcome: Outcome) -> HostResult {
    HostResult { name, outcome, exit: None, elapsed: Duration::ZERO, dropped: 0, given: Some(11) }
}

/// Visits that fail at these places; gives what became of each by the plan's order, and the most that ran at once.
fn rolled(rules: Rules, all: usize, bad: &[usize]) -> (Vec<&'static str>, usize) {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Mutex::new(Vec::new());
    let visit = |target: PlannedTarget, _tell: &SyncSender<Event>| {
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        begun.lock().expect("nobody panics").push(target.name.clone());
        thread::sleep(Duration::from_millis(3));
        running.fetch_sub(1, Ordering::SeqCst);
        let is_bad = bad.iter().any(|n| name(*n) == target.name);
        result(target.name, if is_bad { Outcome::Failed("exit 1".to_owned()) } else { Outcome::Done })
    };
    let targets = (0..all).map(|n| Ok::<_, Infallible>(target(n)));
    let results = roll_out(rules, all, targets, &visit, &mut Heard::default()).unwrap_or_else(|never| match never {});
    assert_eq!(results.len(), all, "each target stands in the end exactly once");
    let word = |n| results.iter().find(|result| result.name == name(n)).expect("each").outcome.word();
    ((0..all).map(word).collect(), most.into_inner())
}

#[test]
fn all_are_visited_and_never_more_at_once_than_may_be() {
    let (words, most) = rolled(Rules { fanout: 4, canary: 0, stop_after: 0 }, 20, &[3, 7]);
    assert_eq!(words.iter().filter(|word| **word == "ok").count(), 18);
    assert!(most <= 4, "{most}");
}

#[test]
fn when_a_canary_fails_nothing_else_is_begun() {
    let (words, _) = rolled(Rules { fanout: 10, canary: 2, stop_after: 0 }, 20, &[1]);
    assert_eq!(words[..2], ["ok", "failed"]);
    assert!(words[2..].iter().all(|word| *word == "not begun"), "{words:?}");
}

#[test]
fn canaries_go_alone_and_the_others_follow_when_they_did_it() {
    let order = Mutex::new(Vec::new());
    let visit = |target: PlannedTarget, _tell: &SyncSender<Event>| {
        order.lock().expect("nobody panics").push(format!("begins {}", target.name));
        thread::sleep(Duration::from_millis(3));
        order.lock().expect("nobody panics").push(format!("ends {}", target.name));
        result(target.name, Outcome::Done)
    };
    let rules = Rules { fanout: 8, canary: 1, stop_after: 1 };
    let targets = (0..5).map(|n| Ok::<_, Infallible>(target(n)));
    roll_out(rules, 5, targets, &visit, &mut Heard::default()).unwrap_or_else(|never| match never {});
    let order = order.into_inner().expect("nobody panics");
    assert_eq!(order[..2], ["begins web-0", "ends web-0"], "{order:?}");
    assert_eq!(order.len(), 10);
}

#[test]
fn after_so_many_failures_no_further_one_is_begun_and_what_runs_ends() {
    let (words, _) = rolled(Rules { fanout: 1, canary: 0, stop_after: 2 }, 10, &[1, 3, 5]);
    assert_eq!(
        words,
        ["ok", "failed", "ok", "failed", "not begun", "not begun", "not begun", "not begun", "not begun", "not begun"]
    );
    let (words, _) = rolled(Rules { fanout: 1, canary: 0, stop_after: 0 }, 10, &[1, 3, 5]);
    assert!(!words.contains(&"not begun"), "0 is never: {words:?}");
}

#[test]
fn lines_and_ends_are_told_in_their_order() {
    let visit = |target: PlannedTarget, tell: &SyncSender<Event>| {
        for line in ["one", "two"] {
            tell.send(Event::Line(target.name.clone(), line.into())).expect("heard");
        }
        result(target.name, Outcome::Done)
    };
    let mut heard = Heard::default();
    let targets = (0..2).map(|n| Ok::<_, Infallible>(target(n)));
    let rules = Rules { fanout: 1, canary: 0, stop_after: 0 };
    roll_out(rules, 2, targets, &visit, &mut heard).unwrap_or_else(|never| match never {});
    assert_eq!(heard.0, ["web-0 | one", "web-0 | two", "web-0 ok 1/2", "web-1 | one", "web-1 | two", "web-1 ok 2/2"]);
}

#[test]
fn a_plan_that_breaks_off_begins_nothing_more_and_says_so() {
    let visit = |target: PlannedTarget, _tell: &SyncSender<Event>| result(target.name, Outcome::Done);
    let targets = [Ok(target(0)), Err("broken"), Ok(target(1))];
    let mut heard = Heard::default();
    let rules = Rules { fanout: 2, canary: 0, stop_after: 0 };
    assert_eq!(roll_out(rules, 2, targets.into_iter(), &visit, &mut heard).err(), Some("broken"));
    assert_eq!(heard.0, ["web-0 ok 1/2"]);
}
