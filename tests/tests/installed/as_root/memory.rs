//! Where the token, the keys and a secret are while the service works: what root finds in the memory of each process, in
//! its environment and on its command line. They are canaries: texts and bytes that are nowhere else.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use bartizan_tests::house::memory::{Looked, Needle, look, shown};
use bartizan_tests::house::seen;
use bartizan_tests::installed::{OPERATOR, Place, Running, skip};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The value of a secret.
const SECRET: &str = "canary-secret-6c1f0f9b5d2e4a7788";

/// A script has it in a variable, in a file, and in a process's memory.
const HOLDER: &str = "#!/bin/bash\nheld=\"$CANARY\"; touch /tmp/held\nsleep 8\necho over ${#held}\n";

/// `bartizan …` by an operator, with something on its standard input.
fn tell(place: &Place, words: &[&str], input: &str) {
    let mut command = OPERATOR.command(place.path("bin/bartizan"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("`bartizan` runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("waited");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The keys as they are now: the brain's master key and data key, and the key that signs the audit log.
fn keys(place: &Place) -> Vec<Needle> {
    let state = place.path("var/lib/bartizan/state");
    let digits = fs::read_to_string(state.join("brain.key")).expect("the key file");
    let digits = digits.trim().as_bytes();
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16).expect("a digit")).expect("small");
    let master: Vec<u8> = digits.chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect();
    let data = data_key(&state.join("state.db"), &master);
    let audit = fs::read(state.join("audit.key")).expect("the audit key");
    [Needle::key("master key", &master), Needle::key("data key", &data), Needle::key("audit key", &audit)].concat()
}

/// Unwraps the data key as docs/decisions/0005-brain.md says.
fn data_key(database: &std::path::Path, master: &[u8]) -> Vec<u8> {
    // The service keeps it locked: a copy, with what was written last.
    let copy = tempfile::tempdir().expect("a directory");
    for (from, to) in [("", "copy"), ("-wal", "copy-wal")] {
        let from = database.with_file_name(format!("state.db{from}"));
        let _written_back_already = fs::copy(from, copy.path().join(to));
    }
    let database = Connection::open(copy.path().join("copy")).expect("the database");
    let row = database.query_row("SELECT key_id, wrapped FROM brain", [], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let (id, wrapped) = row.expect("a brain");
    let key: &Key<Aes256Gcm> = master.try_into().expect("32 bytes");
    let nonce: [u8; 12] = wrapped[..12].try_into().expect("a nonce");
    let about = [b"bartizan brain 1 data key\0".as_slice(), &id].concat();
    let (body, tag) = wrapped[12..].split_last_chunk::<16>().expect("a tag");
    let mut body = body.to_vec();
    let opened = Aes256Gcm::new(key).decrypt_inout_detached(
        &Nonce::from(nonce),
        &about,
        body.as_mut_slice().into(),
        &Tag::from(*tag),
    );
    opened.expect("it opens");
    body
}

fn has_secret_memory() -> bool {
    matches!(bartizan_secret::protection_here(), Ok(bartizan_secret::Protection::Secret))
}

/// Every process of the service and of its jobs, with its part.
fn everybody(running: &mut Running<'_>) -> Vec<(&'static str, u32)> {
    let known = running.processes();
    let part = |pid: u32| match pid {
        _ if pid == known.main || pid == known.egress_launcher => "launcher",
        _ if pid == known.core => "core",
        _ if pid == known.egress => "egress",
        _ if pid == known.connector => "connector",
        // The script, what it starts, and the first process of its sandbox, through which its secrets come.
        _ if seen::name(pid) != "bartizan-worker" || seen::name(parent(pid)) == "bartizan-worker" => "job",
        _ => "worker",
    };
    seen::below(known.main).into_iter().map(|pid| (part(pid), pid)).collect()
}

fn parent(pid: u32) -> u32 {
    seen::status(pid, "PPid:").first().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Looks into everybody. Gives who has what, where `may` does not say that they may, and the parts that were read.
fn whoever_has(
    running: &mut Running<'_>,
    needles: &[Needle],
    may: impl Fn(&str, &str) -> bool,
) -> (Vec<String>, BTreeSet<&'static str>) {
    let (mut wrong, mut read_of) = (Vec::new(), BTreeSet::new());
    for (part, pid) in everybody(running) {
        // While the core signs a line, its stack has the key, and is wiped then.
        let still = (part == "core").then(|| seen::Still::of(pid));
        let Some(Looked { found, read, secret }) = look(pid, needles) else { continue };
        drop(still);
        // A process of a job may be about to end, or to become another program.
        if read > 50_000 {
            read_of.insert(part);
        }
        if matches!(part, "core" | "egress") && has_secret_memory() {
            assert!(secret > 0, "{part} has no secret memory");
        }
        let found = found.into_iter().chain(shown(pid, needles)).filter(|(what, _)| !may(part, what));
        wrong.extend(found.map(|(what, place)| format!("{part} {pid}: {what} in {place}")));
    }
    (wrong, read_of)
}

#[test]
fn the_token_keys_and_secrets_are_where_they_belong_and_nowhere_else() {
    let Some(place) = Place::install() else { return };
    place.script("holder", HOLDER);
    let allowlist = place.read("etc/bartizan/allowlist.toml");
    let entry = "secrets = [{ secret = \"deploy/canary\", variable = \"CANARY\" }]\n";
    place.write("etc/bartizan/allowlist.toml", &(allowlist + entry), 0o644);
    let mut running = place.start();
    tell(&place, &["secret", "set", "deploy/canary"], SECRET);
    running.works();
    let first = place.server.file().bot;
    let token = |text: &str| Needle::text("token", text);

    // 1. At work: the token is in egress while it asks; nothing else is anywhere.
    let mut needles = keys(&place);
    needles.extend([token(&first.token), Needle::text("secret", SECRET)]);
    let (until, mut read_of) = (Instant::now() + Duration::from_secs(3), BTreeSet::new());
    while Instant::now() < until {
        place.server.say("carol", "ops", "!hello Busy").expect("said");
        let (wrong, read) = whoever_has(&mut running, &needles, |part, what| (part, what) == ("egress", "token"));
        assert_eq!(wrong, [""; 0]);
        read_of.extend(read);
    }
    for part in ["core", "egress", "connector", "launcher", "worker", "job"] {
        assert!(read_of.contains(part), "{part} was never read");
    }

    // 2. A job has its secret, and no other process has. That it is found there shows that it would be found elsewhere.
    place.server.say("carol", "ops", "!holder").expect("said");
    let held = running.wait("a script that has the secret", |running| {
        let jobs = everybody(running).into_iter().filter(|(part, _)| *part == "job");
        let has = |(_, pid): &(&str, u32)| look(*pid, &needles).is_some_and(|looked| !looked.found.is_empty());
        Some(jobs.filter(has).count()).filter(|count| *count > 0)
    });
    assert!(held > 0);
    let (wrong, _) = whoever_has(&mut running, &needles, |part, what| {
        matches!((part, what), ("job", "secret") | ("egress", "token"))
    });
    assert_eq!(wrong, [""; 0]);
    running.wait("its end", |running| {
        (!everybody(running).iter().any(|(_, pid)| seen::name(*pid) == "sleep")).then_some(())
    });

    // 3. New keys and a new token. Of the old ones nothing stays, nor of the new ones once nobody asks anything.
    let second = place.server.new_token(&first.name).expect("a token");
    tell(&place, &["token", "rotate"], &second);
    let rekeyed = Command::new(place.path("bin/bartizan")).args(["brain", "rekey"]).output().expect("runs");
    assert!(rekeyed.status.success(), "{}", String::from_utf8_lossy(&rekeyed.stderr));
    running.works();
    needles.extend(keys(&place));
    needles.push(token(&second));
    let begun = Instant::now();
    loop {
        let (wrong, _) = whoever_has(&mut running, &needles, |_, _| false);
        if wrong.is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{wrong:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    if !has_secret_memory() {
        skip("no memfd_secret here: locked memory was left out of the search");
    }
}
