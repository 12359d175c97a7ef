//! The packages of `make packages`: what is in them, and a life with each, from installing to removing. The machine that the tests run
//! on is left as it is: all of it happens in a mount namespace, on overlays of `/etc`, `/usr` and `/var` that vanish with it.

use bartizan_playground::server::{Options, Server};
use bartizan_tests::installed::{possible, skip};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The programs that are root's, and their modes.
const PROGRAMS: [(&str, u32); 8] = [
    ("bartizan-launcher", 0o711),
    ("bartizan-egress", 0o711),
    ("bartizan-connector", 0o711),
    ("bartizan-worker", 0o711),
    ("bartizan", 0o755),
    ("bartizan-remote", 0o755),
    ("bartizan-driver", 0o755),
    ("bz", 0o755),
];

/// What else must be there, besides what `systemd/` and `selinux/` have.
const OTHERS: [&str; 6] = [
    "/usr/lib/sysusers.d/bartizan.conf",
    "/usr/lib/tmpfiles.d/bartizan.conf",
    "/usr/share/bash-completion/completions/bartizan",
    "/usr/share/bartizan/lib/bz.sh",
    "/usr/share/bartizan/configure",
    "/usr/share/bartizan/fresh/bartizan.toml",
];

/// Overlays, then the life; each line of `== …` is one station of it.
const LIFE: &str = r#"
set -eu
work=$1 url=$2 team=$3
mount --make-rprivate /
mkdir -p "$work/layers" && mount -t tmpfs tmpfs "$work/layers"
for d in usr etc var; do
	mkdir "$work/layers/$d" "$work/layers/$d.work"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$work/layers/$d,workdir=$work/layers/$d.work" "/$d" || exit 77
done
broker=/usr/libexec/bartizan/bartizan-broker
setuid() { find /usr /etc /var -xdev -perm /6000 -type f -path '*bartizan*' | sort; }
# What is not the package's: an image of a container, say.
setuid >"$work/foreign"
made() { setuid | comm -13 "$work/foreign" - | tr '\n' ' '; }
package_install
echo "== installed: $(stat -c '%U %G %a' $broker) $(stat -c '%U %a' /etc/bartizan/keys /var/lib/bartizan/state | tr '\n' ' ')"
echo "== setuid: $(made)"
bartizan setup --url "$url" --team "$team" --admin alice <"$work/token" >/dev/null
start() {
	# Without the capabilities that a container may leave inheritable.
	setpriv --reuid=bartizan-run --regid=bartizan-run --clear-groups --inh-caps=-all -- /usr/sbin/bartizan-broker 2>"$work/log" &
	for _ in $(seq 600); do bartizan health >/dev/null 2>&1 && return; sleep 0.1; done
	cat "$work/log"
	return 1
}
start
echo "== healthy: $(bartizan health)"
faults=$(bartizan doctor --json | grep -c '"verdict": "fail"' || :)
echo "== doctor: $faults"
before=$(sha256sum /etc/bartizan/bartizan.toml) key=$(sha256sum /var/lib/bartizan/state/brain.key)
package_upgrade
[ "$before" = "$(sha256sum /etc/bartizan/bartizan.toml)" ] && [ "$key" = "$(sha256sum /var/lib/bartizan/state/brain.key)" ]
echo "== upgraded: $(stat -c '%U %G %a' $broker)"
kill $! && wait $!
start
echo "== again: $(bartizan health)"
kill $! && wait $!
package_remove
echo "== removed: $(made)$(ls $broker /usr/bin/bartizan 2>/dev/null | tr '\n' ' ')"
[ "$before" = "$(sha256sum /etc/bartizan/bartizan.toml)" ] && [ "$key" = "$(sha256sum /var/lib/bartizan/state/brain.key)" ]
echo "== kept"
package_purge
echo "== end"
"#;

/// What one kind of package is handled with.
struct Kind {
    name: &'static str,
    /// The cargo tool that makes it.
    tool: &'static str,
    /// What installs it.
    manager: &'static str,
    verbs: &'static str,
}

const DEB: Kind = Kind {
    name: "deb",
    tool: "deb",
    manager: "dpkg",
    verbs: "package_install() { dpkg -i $work/*.deb; }
        package_upgrade() { dpkg -i $work/*.deb; }
        package_remove() { dpkg -r bartizan; dpkg-statoverride --list | grep bartizan && exit 1; :; }
        package_purge() { dpkg -P bartizan; [ ! -e /etc/bartizan ] && [ ! -e /var/lib/bartizan ]; }",
};

const RPM: Kind = Kind {
    name: "rpm",
    tool: "generate-rpm",
    manager: "rpm",
    verbs: "package_install() { rpm -i --nodeps $work/*.rpm; rpm -V --nodeps bartizan; }
        package_upgrade() { rpm -U --force --nodeps $work/*.rpm; }
        package_remove() { rpm -e bartizan; }
        package_purge() { :; }",
};

/// The package of the programs that were built for the tests; `None` where it cannot be made here, which is said.
fn make(kind: &Kind) -> Option<(TempDir, PathBuf)> {
    if !possible() {
        return None;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let tools = repository.join("target/tools/bin");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let there = |command: &mut Command| {
        let command = command.env("PATH", &path).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !there(Command::new(env!("CARGO")).args([kind.tool, "--version"])) {
        skip(&format!("cargo-{} is not there; `make packages` installs it", kind.tool));
        return None;
    }
    if !there(Command::new(kind.manager).arg("--version")) {
        skip(&format!("{} is not there", kind.manager));
        return None;
    }
    let built = std::env::current_exe().expect("this program");
    let built = built.parent().and_then(Path::parent).expect("the programs");
    let out = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(repository.join("packaging/packages"));
    command.env("PATH", &path).env("BUILT", built).env("OUT", out.path());
    command.env("KINDS", kind.name).env("DEB_FLAGS", "--fast").env("CARGO", env!("CARGO"));
    let done = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned();
    assert!(done.status.success(), "{said}");
    let mut made = fs::read_dir(out.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let package = made.find(|path| path.extension().is_some_and(|end| end == kind.name)).expect("a package");
    let sums = Command::new("sha256sum").args(["--check", "--status", "SHA256SUMS"]).current_dir(&out).status();
    assert!(sums.expect("it runs").success(), "the checksums are of other files");
    Some((out, package))
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file of a folder of the tree that a package carries: a unit that nobody listed is missed here.
fn shipped(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let names = fs::read_dir(path).expect("a folder of ours").map(|entry| entry.expect("an entry").file_name());
    // These three are for people, or have another place.
    let elsewhere =
        |name: &String| folder == "systemd" && ["README.md", "sysusers.conf", "tmpfiles.conf"].contains(&name.as_str());
    names.map(|name| name.into_string().expect("a name")).filter(|name| !elsewhere(name)).collect()
}

/// What must be in either.
fn is_whole(files: &BTreeMap<String, (u32, String)>) {
    for (name, mode) in PROGRAMS {
        let found = files.get(&format!("/usr/libexec/bartizan/{name}"));
        assert_eq!(found, Some(&(mode, "root/root".to_owned())), "{name}");
    }
    for path in OTHERS {
        assert!(files.contains_key(path), "{path} is not in {:?}", files.keys());
    }
    for (ours, theirs) in [("systemd", "/usr/lib/systemd/system"), ("selinux", "/usr/share/bartizan/selinux")] {
        for name in shipped(ours) {
            assert!(files.contains_key(&format!("{theirs}/{name}")), "{ours}/{name} is in no package");
        }
    }
    assert!(files.keys().any(|path| path.starts_with("/usr/share/man/man1/bartizan-setup.1")));
    for (path, (mode, owner)) in files {
        let broker = path == "/usr/libexec/bartizan/bartizan-broker";
        assert!(broker || (mode & 0o6022 == 0 && owner == "root/root"), "{path}: {mode:o} {owner}");
    }
}

/// Its whole life; what it said at each station.
fn live(kind: &Kind, out: &TempDir) -> Option<BTreeMap<String, String>> {
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    fs::write(out.path().join("token"), &file.bot.token).expect("written");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "bash", "-s", "--"]).arg(out.path()).args([&file.url, &file.team.name]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare runs");
    let script = LIFE.replacen("set -eu\nwork=$1", &format!("{}\nset -eu\nwork=$1", kind.verbs), 1);
    // The shell reads it as it goes, so that nothing else may read the same input.
    let script = format!("{{\n{script}\nexit\n}} </dev/null\n");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
    let done = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned();
    if done.status.code() == Some(77) || said.contains("unshare failed") {
        skip("no overlay can be mounted here");
        return None;
    }
    assert!(done.status.success() && said.contains("== end"), "{said}");
    let stations = said.lines().filter_map(|line| line.strip_prefix("== "));
    Some(stations.filter_map(|line| line.split_once(": ")).map(|(at, is)| (at.to_owned(), is.to_owned())).collect())
}

fn is_lived_well(at: &BTreeMap<String, String>) {
    assert_eq!(at["installed"].trim_end(), "bartizan bartizan-run 4750 bartizan 700 bartizan 700");
    assert_eq!(at["setuid"].trim_end(), "/usr/libexec/bartizan/bartizan-broker", "one file is setuid, and no other");
    assert!(at["healthy"].starts_with("ok") && at["again"].starts_with("ok"), "{at:?}");
    assert_eq!(at["doctor"], "0");
    assert_eq!(at["upgraded"], "bartizan bartizan-run 4750");
    assert!(at["removed"].trim_end().is_empty(), "left behind: {}", at["removed"]);
}

#[test]
fn the_deb_has_everything_runs_is_upgraded_and_leaves_no_setuid_file() {
    let Some((out, package)) = make(&DEB) else { return };
    let listed = output(Command::new("dpkg-deb").arg("-c").arg(package));
    let files = listed.lines().filter(|line| line.starts_with('-')).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owner = words[1].replace("0/0", "root/root");
        (words[5].trim_start_matches('.').to_owned(), (bits(words[0]), owner))
    });
    let files: BTreeMap<_, _> = files.collect();
    is_whole(&files);
    // Its owner does not exist yet where it is unpacked: nobody's setuid program until postinst.
    assert_eq!(files["/usr/libexec/bartizan/bartizan-broker"], (0o750, "root/root".to_owned()));
    if let Some(at) = live(&DEB, &out) {
        is_lived_well(&at);
    }
}

#[test]
fn the_rpm_has_everything_runs_is_upgraded_and_leaves_no_setuid_file() {
    let Some((out, package)) = make(&RPM) else { return };
    let format = "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}/%{FILEGROUPNAME}\n]";
    let listed = output(Command::new("rpm").args(["-qp", "--qf", format]).arg(package));
    let files = listed.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mode = u32::from_str_radix(words[1], 8).expect("octal") & 0o7777;
        (words[0].to_owned(), (mode, words[2].to_owned()))
    });
    let files: BTreeMap<_, _> = files.collect();
    is_whole(&files);
    assert_eq!(files["/usr/libexec/bartizan/bartizan-broker"], (0o4750, "bartizan/bartizan-run".to_owned()));
    if let Some(at) = live(&RPM, &out) {
        is_lived_well(&at);
    }
}

/// `-rwxr-x--x` as a number.
fn bits(letters: &str) -> u32 {
    let mut mode = 0;
    for (i, letter) in letters.chars().skip(1).enumerate() {
        let bit = 0o400 >> i;
        let special = [0o4000, 0o2000, 0o1000][i / 3];
        mode |= match letter {
            '-' => 0,
            's' | 't' => bit | special,
            'S' | 'T' => special,
            _ => bit,
        };
    }
    mode
}
