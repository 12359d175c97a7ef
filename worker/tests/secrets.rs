//! What a script gets of its secrets, and what nobody else does.

mod common;

use bartizan_proto::worker::{Layer, SecretSlot};
use bartizan_proto::{List, Text};
use common::{Outcome, Script, Worker};
use std::fs::File;

const VALUES: [&[u8]; 2] = [b"canary-of-the-key\nline two\n", b"canary-of-the-password"];

fn slots(values: &[&[u8]]) -> Vec<SecretSlot> {
    let names = [("deploy/key", None), ("deploy/password", Some("PASSWORD"))];
    let slot = |((name, variable), value): ((&str, Option<&str>), &&[u8])| SecretSlot {
        name: name.parse().expect("a name"),
        size: u32::try_from(value.len()).expect("small"),
        variable: variable.map(|variable| Text::new(variable).expect("short")),
    };
    names.into_iter().zip(values).map(slot).collect()
}

fn run(script: &Script, values: &[&[u8]]) -> Outcome {
    let mut worker = Worker::start();
    let mut order = script.order.clone();
    order.secrets = List::new(slots(&VALUES)).expect("two");
    worker.order_with(order, &File::open(&script.path).expect("the script"), values);
    worker.finish()
}

const LOOK: &str = "cd $BARTIZAN_SECRETS && cat deploy/key deploy/password && echo \" $PASSWORD\" && stat -c '%a %n' . * */* && \
    ls /proc/self/fd && [ -z \"$(find / -name 'bartizan-job-*' 2>/dev/null)\" ]";

#[test]
fn a_secret_is_a_file_that_the_job_alone_can_read_and_a_variable_only_where_that_was_asked_for() {
    let text = run(&Script::bash(LOOK), &VALUES).success();
    let expected = "canary-of-the-key\nline two\ncanary-of-the-password canary-of-the-password\n\
                    700 .\n700 deploy\n600 deploy/key\n600 deploy/password\n0\n1\n2\n3\n";
    assert_eq!(text, expected);
    let text = run(&Script::bash("env; ls $BARTIZAN_SECRETS"), &VALUES).success();
    assert!(!text.contains("canary-of-the-key") && text.contains("BARTIZAN_SECRETS=/scratch/.secrets\n"), "{text}");
}

#[test]
fn without_a_root_of_its_own_a_secret_is_in_memory_all_the_same_and_is_gone_afterwards() {
    let script = Script::bash("stat -f -c %T $BARTIZAN_SECRETS; cat $BARTIZAN_SECRETS/deploy/password; echo; pwd");
    let text = run(&script.without(&[Layer::MountNamespace]), &VALUES).success();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["tmpfs", "canary-of-the-password"], "{text}");
    assert!(lines[2].starts_with("/dev/shm/bartizan-job-") && !std::path::Path::new(lines[2]).exists(), "{text}");
}

#[test]
fn a_script_without_secrets_is_told_of_none() {
    assert_eq!(Script::bash("env | grep -c SECRET; ls -d .secrets 2>/dev/null").run().text(), "0\n");
}

#[test]
fn fewer_bytes_than_were_announced_or_no_pipe_at_all_and_nothing_runs() {
    let outcome = run(&Script::bash("echo ran"), &[b"short"]);
    assert_eq!(outcome.text(), "");
    assert_eq!(outcome.refused.expect("refused").0, "secrets");
    let mut worker = Worker::start();
    let script = Script::bash("echo ran");
    let mut order = script.order.clone();
    order.secrets = List::new(slots(&VALUES)).expect("two");
    worker.order(order, &File::open(&script.path).expect("the script"));
    assert_eq!(worker.finish().refused.expect("refused").0, "order");
}

#[test]
fn a_value_that_no_variable_can_hold_is_refused_by_its_name() {
    let odd: [&[u8]; 2] = [VALUES[0], b"canary\0of-the-password"];
    let (step, why) = run(&Script::bash("echo ran"), &odd).refused.expect("refused");
    assert!(step == "secrets" && why.contains("deploy/password") && !why.contains("canary"), "{step}: {why}");
}
