//! Two programs written by others work against the embedded server unchanged: the official `@mattermost/client`
//! from npm and `mmpy_bot` from PyPI. Each logs in, opens a websocket, posts, replies in a thread, reacts, and hears
//! what others write. Where they cannot be installed the test says so and is skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_playground::server::{Options, Server, password_of};

#[test]
fn official_npm_client_works_unchanged() {
    let Some(installed) = install("npm", "official_npm_client_works_unchanged") else { return };
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let mut command = Command::new("node");
    command.arg(sources().join("npm/bot.cjs")).arg(installed);
    command.args([&file.url, "alice", &password_of("alice"), &file.channels["ops"]]);
    let mut bot = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(bot.0.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"), "it never came online");
    // It says so when its websocket is open; events come once the server knows who it is.
    assert!(server.wait_for_socket("alice", Duration::from_secs(30)), "it never said who it is");

    let root = server.say("bob", "ops", "hello").expect("a post");
    assert!(lines.any(|line| line == "done"), "it did not see everything");
    assert!(bot.0.wait().expect("its end").success());
    answered(&server, &root, "alice");
}

#[test]
fn mmpy_bot_works_unchanged() {
    let Some(installed) = install("pypi", "mmpy_bot_works_unchanged") else { return };
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let (url, port) = file.url.rsplit_once(':').expect("a port");
    let mut command = Command::new(installed.join("venv/bin/python"));
    command.arg(sources().join("pypi/bot.py"));
    command.args([url, port, &file.bot.token, &file.team.name, &file.channels["ops"]]);
    let _bot = Running::start(&mut command);
    assert!(server.wait_for_socket("bartizan", Duration::from_secs(30)), "it never came online");

    let root = server.say("bob", "ops", "hello").expect("a post");
    answered(&server, &root, "bartizan");
    let other = server.say("bob", "ops", "a post by somebody").expect("a post");
    until("the thread was read", || server.replies(&other).iter().any(|post| post["message"] == "a thread of 1"));
}

/// The program's own post, its reply in the thread and its reaction are there.
fn answered(server: &Server, root: &str, who: &str) {
    until("a reply in the thread", || server.replies(root).iter().any(|post| post["message"] == "hello to you"));
    until("a reaction", || server.reactions(root) == [(who.to_owned(), "wave".to_owned())]);
    until("a post", || {
        let posts = server.posts("ops");
        posts.iter().any(|post| post["message"] == "a post of its own" && post["root_id"] == "")
    });
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < end, "{what} is missing");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that does not outlive its test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.stdin(Stdio::null()).spawn().expect("the program starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Where the program is installed, or none with the reason noted.
fn install(kind: &str, test: &str) -> Option<PathBuf> {
    // TARGET/debug/deps/this
    let executable = std::env::current_exe().expect("this program's path");
    let clients = executable.ancestors().nth(3).expect("the target directory").join("clients");
    let output = Command::new(sources().join("install")).arg(kind).arg(&clients).output().expect("the install script");
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Some(clients.join(kind)),
        Some(77) => {
            skip(&format!("{test}: {}", said.trim()));
            None
        }
        _ => panic!("the install script failed: {said}"),
    }
}

fn skip(line: &str) {
    let noted = std::env::var_os("BARTIZAN_SKIPS").is_some_and(|path| {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}")).is_ok()
    });
    if !noted {
        eprintln!("skipped: {line}");
    }
}
