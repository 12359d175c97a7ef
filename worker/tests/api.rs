//! The script API over the real worker: the test is the core, the scripts are hostile.

mod common;

use bartizan_proto::Text;
use bartizan_proto::limits::MAX_CALLS;
use bartizan_proto::script::{Answer, Call};
use bartizan_proto::worker::{CallId, Ending, FromWorker, ToWorker};
use common::{Outcome, Script, Worker, alive, soon};
use std::time::{Duration, Instant};

/// Python with the library, in a job that may call.
fn calling(content: &str) -> Script {
    Script::new(&format!("#!/usr/bin/python3\nimport array, os, socket, struct, sys, time\nimport bz\n{content}\n"))
        .with(|order| order.api = true)
}

/// Answers every call until the end.
fn answering(mut worker: Worker, answer: impl Fn(&Call) -> Answer) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(message) = worker.next() {
        match message {
            FromWorker::Call { call, what } => {
                worker.send(&ToWorker::Answer { call, answer: answer(&what) });
                outcome.calls.push((call, *what));
            }
            FromWorker::Output(bytes) => outcome.output.extend_from_slice(&bytes),
            FromWorker::Misused(why) => outcome.misused = Some(why.to_string()),
            FromWorker::Refused { step, why } => outcome.refused = Some((step.to_string(), why.to_string())),
            FromWorker::Finished { ending, usage } => {
                outcome.ending = Some(ending);
                outcome.usage = usage;
            }
            FromWorker::Running { pid, layers, given } => {
                outcome.pid = pid;
                outcome.layers = layers.into_vec();
                outcome.given = given.into_vec();
            }
            FromWorker::Inspected { .. } | FromWorker::Hangup(_) => {}
        }
    }
    worker.child.wait().expect("wait");
    outcome
}

#[test]
fn a_call_reaches_the_core_and_its_answer_the_script() {
    let script = calling("print(bz.param('service')); print(bz.recall('it'))");
    let outcome = answering(script.start(), |call| match call {
        Call::Param { name } => Answer::Value(Text::cut(format!("value of {name}"))),
        _ => Answer::Nothing(Text::cut("no")),
    });
    assert_eq!(outcome.text(), "value of service\nNone\n", "{outcome:?}");
}

#[test]
fn a_job_has_the_descriptor_only_where_it_may_call_and_so_have_the_programs_that_it_starts() {
    let listing = "for f in /proc/self/fd/*; do readlink \"$f\" >/dev/null && echo \"${f##*/}\"; done; \
                   bash -c '[ -e /proc/self/fd/100 ] && echo inherited'; echo \"api=${BARTIZAN_API:-none}\"";
    let without = Script::bash(listing).run().success();
    assert!(!without.contains("100") && !without.contains("inherited") && without.contains("api=none"), "{without}");
    let with = Script::bash(listing).with(|order| order.api = true).run().success();
    assert!(with.contains("\n100\n") && with.contains("inherited") && with.contains("api=100"), "{with}");
}

#[test]
fn a_script_cannot_reach_the_descriptor_of_a_job_beside_it() {
    let mut victim = calling("time.sleep(20)").start();
    let (pid, _, _) = victim.running();
    let attack = calling(&format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         print(os.path.exists('/proc/{pid}'))\n\
         print([p for p in os.listdir('/proc') if p.isdigit() and int(p) > 60])\n\
         print(libc.syscall(434, {pid}, 0) < 0, libc.syscall(438, 3, 100, 0) < 0)"
    ));
    let outcome = answering(attack.start(), |_| Answer::Done);
    assert_eq!(outcome.text(), "False\n[]\nTrue True\n", "{outcome:?}");
    assert_eq!(outcome.calls, []);
    victim.send(&ToWorker::Stop { grace_ms: 0 });
    assert_eq!(answering(victim, |_| Answer::Done).calls, []);
}

#[test]
fn row_41_a_fork_bomb_of_calls_is_held_to_a_few_at_a_time_and_ends_with_its_job() {
    let script = calling(
        "for _ in range(25):\n    if os.fork() == 0:\n        while True:\n            bz.say('x' * 1000)\ntime.sleep(60)",
    );
    let mut worker = script.start();
    let (mut open, mut stopped) = (std::collections::BTreeSet::new(), false);
    let begin = Instant::now();
    while let Some(message) = worker.next() {
        match message {
            FromWorker::Call { call, .. } => {
                open.insert(call);
                assert!(open.len() <= MAX_CALLS, "{open:?}");
            }
            FromWorker::Running { .. } => {}
            FromWorker::Finished { ending, .. } => assert_eq!(ending, Ending::Stopped),
            FromWorker::Hangup(call) => assert!(stopped && open.remove(&call)),
            other => panic!("{other:?}"),
        }
        // Nothing is answered: no more than these can come, whoever calls.
        if open.len() == MAX_CALLS && !stopped {
            std::thread::sleep(Duration::from_millis(500));
            worker.send(&ToWorker::Stop { grace_ms: 0 });
            stopped = true;
        }
    }
    assert!(stopped, "it came to {} calls", open.len());
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn row_42_a_daemon_that_keeps_the_descriptor_open_does_not_outlive_its_job() {
    let script = calling(
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True:\n            time.sleep(0.01)\n            \
         bz.say('still here')\n    os._exit(0)\ntime.sleep(0.3)",
    );
    let worker = script.start();
    let supervisor = worker.child.id();
    let outcome = answering(worker, |_| Answer::Done);
    assert!(matches!(outcome.ending, Some(Ending::Ended(_))), "{outcome:?}");
    assert!(!outcome.calls.is_empty());
    soon("nothing is left", || !alive(supervisor));
}

#[test]
fn row_43_files_that_are_begun_and_never_sent_cost_the_worker_little_and_end_with_the_job() {
    // Sixteen calls of a mebibyte each, of which the last byte never comes.
    let script = calling(
        "door = socket.socket(fileno=os.dup(100))\nkept = []\nfor _ in range(16):\n    own, theirs = socket.socketpair()\n    \
         door.sendmsg([b'b'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [theirs.fileno()]))])\n    \
         theirs.close()\n    own.sendall(struct.pack('<I', 1 << 20) + bytes((1 << 20) - 1))\n    kept.append(own)\nprint('sent')",
    );
    let worker = script.start();
    let peak = format!("/proc/{}/status", worker.child.id());
    let (reading, done) = (peak.clone(), std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0)));
    let seen = std::sync::Arc::clone(&done);
    let watch = std::thread::spawn(move || {
        while let Ok(text) = std::fs::read_to_string(&reading) {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            let Some(kib) = kib else { break };
            seen.fetch_max(kib, std::sync::atomic::Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let outcome = answering(worker, |_| Answer::Done);
    watch.join().expect("watched");
    assert_eq!(outcome.text(), "sent\n", "{outcome:?}");
    assert_eq!(outcome.calls, []);
    let kib = done.load(std::sync::atomic::Ordering::Relaxed);
    assert!(kib > 0 && kib < 64 * 1024, "{kib} KiB");
}

#[test]
fn row_77_garbage_is_refused_and_a_script_that_goes_on_with_it_is_reported_once() {
    let script = calling(
        "door = socket.socket(fileno=os.dup(100))\n\
         def call(data):\n    own, theirs = socket.socketpair()\n    \
         door.sendmsg([b'b'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [theirs.fileno()]))])\n    \
         theirs.close()\n    own.sendall(data)\n    return own.recv(4096)\n\
         print(b'over the limit' in call(struct.pack('<I', 1 << 31)))\n\
         print(b'no verb' in call(struct.pack('<II', 9, 5) + b'shout'))\n\
         sys.stdout.flush()\n\
         try:\n    while True:\n        door.send(os.urandom(100))\nexcept OSError:\n    print('closed')",
    );
    let outcome = answering(script.start(), |_| Answer::Done);
    assert_eq!(outcome.text(), "True\nTrue\nclosed\n", "{outcome:?}");
    assert_eq!(outcome.calls, []);
    assert!(outcome.misused.is_some_and(|why| why.contains("32 messages")));
}

#[test]
fn who_made_a_call_and_is_gone_is_reported_and_a_late_answer_goes_nowhere() {
    let script = calling(
        "child = os.fork()\nif child == 0:\n    bz.say('for nobody')\ntime.sleep(0.3)\nos.kill(child, 9)\nos.wait()\n\
         print(bz.param('a'))",
    );
    let mut worker = script.start();
    let (mut first, mut output): (Option<CallId>, Vec<u8>) = (None, Vec::new());
    while let Some(message) = worker.next() {
        match message {
            FromWorker::Call { call, what } if matches!(*what, Call::Say { .. }) => first = Some(call),
            FromWorker::Hangup(call) => {
                assert_eq!(Some(call), first);
                worker.send(&ToWorker::Answer { call, answer: Answer::Value(Text::cut("too late")) });
            }
            FromWorker::Call { call, .. } => {
                worker.send(&ToWorker::Answer { call, answer: Answer::Value(Text::cut("mine")) });
            }
            FromWorker::Output(bytes) => output.extend_from_slice(&bytes),
            FromWorker::Running { .. } | FromWorker::Finished { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(String::from_utf8_lossy(&output), "mine\n");
}
