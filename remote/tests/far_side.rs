//! `bartizan-remote serve` with orders as they come over SSH: what it carries out, what it refuses, and that nothing of a job
//! outlives its connection.

mod common;

use bartizan_proto::frame;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::limits::MAX_REMOTE_FRAME;
use bartizan_proto::remote::{FromRemote, RemoteOrder, ToRemote};
use bartizan_proto::worker::{Ending, Guarantee};
use bartizan_proto::{List, Text};
use common::{Broker, Target, now_s};
use std::process::Command;
use std::time::{Duration, Instant};

const HELLO: &[u8] = b"#!/bin/sh\necho \"hello $1 from $GREETING, $#\"\nexit 3\n";

#[test]
fn an_order_runs_its_script_with_its_arguments_in_a_sandbox_and_says_how_it_ended() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let order = RemoteOrder {
        arguments: List::new([Text::cut("a $(id) b"), Text::cut("")]).expect("few"),
        environment: List::new([(Text::cut("GREETING"), Text::cut("afar"))]).expect("few"),
        ..broker.order("web-1", HELLO)
    };
    let outcome = target.run(&broker.sign(&order), HELLO);
    assert_eq!(outcome.output, "hello a $(id) b from afar, 2\n", "{outcome:?}");
    assert_eq!(outcome.ending, Some(Ending::Ended(ExitStatus::Code(3))));
    assert!(outcome.given > 0, "it says which guarantees its sandbox gives");
}

#[test]
fn the_sandbox_there_is_the_workers_own() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let secret = target.path("secret");
    std::fs::write(&secret, "not for scripts").expect("write");
    let script = format!(
        "#!/bin/sh\ncat {} 2>&1; touch {}/here 2>&1; grep CapEff /proc/self/status",
        secret.display(),
        target.path("").display()
    );
    let outcome = target.run(&broker.sign(&broker.order("web-1", script.as_bytes())), script.as_bytes());
    assert!(
        !outcome.output.contains("not for scripts") && outcome.output.contains("CapEff:\t0000000000000000"),
        "{outcome:?}"
    );
    assert!(!target.path("here").exists());
}

#[test]
fn what_the_order_requires_and_the_machine_cannot_give_is_refused() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let order = RemoteOrder { require: List::new(Guarantee::ALL).expect("few"), ..broker.order("web-1", HELLO) };
    let outcome = target.run(&broker.sign(&order), HELLO);
    // Where the kernel has everything it runs; elsewhere the guarantee that is missing is named.
    match outcome.refused {
        None => assert_eq!(outcome.given, Guarantee::ALL.len()),
        Some((step, why)) => assert!(step == "require" && why.contains("which is required"), "{step}: {why}"),
    }
}

#[test]
fn an_order_is_carried_out_once_also_after_a_restart_and_also_when_it_failed() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let order = broker.sign(&broker.order("web-1", HELLO));
    assert!(target.run(&order, HELLO).ending.is_some());
    for _ in 0..2 {
        assert_eq!(target.run(&order, HELLO).why(), ("replay", "the order was carried out before"));
    }
    // Two connections at the same time: one of them is the first.
    let order = broker.sign(&broker.order("web-1", HELLO));
    let mut both = [target.start(), target.start()];
    both.iter_mut().for_each(|connection| connection.order(&order, HELLO));
    let ran = both.map(|connection| connection.finish().ending.is_some());
    assert!(ran[0] != ran[1], "{ran:?}");
}

#[test]
fn an_order_that_expired_is_for_another_or_has_another_script_or_signer_is_refused_and_leaves_no_trace() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let right = broker.order("web-1", HELLO);
    let expired = RemoteOrder { expires_s: now_s() - 1, ..right.clone() };
    let other = broker.order("web-2", HELLO);
    for (signed, script, why) in [
        (broker.sign(&expired), HELLO, "expired"),
        (broker.sign(&other), HELLO, "the order is for web-2, and this is web-1"),
        (broker.sign(&right), b"#!/bin/sh\necho changed\n", "the script is not the one"),
        (Broker::new(2).sign(&right), HELLO, "not signed by a broker key"),
    ] {
        let outcome = target.run(&signed, script);
        let (step, said) = outcome.why();
        assert!(step == "order" && said.contains(why) && outcome.output.is_empty(), "{outcome:?}");
    }
    // None of these used up the right one.
    assert!(target.run(&broker.sign(&right), HELLO).ending.is_some());
}

#[test]
fn what_is_no_order_is_refused_before_anything_is_allocated_for_it() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let too_long = u32::try_from(MAX_REMOTE_FRAME + 1).expect("small").to_le_bytes();
    for bytes in [
        &u32::MAX.to_le_bytes()[..],
        &too_long,
        &frame::encode(&ToRemote::Alive).expect("small"),
        &[5, 0, 0, 0, 9, 9, 9, 9, 9],
    ] {
        let mut connection = target.start();
        connection.send(bytes);
        assert_eq!(connection.finish().why().0, "receive", "{bytes:?}");
    }
    let mut silent = target.start();
    silent.stdin = None;
    assert_eq!(silent.finish().why().0, "receive");
}

#[test]
fn without_a_key_or_a_place_to_remember_nothing_is_taken() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    let order = broker.sign(&broker.order("web-1", HELLO));
    std::fs::remove_dir_all(target.path("state")).expect("there");
    assert_eq!(target.run(&order, HELLO).why().0, "replay");
    std::fs::write(target.path("broker.pub"), "no key").expect("write");
    assert_eq!(target.run(&order, HELLO).why().0, "keys");
}

#[test]
fn with_its_connection_a_job_ends_and_everything_that_it_started() {
    let broker = Broker::new(1);
    let target = Target::new("web-1", &broker);
    // A name that no other process on this machine has.
    let mark = format!("86{}", std::process::id());
    let script = format!("#!/bin/sh\nsetsid sleep {mark} &\necho runs\nsleep {mark}\n");
    let script = script.as_bytes();
    let running = || {
        let found = Command::new("pgrep").args(["-f", &format!("sleep {mark}")]).output().expect("pgrep");
        found.status.success()
    };
    for half in [true, false] {
        let mut connection = target.start();
        connection.order(&broker.sign(&broker.order("web-1", script)), script);
        connection.send(&frame::encode(&ToRemote::Alive).expect("small"));
        loop {
            match connection.next().expect("it runs") {
                FromRemote::Output(_) => break,
                FromRemote::Running { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(running());
        // The client hangs up, or says what it may not say.
        match half {
            true => connection.stdin = None,
            false => connection.order(&broker.sign(&broker.order("web-1", script)), script),
        }
        connection.child.wait().expect("wait");
        let until = Instant::now() + Duration::from_secs(60);
        while running() {
            assert!(Instant::now() < until, "it outlives its connection");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
