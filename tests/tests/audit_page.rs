//! `bartizan audit serve` over a running service: what a browser gets, what an attacker gets, and that a real browser shows it.

use bartizan_tests::house::{House, PATIENCE, Plan, skip, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// What somebody writes who hopes that it is shown as it is.
const HOSTILE: &str = "<script>document.title='taken'</script>";

/// The page's process. Dropping it ends it.
struct Page {
    child: Child,
    /// What it says is kept open: it would be killed by a pipe without a reader.
    _said: BufReader<ChildStderr>,
    /// `127.0.0.1:PORT`, or the path of its socket.
    at: String,
}

impl Page {
    fn start(house: &House, listen: &str) -> Self {
        let socket = house.service.socket().with_file_name("read.sock");
        let mut command = Command::new(house.programs.join("bartizan"));
        command.env_clear().args(["audit", "serve", "--listen", listen, "--socket"]).arg(socket);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        let at = line.split_whitespace().skip_while(|word| *word != "at").nth(1).unwrap_or_else(|| panic!("{line}"));
        let at = at.trim_start_matches("http://").trim_end_matches([';', '/']).to_owned();
        Self { child, _said: said, at }
    }

    /// Sends these bytes and gives all that comes back.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.at).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        // It may have said no and closed before all was sent.
        let _closed = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, target: &str) -> String {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A house in which something happened: runs that ended well and badly, refusals, and words of a stranger's.
async fn lived_in() -> House {
    let plan = Plan::default().bash("broken", "echo no; exit 7", "").bash("backup", "echo saved", "");
    let house = House::build(plan).await;
    for (who, channel, words) in [
        ("carol", "ops", "!hello World"),
        ("bob", "ops", "!deploy"),
        ("carol", "ops", "!deploy"),
        ("carol", "random", "!broken"),
        ("alice", "ops", "!backup"),
        ("bob", "random", "!deploy"),
    ] {
        house.ask(who, channel, words).await;
    }
    house.say("mallory", "ops", "!hello World");
    house.ask("carol", "ops", &format!("!argv \"{HOSTILE}\"")).await;
    house.ask("alice", "ops", "!hello Team").await;
    house
}

#[tokio::test(flavor = "current_thread")]
async fn the_page_shows_who_ran_what_and_that_the_log_is_whole_and_is_markup_for_nobody_elses_words() {
    let house = lived_in().await;
    let page = Page::start(&house, "127.0.0.1:0");
    let first = page.get("/");
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    for part in [
        "Content-Security-Policy: default-src 'none'; style-src 'self';",
        "The log is as it was written.",
        "the running service&#39;s key",
        "<bdi>carol</bdi>",
        "<bdi>#ops</bdi>",
        "!deploy",
        "&lt;script&gt;document.title=",
        "<svg class=\"chart\"",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(!first.contains("<script"), "{first}");

    // The same for programs, by each filter.
    let all = page.json("/runs.json");
    assert_eq!((&all["chain"]["state"], &all["chain"]["behind"]), (&"whole".into(), &0.into()), "{all}");
    let verdicts = |target: &str| -> Vec<(String, String)> {
        let rows = page.json(target)["runs"].as_array().cloned().expect("rows");
        let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (word(row, "person"), word(row, "verdict"))).collect()
    };
    assert!(verdicts("/runs.json?verdict=refused").contains(&("carol".into(), "refused".into())));
    assert_eq!(verdicts("/runs.json?script=broken"), [("carol".to_owned(), "failed".to_owned())]);
    assert_eq!(verdicts("/runs.json?person=@bob&verdict=succeeded").len(), 1);
    assert_eq!(verdicts("/runs.json?person=bob&from=2999-01-01"), []);
    assert!(page.get("/runs.json?order=x").starts_with("HTTP/1.1 400 "));

    // One run, and its receipt, which verifies without the service.
    let job = page.json("/runs.json?script=broken")["runs"][0]["job"].as_u64().expect("a job");
    let one = page.get(&format!("/run/{job}"));
    for part in ["exit 7", "<h2 id=\"receipt\">", "As it was written.", "permission", "job-running"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    assert!(!one.contains("NOT VERIFIED"), "{one}");
    let receipt = page.get(&format!("/run/{job}.json"));
    let (head, body) = receipt.split_once("\r\n\r\n").expect("an answer");
    assert!(head.contains("Content-Disposition: attachment"), "{head}");
    let file = house.files.path().join("receipt.json");
    std::fs::write(&file, body).expect("written");
    let key = all["chain"]["report"]["keys"][0].as_str().expect("a key");
    let verified = house.operator(&["receipt", "verify", &file.display().to_string(), "--key", key]).await;
    assert!(verified.success(), "{}", verified.output);
    let refused = page.json("/runs.json?verdict=refused&person=carol")["runs"][0]["line"].as_u64().expect("a line");
    let line = page.get(&format!("/line/{refused}"));
    assert!(line.contains("<h2 id=\"gates\">") && line.contains("refuse"), "{line}");

    // What comes later is there at once.
    house.ask("bob", "ops", "!hello Later").await;
    let newer = page.json("/runs.json?limit=1");
    assert_eq!(newer["runs"][0]["person"], "bob", "{newer}");
    assert_eq!(newer["chain"]["state"], "whole", "{newer}");

    // Another line of the log's own in a line's place, while it is served: signed as well, and somebody else's deed.
    for _ in 0..4 {
        house.ask("carol", "ops", "!deploy").await;
    }
    let log = house.service.state().join("audit.jsonl");
    let whole = std::fs::read_to_string(&log).expect("the log");
    let lines: Vec<&str> =
        whole.lines().filter(|line| line.contains("\"decision\"") && line.contains("!deploy")).collect();
    let pair = lines.iter().enumerate().find_map(|(at, line)| {
        let other = lines[at + 1..].iter().find(|other| other.len() == line.len())?;
        Some((*line, *other))
    });
    let (victim, other) = pair.expect("two of one length");
    let number = serde_json::from_str::<Value>(victim).expect("JSON")["sequence"].as_u64().expect("a number");
    let address = format!("/line/{number}");
    assert!(page.get(&address).contains("<td>right</td>"), "{number}");
    std::fs::write(&log, whole.replacen(victim, other, 1)).expect("written");
    let replaced = page.get(&address);
    assert!(replaced.contains("NOT VERIFIED: something else stands there now"), "{replaced}");
    assert!(!replaced.contains("<td>right</td>"), "{replaced}");
    // Seen once, all of it is read again.
    let told = until(|| Some(page.get("/")).filter(|page| page.contains("NOT as it was written"))).await;
    assert!(told.is_some(), "nobody looked again");
    std::fs::write(&log, &whole).expect("written");

    // A log that somebody changed says so.
    let log = house.service.state().join("audit.jsonl");
    let text = std::fs::read_to_string(&log).expect("the log");
    std::fs::write(&log, text.replacen("\"success\":false", "\"success\":true ", 1)).expect("written");
    let again = Page::start(&house, "127.0.0.1:0");
    let told = until(|| Some(again.get("/")).filter(|page| page.contains("NOT as it was written"))).await;
    assert!(told.expect("a warning").contains("edited"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_attacker_on_this_host_or_behind_a_browser_gets_nothing_out_of_it() {
    let house = House::open().await;
    house.works().await;
    let page = Page::start(&house, "127.0.0.1:0");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
        ("GET / HTTP/1.1\r\nHost: localhost.evil.example:80\r\n\r\n", "421"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b", "413"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
            "400",
        ),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ("GET /run/01 HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("GET /run/18446744073709551616 HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("GET /run/999999 HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("\x16\x03\x01\x02\r\n\r\n", "400"),
    ] {
        let answer = page.send(request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n") && answer.contains("default-src 'none'"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer a connection: {answer}");
    }
    let long = format!("GET /?person={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    assert!(page.send(long.as_bytes()).starts_with("HTTP/1.1 431 "));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(100_000));
    assert!(page.send(many.as_bytes()).starts_with("HTTP/1.1 431 "));
    let two = "GET /page.css HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\nGET /runs.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(page.send(two.as_bytes()).matches("HTTP/1.1 ").count(), 1, "the second is nobody's");
    let head = page.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "no body: {head}");

    // Many that say one byte and then nothing: others are served when their time is over.
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&page.at).expect("it listens")).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"G").expect("sent"));
    assert!(page.get("/page.css").starts_with("HTTP/1.1 200 OK\r\n"));
    let threads = std::fs::read_dir(format!("/proc/{}/task", page.child.id())).map_or(0, Iterator::count);
    // One that has ended may take a moment to be gone.
    assert!(threads < 36, "{threads} threads");
    drop(slow);

    // One that goes on for ever, a byte at a time, has its time, too.
    let mut dripping = TcpStream::connect(&page.at).expect("it listens");
    let begun = std::time::Instant::now();
    dripping.write_all(b"GET / HTTP/1.1\r\nX: ").expect("sent");
    dripping.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    let mut answer = [0; 12];
    while dripping.read_exact(&mut answer).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it is still listened to");
        let _closed = dripping.write_all(b"x");
    }
    assert_eq!(&answer, b"HTTP/1.1 408");

    // What it has left itself: no capability, no new privileges, seccomp, and no way to command.
    let status = std::fs::read_to_string(format!("/proc/{}/status", page.child.id())).expect("it runs");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let read = house.service.socket().with_file_name("read.sock").display().to_string();
    for words in [
        &["kill", "1"][..],
        &["restart"],
        &["lockdown", "x"],
        &["pause"],
        &["drain"],
        &["resume"],
        &["brain", "export", "--in-clear"],
    ] {
        let refused = house.operator(&[words, &["--socket", &read]].concat()).await;
        assert_eq!(refused.status.and_then(|status| status.code()), Some(4), "{words:?}: {}", refused.output);
        assert!(refused.output.contains("for reading"), "{}", refused.output);
    }
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn over_a_unix_socket_it_is_for_the_sockets_group_alone() {
    let house = House::open().await;
    let path = house.files.path().join("page.sock");
    let page = Page::start(&house, path.to_str().expect("text"));
    assert_eq!(page.at, path.display().to_string());
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::symlink_metadata(&path).expect("there"));
    assert_eq!(mode & 0o7777, 0o660);
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream.write_all(b"GET /runs.json HTTP/1.1\r\nHost: localhost:9465\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // Two at one path, and one at an address of everybody's.
    for (listen, word) in [(path.to_str().expect("text"), "already"), ("0.0.0.0:9465", "loopback")] {
        let refused = house.operator(&["audit", "serve", "--listen", listen]).await;
        assert!(!refused.success() && refused.output.contains(word), "{}", refused.output);
    }
}

/// For the picture in the documents: a few minutes of a quiet day.
async fn live_on(house: &House) {
    for round in 0..14 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        for (who, words) in
            [("carol", "!hello World"), ("bob", "!deploy"), ("alice", "!backup")].iter().take(1 + round % 3)
        {
            house.ask(who, "ops", words).await;
        }
        if round % 4 == 1 {
            house.ask("carol", "ops", "!deploy").await;
        }
    }
}

/// A Chromium, by whatever name.
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// Runs it without a window; what it wrote to standard output.
fn browse(program: &Path, home: &Path, words: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    // Its own sandbox wants user namespaces or a setuid program; what it shows here is ours.
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--hide-scrollbars",
    ]);
    command.arg(format!("--user-data-dir={}", home.join("profile").display())).args(words);
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("XDG_CONFIG_HOME", home).env("XDG_CACHE_HOME", home);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ended = stdout.read_to_string(&mut text);
        text
    });
    let end = std::time::Instant::now() + PATIENCE * 2;
    while child.try_wait().ok()?.is_none() {
        if std::time::Instant::now() > end {
            let _ended = child.kill();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    reader.join().ok()
}

#[tokio::test(flavor = "current_thread")]
async fn a_real_browser_shows_the_page_and_runs_nothing_of_it() {
    let test = "a_real_browser_shows_the_page_and_runs_nothing_of_it";
    let Some(program) = chromium() else { return skip(test, "no Chromium is installed") };
    let house = lived_in().await;
    if std::env::var_os("BARTIZAN_PICTURES").is_some() {
        live_on(&house).await;
    }
    let page = Page::start(&house, "127.0.0.1:0");
    let home = house.files.path().join("browser");
    std::fs::create_dir(&home).expect("made");
    let address = format!("http://{}/", page.at);
    let dom = browse(&program, &home, &["--dump-dom", &address]).expect("it runs");
    assert!(dom.contains("<title>Bartizan: who ran what</title>"), "{dom}");
    for cell in ["<bdi>carol</bdi>", "<bdi>backup</bdi>", "<span class=\"verdict failed\">failed</span>"] {
        assert!(dom.contains(cell), "{cell}: {dom}");
    }
    assert!(!dom.contains("<script") && dom.contains("&lt;script&gt;document.title="), "{dom}");

    // As people see it: a picture in which there is something, with the style sheet, which the policy lets in.
    let picture = home.join("page.png");
    let shot = format!("--screenshot={}", picture.display());
    browse(&program, &home, &["--window-size=1240,1100", &shot, &address]).expect("it runs");
    let png = std::fs::read(&picture).expect("a picture");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 20_000, "{} bytes", png.len());
    // For docs/images, by hand.
    if let Some(folder) = std::env::var_os("BARTIZAN_PICTURES") {
        std::fs::write(Path::new(&folder).join("audit-page.png"), png).expect("written");
    }
}
