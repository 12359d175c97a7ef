//! `bartizan setup` on a fresh installation: from nothing to the first answer in chat.

use bartizan_tests::installed::{OPERATOR, Place, SERVICE};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};

fn setup(place: &Place, token: &str, more: &[&str]) -> Output {
    let server = place.server.file();
    let mut command = std::process::Command::new(place.path("bin/bartizan"));
    command.args(["setup", "--url", &server.url, "--team", &server.team.name, "--admin", "alice"]).args(more);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(token.as_bytes()).expect("written");
    child.wait_with_output().expect("its end")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn from_a_fresh_installation_one_command_leads_to_the_first_answer() {
    let Some(place) = Place::empty() else { return };
    let fresh = [("URL", ""), ("TEAM", ""), ("TOKEN_FILE", "")];
    let done = place.make("install", &fresh);
    assert!(done.status.success(), "{}", said(&done));
    let token = place.server.file().bot.token;
    let done = setup(&place, &token, &["--channel", "ops"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(!said(&done).contains(&token));
    // Everything is whose it must be.
    let kept = fs::metadata(place.path("etc/bartizan/keys/token")).expect("a token");
    assert_eq!((kept.uid(), kept.mode() & 0o7777), (SERVICE.uid, 0o400));
    let config = fs::metadata(place.path("etc/bartizan/bartizan.toml")).expect("a configuration");
    assert_eq!((config.uid(), config.mode() & 0o7777), (0, 0o644));
    let mut running = place.start();
    assert!(running.ask("alice", "!ping").contains("ong!"));
    // Once it runs, the token goes to the service itself.
    let done = setup(&place, &token, &[]);
    assert!(done.status.success() && said(&done).contains("bartizan restart"), "{}", said(&done));
    assert!(!place.read("etc/bartizan/bartizan.toml").lines().any(|line| line.starts_with("channels = [")));
    let log = place.bartizan(OPERATOR, &["audit", "show", "--json"]);
    assert!(said(&log).contains("token-set"), "{}", said(&log));
    running.works();
}
