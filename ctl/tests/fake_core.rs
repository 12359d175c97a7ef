//! The program `bartizan` against a socket where the test plays the core.
//!
//! Over 400 lines: one list of answers and what is printed of them.

use bartizan_proto::bounded::{List, Text};
use bartizan_proto::brain::{BrainState, BrainStatus};
use bartizan_proto::channel::Channel;
use bartizan_proto::control::{
    AlertRow, Answer, Check, CheckVerdict, ConfigReport, Doctor, Health, Inspection, JobRow, JobState, Mode,
    ProcessRow, Refusal, Request, Status,
};
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::version::{Role, Version};
use bartizan_proto::worker::{Ending, Given, Guarantee, InForce, Layer, LayerState, Usage};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A core that answers one request, and hands on what it was asked.
struct FakeCore {
    place: TempDir,
    thread: JoinHandle<Option<Request>>,
}

impl FakeCore {
    fn answering(answer: Answer) -> Self {
        Self::doing(move |mut channel| {
            channel.greet(Role::Core, Role::Control).expect("a greeting");
            let request = channel.receive().expect("a frame").expect("a request");
            channel.send(&answer).expect("sent");
            Some(request)
        })
    }

    /// One connection after the other; the last request is handed on.
    fn answering_all(answers: Vec<Answer>) -> Self {
        let place = tempfile::tempdir().expect("tempdir");
        let listener = UnixListener::bind(place.path().join("control.sock")).expect("bound");
        let thread = std::thread::spawn(move || {
            let mut last = None;
            for answer in answers {
                let mut channel: Channel = listener.accept().expect("a caller").0.into();
                channel.greet(Role::Core, Role::Control).expect("a greeting");
                last = channel.receive().expect("a frame");
                channel.send(&answer).expect("sent");
            }
            last
        });
        Self { place, thread }
    }

    fn doing(act: impl FnOnce(Channel) -> Option<Request> + Send + 'static) -> Self {
        let place = tempfile::tempdir().expect("tempdir");
        let listener = UnixListener::bind(place.path().join("control.sock")).expect("bound");
        let thread = std::thread::spawn(move || act(listener.accept().expect("a caller").0.into()));
        Self { place, thread }
    }

    /// What `bartizan` does with the answer, and what the core was asked.
    fn run(self, words: &[&str]) -> (Output, Option<Request>) {
        let output = bartizan(&self.place.path().join("control.sock"), words);
        (output, self.thread.join().expect("the fake core"))
    }
}

fn bartizan(socket: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    run(command.env_clear().args(words).arg("--socket").arg(socket))
}

/// A process that is just being made holds its siblings' files open for writing, and the kernel refuses to run such a
/// file (ETXTBSY). So nothing is started while a test writes a program.
static STARTING_OR_WRITING: Mutex<()> = Mutex::new(());

fn run(command: &mut Command) -> Output {
    let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    command.output().expect("bartizan runs")
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("short")
}

fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    List::new(items).expect("few")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

fn status(health: Health) -> Answer {
    Answer::Status(Box::new(Status {
        version: text("0.1.0"),
        mode: Mode::SingleUser,
        health,
        problems: List::default(),
        uptime_s: 3_723,
        processes: list(vec![
            ProcessRow { role: Role::Core, pid: 100, uptime_s: 3_723, restarts: 0, note: text("") },
            ProcessRow { role: Role::Connector, pid: 0, uptime_s: 0, restarts: 2, note: text("again in 2s\u{1b}[2J") },
        ]),
        server: text("https://chat.example.com"),
        server_version: text("10.5.0"),
        connected: true,
        bot: text("bartizan"),
        running: 1,
        queued: 0,
        undecided: 0,
        undelivered: 0,
        lockdown: None,
        paused: None,
        pipelines: 0,
        due: 0,
        started: 12,
        refused: 3,
        scripts: 4,
        alerts: List::cut([AlertRow { age_s: 60, what: Text::cut("connector dropped: it lied") }]),
        brain: BrainStatus {
            state: BrainState::Open,
            remedy: Text::default(),
            key: Text::cut("file /etc/bartizan/brain.key"),
            epoch: 7,
            records: 3,
            token: true,
        },
    }))
}

fn row() -> JobRow {
    JobRow {
        job: JobId(7),
        script: "disk-usage".parse().expect("a name"),
        state: JobState::Running,
        user: "abcdefghijklmnopqrstuvwxyz".parse().expect("an id"),
        user_name: text("bob"),
        channel: text("ops"),
        pid: 4242,
        age_ms: 1_250,
        command: text("disk-usage /srv"),
    }
}

fn given() -> Vec<Given> {
    vec![
        Given { guarantee: Guarantee::Signals, by: list(vec![Layer::PidNamespace, Layer::LandlockScope]) },
        Given { guarantee: Guarantee::KernelSurface, by: list(vec![Layer::Seccomp]) },
    ]
}

fn inspection() -> Inspection {
    Inspection {
        row: row(),
        post: "zyxwvutsrqponmlkjihgfedcba".parse().expect("an id"),
        path: text("/opt/scripts/disk-usage.sh"),
        sha256: text("ab12"),
        place: Text::default(),
        uid: Some(1000),
        limits: bartizan_proto::worker::Limits::default(),
        timeout_ms: 30_000,
        layers: list(vec![InForce { layer: Layer::Seccomp, state: LayerState::On, detail: text("Seccomp: 2") }]),
        given: list(given()),
        pids: list(vec![4242, 4243]),
        usage: Usage { elapsed_us: 1_250_000, user_us: 4_000, system_us: 2_000, max_rss: 3 << 20, output: 17 },
        ending: Some(Ending::Ended(ExitStatus::Code(3))),
        tail: text("first\nlast \u{1b}]0;x\u{7}"),
    }
}

#[test]
fn status_is_one_screen_and_healthy_is_0() {
    let (output, asked) = FakeCore::answering(status(Health::Ok)).run(&["status"]);
    assert_eq!(asked, Some(Request::Status));
    assert_eq!(
        stdout(&output),
        "\
Bartizan  ok, up 1h 2m 3s
Version   0.1.0, single-user
Server    https://chat.example.com (10.5.0), connected
Bot       bartizan
Jobs      1 running, 0 queued, 12 started so far
Commands  0 undecided, 3 refused so far
Replies   0 not delivered yet
Scripts   4
Brain     open
! alert 1m ago: connector dropped: it lied

PROCESS    PID  UP        RESTARTS  NOTE
core       100  1h 2m 3s  0
connector  -    -         2         again in 2s<U+001B>[2J
"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_degraded_service_is_1() {
    let (output, _) = FakeCore::answering(status(Health::Degraded)).run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn json_is_the_answer_itself() {
    let (output, _) = FakeCore::answering(status(Health::Ok)).run(&["--json", "status"]);
    let answer: Status = serde_json::from_slice(&output.stdout).expect("the same type again");
    assert_eq!(Answer::Status(Box::new(answer)), status(Health::Ok));
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn ps_is_a_table() {
    let (output, asked) = FakeCore::answering(Answer::Ps(list(vec![row()]))).run(&["ps"]);
    assert_eq!(asked, Some(Request::Ps));
    assert_eq!(
        stdout(&output),
        "\
JOB  STATE    AGE       USER  CHANNEL  PID   COMMAND
7    running  1s 250ms  bob   #ops     4242  disk-usage /srv
"
    );
}

#[test]
fn inspect_shows_what_the_kernel_says_and_an_inert_tail() {
    let (output, asked) = FakeCore::answering(Answer::Inspect(Box::new(inspection()))).run(&["inspect", "7"]);
    assert_eq!(asked, Some(Request::Inspect { job: JobId(7) }));
    assert_eq!(
        stdout(&output),
        "\
Job           7, running
Command       disk-usage /srv
Asked for by  bob (abcdefghijklmnopqrstuvwxyz) in #ops, post zyxwvutsrqponmlkjihgfedcba
Since         1s 250ms
Script        disk-usage at /opt/scripts/disk-usage.sh
SHA-256       ab12
Runs by       local
Ending        exit 3
Runs as       uid 1000, worker 4242, processes 4242 4243
Used          1s 250ms elapsed, 4ms user, 2ms system, 3.0 MiB resident, 17 B of output
Limits        30s time, 1.0 GiB memory, 30m CPU, 50 processes, 256 open files, 64.0 MiB a file, 128.0 MiB scratch

In force, read back from the kernel
LAYER    SHORT  STATE  READ BACK
seccomp  sec    on     Seccomp: 2

GUARANTEE       pid  lls  sec
signals         ✔    ✔    –
kernel-surface  –    –    ✔

The end of its output
| first
| last <U+001B>]0;x<U+0007>
"
    );
}

#[test]
fn kill_says_what_it_does() {
    let (output, asked) = FakeCore::answering(Answer::Killing { job: JobId(7) }).run(&["kill", "7"]);
    assert_eq!(asked, Some(Request::Kill { job: JobId(7) }));
    assert_eq!(stdout(&output), "Stopping job 7.\n");
}

#[test]
fn restart_says_how_long_jobs_may_go_on() {
    let answers = vec![status(Health::Ok), Answer::Restarting { running: 2, drain_ms: 120_000 }];
    let (output, asked) = FakeCore::answering_all(answers).run(&["restart", "--no-wait"]);
    assert_eq!(asked, Some(Request::Restart { now: false }));
    assert_eq!(stdout(&output), "Restarting: 2 jobs have up to 2m to end.\n");
}

#[test]
fn health_is_one_line_and_an_exit_code() {
    for (health, code) in [(Health::Ok, 0), (Health::Degraded, 1), (Health::Stopping, 1)] {
        let (output, _) = FakeCore::answering(status(health)).run(&["health"]);
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(stdout(&output).lines().count(), 1, "{}", stdout(&output));
    }
}

#[test]
fn a_refusal_is_4_and_one_line_on_stderr() {
    let refused = Answer::Refused { refusal: Refusal::NotFound, why: text("there is no job 9; see bartizan ps") };
    let (output, _) = FakeCore::answering(refused).run(&["kill", "9"]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stdout(&output), "");
    assert_eq!(stderr(&output), "bartizan: there is no job 9; see bartizan ps\n");
}

#[test]
fn a_wrong_configuration_is_2_and_differences_are_listed() {
    let report = |error: Option<&str>| {
        Answer::Config(ConfigReport {
            path: text("/etc/bartizan/bartizan.toml"),
            error: error.map(text),
            differences: list(vec![text("script hello: timeout 30s, was 10s")]),
            warnings: list(vec![text("nobody is an admin")]),
        })
    };
    let (output, asked) = FakeCore::answering(report(None)).run(&["check-config"]);
    assert_eq!(asked, Some(Request::CheckConfig));
    assert_eq!(
        stdout(&output),
        "✔ /etc/bartizan/bartizan.toml is right.\n! nobody is an admin\nA reload would change:\n  script hello: timeout 30s, was 10s\n"
    );
    assert_eq!(output.status.code(), Some(0));
    let (output, _) = FakeCore::answering(report(Some("bartizan.toml:3: no such key"))).run(&["check-config"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn nobody_there_is_3_with_the_remedy() {
    let place = tempfile::tempdir().expect("tempdir");
    let output = bartizan(&place.path().join("control.sock"), &["ps"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("--socket"), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn a_peer_of_another_version_is_3_and_says_so() {
    let (output, _) = FakeCore::doing(|mut channel| {
        let _theirs: Option<Version> = channel.receive().expect("a frame");
        channel.send(&Version { role: Role::Core, protocol: 999 }).expect("sent");
        None
    })
    .run(&["ps"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("not of one version"), "{}", stderr(&output));
}

#[test]
fn an_answer_to_another_question_is_1() {
    let (output, _) = FakeCore::answering(Answer::Ps(List::default())).run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
}

/// A directory with the program and beside it a script in the place of another of Bartizan's programs.
fn installed_with(name: &str, script: &str) -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let place = tempfile::tempdir().expect("tempdir");
    let program = place.path().join("bartizan");
    std::fs::copy(env!("CARGO_BIN_EXE_bartizan"), &program).expect("copied");
    let sibling = place.path().join(name);
    std::fs::write(&sibling, format!("#!/bin/sh\n{script}")).expect("written");
    std::fs::set_permissions(&sibling, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    (place, program)
}

#[test]
fn check_config_of_a_file_is_the_brokers_word() {
    let broker = "case \"$*\" in *right.toml) echo 'ok: 1 script'; echo 'warning: in clear';; \
                  *) echo \"$3:4: no such key\" >&2; exit 2;; esac\n";
    let (place, program) = installed_with("bartizan-broker", broker);
    let check = |file: &str| run(Command::new(&program).current_dir(&place).args(["check-config", file]));
    let right = check("right.toml");
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));
    assert!(stdout(&right).ends_with("right.toml is right.\n! in clear\n"), "{}", stdout(&right));
    let wrong = check("wrong.toml");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stdout(&wrong).contains("wrong.toml:4: no such key"), "{}", stdout(&wrong));
}

#[test]
fn doctor_puts_the_machine_and_the_service_on_one_page() {
    let probe = serde_json::json!({
        "layers": [InForce { layer: Layer::Seccomp, state: LayerState::On, detail: text("Seccomp: 2") }],
        "given": given(),
    });
    let (_place, program) = installed_with("bartizan-worker", &format!("echo '{probe}'\n"));
    let service = Doctor {
        mode: Mode::SingleUser,
        limits: list(vec![text("a script runs as the operator's own user")]),
        require: list(vec![Guarantee::KernelSurface]),
        given: List::default(),
        layers: List::default(),
        checks: list(vec![Check {
            what: text("brain"),
            verdict: CheckVerdict::Fail,
            detail: text("it is gone; restore it from the backup"),
        }]),
    };
    let core = FakeCore::answering(Answer::Doctor(Box::new(service)));
    let socket = core.place.path().join("control.sock");
    let output = run(Command::new(&program).arg("doctor").arg("--socket").arg(&socket));
    assert_eq!(core.thread.join().expect("the fake core"), Some(Request::Doctor));
    let shown = stdout(&output);
    for line in [
        "Service  single-user\n",
        "kernel-surface  yes       –    –    ✔\n",
        "✘ brain: it is gone; restore it from the backup\n",
        "! a script runs as the operator's own user\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    assert_eq!(output.status.code(), Some(1), "a check failed");
}

#[test]
fn doctor_without_a_service_tells_of_the_machine() {
    let probe = serde_json::json!({ "layers": [], "given": given() });
    let (place, program) = installed_with("bartizan-worker", &format!("echo '{probe}'\n"));
    let socket = place.path().join("none.sock");
    let output = run(Command::new(&program).args(["doctor", "--socket"]).arg(&socket));
    assert!(stdout(&output).contains("Service  not asked\n"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn doctor_says_that_the_machine_could_not_be_tried_and_is_1() {
    let (place, program) = installed_with("bartizan-worker", "echo 'no Landlock here' >&2; exit 1\n");
    let socket = place.path().join("none.sock");
    let output = run(Command::new(&program).args(["doctor", "--socket"]).arg(&socket));
    assert!(stdout(&output).contains("no Landlock here"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
}
