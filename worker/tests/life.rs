//! One job from its order to its end, over the real program.

mod common;

use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::{Ending, FromWorker, Guarantee, Layer, LayerState, Order, ToWorker};
use bartizan_proto::{List, Role, Text, Version};
use common::{Script, Worker, alive, is_root, skip, soon};
use std::fs::{self, File};
use std::time::{Duration, Instant};

#[test]
fn a_script_runs_and_its_output_and_exit_code_come_back() {
    let outcome = Script::bash("echo hello from $BARTIZAN_JOB; exit 3").run();
    assert_eq!(outcome.text(), "hello from 7\n");
    assert_eq!(outcome.ending, Some(Ending::Ended(ExitStatus::Code(3))), "{:?}", outcome.refused);
    assert_eq!(outcome.usage.output, 13);
    assert!(outcome.usage.elapsed_us > 0 && outcome.usage.max_rss > 1 << 20, "{:?}", outcome.usage);
}

#[test]
fn arguments_arrive_exactly_as_they_were_ordered() {
    let odd = ["a b", "", "\"quoted\" 'too'", "line\nbreak", "$(id)`id`", "*", "-rf", "日本語 é", "\\", "a\tb"];
    let script = Script::python("import json\nprint(json.dumps(sys.argv[1:]))").arguments(&odd);
    let output = script.run().success();
    let seen: Vec<String> = serde_json::from_str(&output).expect("JSON");
    assert_eq!(seen, odd);
}

#[test]
fn the_script_sees_its_own_path_and_its_neighbours() {
    let script = Script::bash("echo $0; cat \"$(dirname \"$0\")/neighbour\"");
    fs::write(script.directory.path().join("neighbour"), "hello, neighbour\n").expect("write");
    assert_eq!(script.run().success(), format!("{}\nhello, neighbour\n", script.path.display()));
}

#[test]
fn a_signal_that_ends_the_script_is_reported_as_one() {
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("RTMIN", 34)] {
        let outcome = Script::bash(&format!("kill -{signal} $$; sleep 5")).run();
        assert_eq!(outcome.ending, Some(Ending::Ended(ExitStatus::Signal(number))), "{signal}");
    }
}

#[test]
fn errors_and_output_come_in_the_order_in_which_they_were_written() {
    let output = Script::bash("for i in 1 2 3 4; do echo out $i; echo err $i >&2; done").run().success();
    let expected: String = (1..=4).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(output, expected);
}

#[test]
fn two_hundred_megabytes_of_output_are_counted_and_bounded() {
    let script = Script::bash("head -c 200000000 /dev/zero").with(|order| order.max_output = 100_000);
    let outcome = script.run();
    assert_eq!(outcome.code(), Some(0), "{:?}", outcome.ending);
    assert_eq!((outcome.output.len(), outcome.usage.output), (100_000, 200_000_000));
}

#[test]
fn output_that_nobody_reads_yet_waits_in_the_pipe_and_a_stop_is_still_heard() {
    let script = Script::bash("yes").with(|order| order.max_output = u64::MAX);
    let mut worker = script.start();
    worker.running();
    std::thread::sleep(Duration::from_millis(300));
    worker.send(&ToWorker::Stop { grace_ms: 0 });
    let outcome = worker.finish();
    assert_eq!(outcome.ending, Some(Ending::Stopped));
    assert!(outcome.output.len() < 8 << 20, "{}", outcome.output.len());
}

#[test]
fn a_script_that_runs_out_of_time_gets_a_polite_signal_first() {
    let script = Script::bash("trap 'echo so long; exit 0' TERM\nwhile :; do sleep 0.05; done")
        .with(|order| order.timeout_ms = 2000);
    let outcome = script.run();
    assert_eq!(outcome.ending, Some(Ending::TimedOut));
    // bash may also say that the signal ended its sleep.
    assert!(outcome.text().ends_with("so long\n"), "{}", outcome.text());
}

#[test]
fn a_script_that_ignores_the_polite_signal_is_killed_after_its_grace() {
    let script = Script::bash("trap '' TERM\necho begun\nwhile :; do :; done").with(|order| {
        order.timeout_ms = 2000;
        order.grace_ms = 200;
    });
    let start = Instant::now();
    let outcome = script.run();
    assert_eq!((outcome.ending, outcome.text()), (Some(Ending::TimedOut), "begun\n".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(outcome.usage.user_us + outcome.usage.system_us > 50_000, "{:?}", outcome.usage);
}

#[test]
fn a_stop_ends_the_script_and_all_that_it_started() {
    let script = Script::bash("sleep 600 & echo begun; wait");
    let mut worker = script.start();
    worker.running();
    assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
    worker.send(&ToWorker::Inspect);
    let Some(FromWorker::Inspected { pids, .. }) = worker.next() else { panic!("not inspected") };
    assert!(pids.len() >= 2, "{pids:?}");
    worker.send(&ToWorker::Stop { grace_ms: 500 });
    assert_eq!(worker.finish().ending, Some(Ending::Stopped));
    assert!(pids.iter().all(|pid| !alive(*pid)), "{pids:?}");
}

#[test]
fn a_core_that_goes_away_takes_the_job_with_it() {
    let script = Script::bash("trap '' TERM HUP INT\nsetsid sleep 600 &\necho begun\nwhile :; do sleep 1; done");
    let mut worker = script.start();
    worker.running();
    assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
    worker.send(&ToWorker::Inspect);
    let Some(FromWorker::Inspected { pids, .. }) = worker.next() else { panic!("not inspected") };
    drop(worker.channel);
    worker.child.wait().expect("ends");
    assert!(pids.len() >= 2 && pids.iter().all(|pid| !alive(*pid)), "{pids:?}");
}

#[test]
fn a_supervisor_that_is_killed_takes_the_job_with_it() {
    let script = Script::bash("setsid sleep 600 & echo begun; wait");
    let mut worker = script.start();
    worker.running();
    assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
    worker.send(&ToWorker::Inspect);
    let Some(FromWorker::Inspected { pids, .. }) = worker.next() else { panic!("not inspected") };
    worker.child.kill().expect("kill");
    worker.child.wait().expect("ends");
    soon("the job's end", || pids.iter().all(|pid| !alive(*pid)));
}

#[test]
fn a_daemon_that_holds_the_pipe_neither_hangs_nor_outlives_the_job() {
    let daemon = "import time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        \
                  print('daemon', flush=True)\n        time.sleep(600)\n    os._exit(0)\n\
                  os.wait()\ntime.sleep(4)\nprint('main', flush=True)";
    for without in [&[][..], &[Layer::PidNamespace], &[Layer::UserNamespace]] {
        let start = Instant::now();
        let script = Script::python(daemon).without(without);
        let mut worker = script.start();
        worker.running();
        assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
        worker.send(&ToWorker::Inspect);
        let Some(FromWorker::Inspected { pids, .. }) = worker.next() else { panic!("not inspected") };
        let outcome = worker.finish();
        assert_eq!((outcome.code(), outcome.text().as_str()), (Some(0), "main\n"), "without {without:?}");
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(pids.len() >= 2 && pids.iter().all(|pid| !alive(*pid)), "without {without:?}: {pids:?}");
    }
}

#[test]
fn a_fork_bomb_is_capped_per_job() {
    if is_root() {
        return skip("a_fork_bomb_is_capped_per_job", "RLIMIT_NPROC does not count root's processes");
    }
    let script = Script::python(
        "import time\ncount = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            time.sleep(600)\n        \
         count += 1\nexcept OSError as error:\n    print(errno.errorcode[error.errno], count)",
    );
    // Two at once: each has its own fifty, in its own user namespace.
    let others: Vec<_> = (0..2).map(|_| script.start()).collect();
    for worker in others {
        let text = worker.finish().success();
        let count: u32 = text.trim().strip_prefix("EAGAIN ").expect("EAGAIN").parse().expect("a number");
        assert!((40..50).contains(&count), "{count}");
    }
}

#[test]
fn what_was_opened_is_what_runs_although_the_path_was_swapped() {
    for swap in ["file", "link", "gone"] {
        for without in [&[][..], &[Layer::MountNamespace]] {
            let script = Script::bash("echo the checked one").without(without);
            let opened = File::open(&script.path).expect("open");
            let other = script.directory.path().join("other");
            common::write_program(&other, "#!/bin/bash\necho the other one\n");
            match swap {
                "file" => fs::rename(&other, &script.path).expect("rename"),
                "link" => {
                    fs::remove_file(&script.path).expect("remove");
                    std::os::unix::fs::symlink(&other, &script.path).expect("symlink");
                }
                _ => fs::remove_file(&script.path).expect("remove"),
            }
            let mut worker = Worker::start();
            worker.order(script.order.clone(), &opened);
            assert_eq!(worker.finish().success(), "the checked one\n", "{swap}, without {without:?}");
        }
    }
}

#[test]
fn row_51_a_sealed_script_does_not_change_when_its_file_is_rewritten_in_place() {
    // bash reads a script as it goes, so rewriting the file changes a running script that is not sealed.
    let content = |word: &str| format!("#!/bin/bash\nsleep 0.5\necho {word}\n");
    for without in [&[][..], &[Layer::MountNamespace]] {
        let script = Script::new(&content("before")).without(without).with(|order| order.sealed = true);
        let mut worker = script.start();
        worker.running();
        fs::write(&script.path, content("after!")).expect("rewrite");
        assert_eq!(worker.finish().success(), "before\n", "without {without:?}");
    }
}

#[test]
fn a_script_that_the_core_sends_from_memory_runs_under_its_path() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    for without in [&[][..], &[Layer::MountNamespace]] {
        let script = Script::bash("echo the file").without(without).with(|order| order.sealed = true);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut copy = File::from(memfd_create("script", flags).expect("memfd"));
        std::io::Write::write_all(&mut copy, b"#!/bin/bash\necho what was hashed\n").expect("write");
        fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::SEAL).expect("seals");
        let mut worker = Worker::start();
        // Still open for writing on this side, as the core keeps it.
        worker.order(script.order.clone(), &copy);
        assert_eq!(worker.finish().success(), "what was hashed\n", "without {without:?}");
    }
}

#[test]
fn a_script_that_cannot_be_executed_is_refused_with_the_reason() {
    let outcome = Script::new("#!/no/such/interpreter\n").run();
    let (step, why) = outcome.refused.expect("refused");
    assert!(step == "exec" && why.contains("No such file"), "{step}: {why}");
    let script = Script::bash("echo never");
    fs::set_permissions(&script.path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("chmod");
    assert_eq!(script.run().refused.expect("refused").0, "exec");
}

#[test]
fn an_order_that_means_no_plain_thing_is_refused() {
    type Change = fn(&mut Order);
    let text = |text: &str| Text::new(text).expect("short");
    let cases: [(&str, Change); 6] = [
        ("way up", |order| order.path = Text::new("/tmp/../etc/x").expect("short")),
        ("root", |order| order.profile.read = common::paths(&["/".as_ref()])),
        ("tmp", |order| order.profile.write = common::paths(&["/tmp".as_ref()])),
        ("proc", |order| order.profile.read = common::paths(&["/proc/1".as_ref()])),
        ("no memory", |order| order.profile.limits.memory = 4096),
        ("no name", |order| {
            let pair = (Text::new("A=B").expect("short"), Text::default());
            order.environment = List::new([pair]).expect("one");
        }),
    ];
    for (name, change) in cases {
        let outcome = Script::bash("echo never").with(change).run();
        assert_eq!(outcome.refused.map(|refused| refused.0).as_deref(), Some("order"), "{name}");
    }
    let nul = Script::bash("echo never").with(|order| order.arguments = List::new([text("a\0b")]).expect("one"));
    assert_eq!(nul.run().refused.expect("refused").0, "order");
}

#[test]
fn a_granted_path_that_is_not_there_is_refused_not_skipped() {
    let script = Script::bash("echo never").with(|o| o.profile.read = common::paths(&["/no/such/path".as_ref()]));
    let (step, why) = script.run().refused.expect("refused");
    assert!(step == "root" && why.contains("/no/such/path"), "{step}: {why}");
}

#[test]
fn a_required_guarantee_that_nothing_gives_means_that_nothing_runs() {
    let script = Script::bash("echo never").without(&[Layer::PidNamespace]).with(|order| {
        order.require = List::new([Guarantee::Lifetime]).expect("one");
    });
    let outcome = script.run();
    let (step, why) = outcome.refused.clone().expect("refused");
    assert!(step == "require" && why.contains("guarantee lifetime"), "{step}: {why}");
    assert!(outcome.output.is_empty());
}

#[test]
fn a_message_out_of_turn_ends_the_worker() {
    // Before the order.
    for message in [ToWorker::Inspect, ToWorker::Stop { grace_ms: 0 }] {
        let mut worker = Worker::start();
        worker.send(&message);
        assert!(matches!(worker.channel.receive::<FromWorker>(), Ok(None) | Err(_)));
        assert_eq!(worker.child.wait().expect("ends").code(), Some(1));
    }
    // A second order.
    let script = Script::bash("echo begun; sleep 600");
    let mut worker = script.start();
    worker.running();
    worker.order(script.order.clone(), &File::open(&script.path).expect("open"));
    assert_eq!(worker.child.wait().expect("ends").code(), Some(1));
    // Something that is no message at all.
    let mut worker = Worker::start();
    worker.channel.send(&"garbage".to_owned()).expect("send");
    assert_eq!(worker.child.wait().expect("ends").code(), Some(1));
}

#[test]
fn an_order_without_its_script_or_with_more_than_that_is_refused() {
    let script = Script::bash("echo never");
    let mut worker = Worker::start();
    worker.send(&ToWorker::Order(Box::new(script.order.clone())));
    assert_eq!(worker.finish().refused.expect("refused").0, "order");
}

#[test]
fn a_worker_without_an_order_ends_with_its_channel_and_speaks_to_nobody_but_the_core() {
    let mut worker = Worker::start();
    drop(worker.channel);
    assert_eq!(worker.child.wait().expect("ends").code(), Some(0));

    let (mut channel, theirs) = bartizan_proto::channel::Channel::pair().expect("socketpair");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_bartizan-worker"))
        .stdin(std::process::Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()
        .expect("starts");
    channel.send(&Version::of(Role::Connector)).expect("send");
    assert_eq!(child.wait().expect("ends").code(), Some(1));
}

#[test]
fn an_inspected_job_shows_its_layers_as_the_kernel_has_them_now() {
    let script = Script::bash("echo begun; sleep 600");
    let mut worker = script.start();
    let (pid, proved, _) = worker.running();
    assert!(matches!(worker.next(), Some(FromWorker::Output(_))));
    worker.send(&ToWorker::Inspect);
    let Some(FromWorker::Inspected { layers, usage, pids }) = worker.next() else { panic!("not inspected") };
    assert!(pids.contains(&pid), "{pid} in {pids:?}");
    assert!(usage.elapsed_us > 0 && usage.output == 6 && usage.max_rss > 0, "{usage:?}");
    for (now, proved) in layers.iter().zip(&proved) {
        assert_eq!((now.layer, now.state), (proved.layer, proved.state), "{now:?}");
    }
    let limits = layers.iter().find(|line| line.layer == Layer::Limits).expect("limits");
    assert!(limits.detail.contains("Max open files 256"), "{limits:?}");
    let environment = layers.iter().find(|line| line.layer == Layer::Environment).expect("environment");
    assert!(environment.detail.starts_with("PATH HOME TMPDIR"), "{environment:?}");
    assert!(layers.iter().filter(|line| line.state == LayerState::On).count() >= 10, "{layers:?}");
}

#[test]
fn the_probe_says_what_this_machine_gives() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bartizan-worker")).arg("--probe").output();
    let answer: serde_json::Value = serde_json::from_slice(&output.expect("runs").stdout).expect("JSON");
    let layers = answer["layers"].as_array().expect("layers");
    assert!(layers.iter().any(|line| line["layer"] == "seccomp" && line["state"] == "on"), "{answer}");
    assert_eq!(answer["given"].as_array().expect("given").len(), 11);
}

#[test]
fn a_script_beside_something_secret_sees_itself_and_not_its_neighbours() {
    let script = Script::bash("printf '%s\\n' \"$0\"; cat \"$(dirname \"$0\")/neighbour\" || echo hidden");
    fs::write(script.directory.path().join("neighbour"), "secret\n").expect("write");
    let mut script = script.with(|order| order.alone = true);
    for off in [&[][..], &[Layer::MountNamespace]] {
        script = script.without(off);
        let seen = script.run().text();
        assert!(seen.ends_with("hidden\n") && !seen.contains("secret"), "{off:?}: {seen}");
    }
}
