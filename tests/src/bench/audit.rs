//! A long audit log: how fast one core verifies it, and that a service starts no later for it.

use super::numbers::median;
use super::progress::Progress;
use super::side::Programs;
use super::table::{Goal, Table};
use super::{BenchError, Effort, io};
use bartizan_audit::{Chain, SealingKey};
use bartizan_secret::SecretBytes;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key that signs nothing but this.
const KEY: [u8; 32] = [7; 32];

/// Verifies as many lines as the effort says, and starts beside them.
pub(super) fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let folder = tempfile::Builder::new().prefix("bartizan-").tempdir().map_err(io("a directory"))?;
    let log = folder.path().join("audit.jsonl");
    write(&log, effort.audit_lines, progress)?;

    let before = cpu_of_children()?;
    let mut verify = Command::new(programs.folder.join("bartizan"));
    let verified = verify.args(["audit", "verify"]).arg(&log).output().map_err(io("bartizan audit verify"))?;
    let took = cpu_of_children()?.saturating_sub(before);
    if !verified.status.success() {
        return Err(BenchError::Missing(String::from_utf8_lossy(&verified.stdout).into_owned()));
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = effort.audit_lines as f64 / took.as_secs_f64();
    let figure = format!("audit verify of {} lines, one core", effort.audit_lines);
    table.absolute(&figure, format!("{rate:.0} /s"), String::new(), rate, Goal::AtLeast(40_000.0), " /s");

    let (mut long, mut none) = (Vec::new(), Vec::new());
    for number in 0..effort.starts {
        progress.say("starts beside a long audit log", number, effort.starts);
        long.push(start(programs, Some(&log))?);
        none.push(start(programs, None)?);
    }
    let figure = format!("core up beside {} audit lines, and none", effort.audit_lines);
    table.times(&figure, median(&long), median(&none), Goal::AtMost(1.3));
    Ok(())
}

/// What ended children have used of one core: what else the machine does does not count.
fn cpu_of_children() -> Result<Duration, BenchError> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| io("the use of a core")(error.into()))?;
    let of = |time: nix::sys::time::TimeVal| {
        let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
        Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

/// Lines such as a job leaves.
fn write(path: &Path, lines: u64, progress: &mut Progress) -> Result<(), BenchError> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io("the log"))?);
    let memory = |error: bartizan_secret::SecretMemoryError| BenchError::Missing(error.to_string());
    let seed = SecretBytes::build(KEY.len(), |memory| memory.copy_from_slice(&KEY)).map_err(memory)?;
    let mut chain = Chain::after(SealingKey::of(&seed).map_err(memory)?, None);
    let fields = json!({
        "event": "job-end", "executionId": 4711, "scriptName": "deploy", "userId": "u".repeat(26), "userName": "alice",
        "channelId": "c".repeat(26), "postId": "p".repeat(26), "success": true, "exitCode": 0,
        "ending": { "ended": { "code": 0 } }, "durationMs": 45230, "userUs": 1200, "systemUs": 800,
        "maxRss": 4_194_304, "outputBytes": 120, "error": null,
    });
    let fields = fields.as_object().cloned().unwrap_or_default();
    for number in 0..lines {
        if number % 50_000 == 0 {
            let shown = |count: u64| usize::try_from(count / 1000).unwrap_or(usize::MAX);
            progress.say("thousands of audit lines", shown(number), shown(lines));
        }
        let line = chain.seal("2026-01-01T00:00:00.000Z", fields.clone());
        writeln!(out, "{line}").map_err(io("the log"))?;
    }
    out.flush().map_err(io("the log"))
}

/// From the start of the program until its control socket is there, which comes after database and log are open.
fn start(programs: &Programs, log: Option<&Path>) -> Result<Duration, BenchError> {
    let home = tempfile::Builder::new().prefix("bartizan-").permissions(Permissions::from_mode(0o700)).tempdir();
    let home = home.map_err(io("a directory"))?;
    let write = |name: &str, content: &[u8], mode: u32| {
        let path = home.path().join(name);
        std::fs::write(&path, content).map_err(io(name))?;
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(io(name))
    };
    for name in ["state", "run"] {
        let path = home.path().join(name);
        std::fs::create_dir(&path).map_err(io(name))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(io(name))?;
    }
    let config = "[server]\nurl = \"http://127.0.0.1:9\"\nteam = \"demo\"\n[bot]\ntoken-file = \"token\"\n\
                  [state]\ndirectory = \"state\"\n[control]\ndirectory = \"run\"\n";
    write("bartizan.toml", config.as_bytes(), 0o600)?;
    write("allowlist.toml", b"scripts = []\n", 0o600)?;
    write("token", b"abcdefghijklmnopqrstuvwxyz\n", 0o600)?;
    if let Some(log) = log {
        // The same file for every start: what each one adds is a line or two.
        std::fs::hard_link(log, home.path().join("state/audit.jsonl")).map_err(io("the log"))?;
        std::fs::set_permissions(log, Permissions::from_mode(0o600)).map_err(io("the log"))?;
        write("state/audit.key", &KEY, 0o400)?;
    }
    let mut command = Command::new(programs.folder.join("bartizan-broker"));
    command.arg("--config").arg(home.path().join("bartizan.toml")).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().map_err(io("bartizan-broker"))?;
    let socket = home.path().join("run/control.sock");
    while !socket.exists() {
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::Missing("the control socket did not come".to_owned()));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    let took = begun.elapsed();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)
        .map_err(|error| io("bartizan-broker")(error.into()))?;
    child.wait().map_err(io("bartizan-broker"))?;
    Ok(took)
}
