//! `bartizan script new | try`: a beginning that works as it is, and a trial that says what the sandbox refused.

use bartizan_tests::house;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const CONFIG: &str = "[server]\nurl = \"https://chat.example.com\"\nteam = \"crew\"\n\n[bot]\ntoken-file = \"token\"\n\n\
    [state]\ndirectory = \"state\"\n\n[people]\nalice = \"admin\"\n\n[profiles.small]\nread = []\n";

/// A configuration, and an allowlist with nothing in it but a comment.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        house::stand();
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Self(folder);
        ground.write("bartizan.toml", CONFIG, 0o600);
        ground.write("token", "none\n", 0o600);
        ground.write("allowlist.toml", "# mine\n", 0o640);
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("its mode");
    }

    /// A script of the allowlist.
    fn script(&self, text: &str, entry: &str) {
        self.write("probe", text, 0o755);
        let list = format!("[[scripts]]\nname = \"probe\"\npath = \"probe\"\ndescription = \"Tries\"\n{entry}\n");
        self.write("allowlist.toml", &list, 0o640);
    }

    fn bartizan(&self, words: &[&str]) -> Output {
        let (verb, rest) = words.split_first().expect("a verb");
        let mut command = Command::new(house::programs().join("bartizan"));
        command.args(["--json", "script", verb, "--config"]).arg(self.path("bartizan.toml")).args(rest);
        command.stdin(Stdio::null()).output().expect("it runs")
    }

    fn tried(&self, arguments: &[&str]) -> Value {
        let words: Vec<&str> = ["try", "probe"].iter().chain(arguments).copied().collect();
        let output = self.bartizan(&words);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

#[test]
fn a_new_script_has_its_entry_and_its_test_and_runs_as_it_is() {
    for (language, first) in [("bash", "#!/bin/bash\n"), ("python", "#!/usr/bin/python3\n")] {
        let ground = Ground::new();
        let made = ground.bartizan(&["new", "report", "--lang", language]);
        assert!(made.status.success(), "{made:?}");
        assert!(ground.read("scripts/report").starts_with(first));
        let mode = |name: &str| ground.path(name).metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("scripts/report"), mode("allowlist.toml")), (0o755, 0o640));
        assert!(ground.read("allowlist.toml").starts_with("# mine\n\n[[scripts]]\nname = \"report\"\n"));
        assert_eq!(ground.read("allowlist.toml.1"), "# mine\n");
        assert!(ground.read("scripts/report.transcript.txt").contains("alice #ops> !report who=Bob\n"));

        // What was made is never made again, and it works.
        let (script, list) = (ground.read("scripts/report"), ground.read("allowlist.toml"));
        assert_eq!(ground.bartizan(&["new", "report"]).status.code(), Some(2));
        assert_eq!((ground.read("scripts/report"), ground.read("allowlist.toml")), (script, list));
        let tried = ground.bartizan(&["try", "report", "who=Ann"]);
        let answer: Value = serde_json::from_slice(&tried.stdout).unwrap_or_else(|error| panic!("{error}: {tried:?}"));
        assert_eq!(answer["output"], "Hello, Ann.\n", "{answer}");
        assert_eq!((answer["ended"].as_str(), tried.status.code()), (Some("exit 0"), Some(0)));
        // Nothing of the sandbox's own is said to be grantable, and a link is granted by what it leads to.
        let lines = answer["lines"].to_string();
        assert!(!lines.contains("/bartizan"), "{lines}");
        assert!(
            !lines.contains("/usr/share/locale/locale.alias")
                || !PathBuf::from("/usr/share/locale/locale.alias").is_symlink()
        );
    }
}

#[test]
fn nothing_is_made_where_something_is_there_or_wrong() {
    let ground = Ground::new();
    fs::create_dir(ground.path("scripts")).expect("a folder");
    ground.write("scripts/report", "mine", 0o755);
    assert_eq!(ground.bartizan(&["new", "report"]).status.code(), Some(2));
    assert_eq!((ground.read("scripts/report"), ground.read("allowlist.toml")), ("mine".into(), "# mine\n".into()));
    ground.write("allowlist.toml", "[[scripts]]\nname = \"x\"\npath = \"nowhere\"\ndescription = \"x\"\n", 0o640);
    let refused = ground.bartizan(&["new", "other"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("wrong as it is"), "{refused:?}");
    assert!(!ground.path("scripts/other").exists());
}

#[test]
fn a_trial_names_the_files_the_host_and_the_call_that_were_refused_and_the_lines_that_grant_them() {
    let ground = Ground::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = elsewhere.path().join("hidden");
    fs::write(&file, "x").expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let script = format!(
        "#!/usr/bin/python3\nimport ctypes, socket, subprocess\ndef tried(what):\n    try:\n        what()\n        return 'done'\n    \
         except OSError:\n        return 'refused'\nprint(tried(lambda: open('{0}')), tried(lambda: open('{1}/new', 'w')))\n\
         print(tried(lambda: socket.create_connection(('127.0.0.1', {2}), 3)))\n\
         print(ctypes.CDLL(None).sethostname(b'x', 1))\n\
         subprocess.run(['/bin/cat', '{0}.other'], stderr=subprocess.DEVNULL)\n",
        file.display(),
        elsewhere.path().display(),
        address.port()
    );
    fs::write(elsewhere.path().join("hidden.other"), "x").expect("written");
    ground.script(&script, "profile = \"small\"");
    let answer = ground.tried(&[]);
    assert_eq!(answer["output"], "refused refused\nrefused\n-1\n", "{answer}");
    let refused: Vec<&str> =
        answer["refused"].as_array().expect("a list").iter().filter_map(|r| r["what"].as_str()).collect();
    let folder = elsewhere.path().display();
    for what in [
        format!("read {folder}/hidden"),
        format!("write {folder}/new"),
        address.to_string(),
        "sethostname".to_owned(),
        format!("read {folder}/hidden.other"),
    ] {
        assert!(refused.contains(&what.as_str()), "{what}: {answer}");
    }
    let lines: Vec<&str> = answer["lines"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(lines.contains(&format!("network = [\"{address}\"]").as_str()), "{lines:?}");
    assert!(lines.contains(&format!("write = [\"{folder}\"]").as_str()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("read = [") && line.contains(&format!("\"{folder}/hidden\""))));

    // With these lines it is given what it asked for.
    let network = lines.iter().find(|line| line.starts_with("network")).expect("one");
    let config = CONFIG.replace("read = []", &format!("read = [\"{folder}\"]\n{network}"));
    ground.write("bartizan.toml", &config, 0o600);
    let answer = ground.tried(&[]);
    // `cat` has the other file then, too.
    assert_eq!(answer["output"], "xdone refused\ndone\n-1\n", "{answer}");
}

#[test]
fn a_trial_checks_the_arguments_and_refuses_verbs_that_are_not_granted() {
    let ground = Ground::new();
    let arguments = "api = [\"say\"]\n[scripts.arguments.n]\ntype = \"number\"\nmin = 1\nmax = 3\nrequired = true";
    ground.script("#!/bin/bash\nbz say \"n is $1\"\nbz log x 2>&1\necho $?\nexit 7\n", arguments);
    let answer = ground.tried(&["2"]);
    assert_eq!(answer["ended"], "exit 7");
    assert!(answer["output"].as_str().expect("text").ends_with("api = [\"say\", \"log\"]\n1\n"), "{answer}");
    let refused = ground.bartizan(&["try", "probe", "4"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(ground.bartizan(&["try", "nothing"]).status.code(), Some(2));
}
