//! `bartizan setup` against a server, at a terminal and without one: every answer is checked there, nothing is written before all of
//! them are right, and nothing is lost of what was.

use bartizan_playground::server::{ChannelKind, Options, Server};
use bartizan_tests::house;
use bartizan_tests::terminal::Terminal;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const TEMPLATE: &str = "# mine\n[server]\nurl = \"https://chat.example.com\"\nteam = \"bartizan\"\n\n[bot]\ntoken-file = \"token\"\n\n\
    # who\n[people]\nbob = \"operator\"\n";

/// A configuration that nobody has filled in, and a server.
struct Ground {
    folder: TempDir,
    server: Server,
}

impl Ground {
    fn new(options: Options) -> Self {
        house::stand();
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("bartizan.toml"), TEMPLATE).expect("written");
        fs::write(folder.path().join("token"), "put-the-token-of-the-bot-here\n").expect("written");
        Self { folder, server: Server::start(options).expect("the server starts") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("BARTIZAN_SOCKET", self.path("nobody-listens.sock"));
        command
    }

    /// Without a terminal: these words, and the token through a pipe.
    fn piped(&self, words: &[&str], token: &str) -> Output {
        let mut command = self.command(house::programs().join("bartizan").to_str().expect("a path"));
        command.args(["--json", "setup", "--config"]).arg(self.path("bartizan.toml")).args(words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // One that refuses at once does not read it.
        let _closed = child.stdin.take().expect("a pipe").write_all(token.as_bytes());
        child.wait_with_output().expect("its end")
    }
}

#[test]
fn without_a_terminal_everything_is_checked_and_written_at_once() {
    let ground = Ground::new(Options::default());
    let server = ground.server.file();
    let words = ["--url", &server.url, "--team", &server.team.name, "--admin", "@Alice", "--channel", "#ops"];
    let output = ground.piped(&words, &server.bot.token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((done["admin"].as_str(), done["channels"][0].as_str()), (Some("alice"), Some("ops")));
    let warned = done["warnings"].to_string();
    assert!(warned.contains("whole channels") && warned.contains("channel_user"), "{warned}");
    let config = ground.read("bartizan.toml");
    for line in
        [&format!("url = \"{}\"", server.url), "channels = [\"ops\"]", "bob = \"operator\"", "alice = \"admin\""]
    {
        assert!(config.contains(line), "{line} is not in {config}");
    }
    assert!(config.starts_with("# mine\n") && config.contains("# who\n"), "{config}");
    assert_eq!(fs::read_to_string(done["kept"].as_str().expect("kept")).expect("there"), TEMPLATE);
    assert_eq!(ground.read("token").trim_end(), server.bot.token);
    let mode = fs::metadata(ground.path("token")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o400);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(&server.bot.token), "the token is in what it says");
}

#[test]
fn each_wrong_answer_has_its_own_words_and_nothing_is_written() {
    let ground = Ground::new(Options::default());
    let server = ground.server.file();
    let team = &*server.team.name;
    ground.server.add_channel("secret-plans", ChannelKind::Private, &["alice"]);
    ground.server.deactivate("dave");
    let cases: &[(&[&str], &str, &str)] = &[
        (&["--team", team, "--admin", "alice"], &server.bot.token, "--url is missing"),
        (
            &["--url", "http://127.0.0.1:1", "--team", team, "--admin", "alice"],
            &server.bot.token,
            "could not be reached",
        ),
        (&["--url", "gopher://x", "--team", team, "--admin", "alice"], &server.bot.token, "must be http(s)://"),
        (
            &["--url", &server.url, "--team", team, "--admin", "alice"],
            "somebody-elses-token",
            "does not know this token",
        ),
        (
            &["--url", &server.url, "--team", team, "--admin", "alice"],
            "put-the-token-of-the-bot-here",
            "an example's placeholder",
        ),
        (
            &["--url", &server.url, "--team", "nobody", "--admin", "alice"],
            &server.bot.token,
            "knows no team \"nobody\"",
        ),
        (&["--url", &server.url, "--team", team, "--admin", "zoe"], &server.bot.token, "knows no user of that name"),
        (&["--url", &server.url, "--team", team, "--admin", "dave"], &server.bot.token, "deactivated"),
        (&["--url", &server.url, "--team", team, "--admin", &server.bot.name], &server.bot.token, "it is a bot"),
        (
            &["--url", &server.url, "--team", team, "--admin", "alice", "--channel", "secret-plans"],
            &server.bot.token,
            "/invite @",
        ),
    ];
    for (words, token, expected) in cases {
        let output = ground.piped(words, token);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(expected) && said.trim_end().lines().count() == 1, "{expected}: {said}");
        assert_eq!(ground.read("bartizan.toml"), TEMPLATE);
        assert!(ground.read("token").starts_with("put-the-token"));
    }
}

#[test]
fn a_ca_of_ones_own_is_asked_for_where_the_system_does_not_know_it() {
    let ground = Ground::new(Options { tls: true, ..Options::default() });
    let server = ground.server.file();
    fs::write(ground.path("ca.pem"), ground.server.ca_pem().expect("a CA")).expect("written");
    let ca = ground.path("ca.pem").to_string_lossy().into_owned();
    let words = ["--url", &server.url, "--team", &server.team.name, "--admin", "alice"];
    let output = ground.piped(&words, &server.bot.token);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--ca-file"), "{said}");
    let output = ground.piped(&[&words[..], &["--ca-file", &ca, "--dry-run"]].concat(), &server.bot.token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ground.read("bartizan.toml"), TEMPLATE, "--dry-run writes nothing");
    let output = ground.piped(&[&words[..], &["--ca-file", &ca]].concat(), &server.bot.token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(ground.read("bartizan.toml").contains(&format!("ca-file = \"{ca}\"")));
}

#[test]
fn at_a_terminal_a_wrong_answer_is_asked_again_the_token_is_not_shown_and_the_change_is() {
    let ground = Ground::new(Options::default());
    let server = ground.server.file();
    let config = ground.path("bartizan.toml");
    let words = ["setup", "--config", config.to_str().expect("a path")];
    let socket = ground.path("nobody-listens.sock");
    let mut at = Terminal::start(&house::programs().join("bartizan"), &words, &[("BARTIZAN_SOCKET", &socket)]);
    at.answer("Address of the Mattermost server: ", "http://127.0.0.1:1");
    at.answer("could not be reached", &server.url);
    // Nothing at all, then the token: each once the terminal shows nothing any more.
    at.answer("(not shown): ", "");
    at.answer("(not shown): ", &server.bot.token);
    at.answer("Team, as in", &server.team.name);
    at.answer("First admin", "nobody-of-that-name");
    at.answer("knows no user", "alice");
    at.answer("Channels where", "ops, deployments");
    at.answer("[Y/n]", "y");
    at.until("Next");
    assert!(at.ended().success());
    assert!(at.seen.contains("+channels = [\"ops\", \"deployments\"]"), "{}", at.seen);
    assert!(!at.seen.contains(&server.bot.token), "the token is on the screen");
    assert!(ground.read("bartizan.toml").contains("alice = \"admin\""));
    assert_eq!(ground.read("bartizan.toml.1"), TEMPLATE);
}
