//! What stands on the command lines of the cluster's programs, and on which side of the script's name.

use super::*;
use bartizan_proto::driver::Resources;
use bartizan_proto::{Bytes, List, Text};

fn work(programs: &Path, arguments: &[&str]) -> Batch {
    Batch {
        name: Text::cut("bartizan-train-0123"),
        submits: true,
        output_from: 0,
        comment: Text::cut("job 7 of Bartizan"),
        programs: Text::cut(programs.display().to_string()),
        config: Text::cut("/etc/slurm/slurm.conf"),
        output: Text::cut("/shared/out"),
        script: Bytes::new(&b"#!/bin/sh\n#SBATCH --uid=0\necho \"$@\"\n"[..]).expect("small"),
        arguments: List::cut(arguments.iter().map(|word| Text::cut(*word))),
        environment: List::default(),
        resources: Resources {
            partition: Some(Text::cut("main")),
            nodes: Some(2),
            memory_mib: Some(512),
            minutes: Some(5),
            requeue: true,
            ..Resources::default()
        },
    }
}

/// A folder whose `sbatch` writes down its words, one a line, and its batch script.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().display();
    for (name, lines) in [
        ("sbatch", format!("for word; do printf '%s\\n' \"$word\"; done >{here}/words; echo '31;main'")),
        ("scancel", format!("printf '%s ' \"$@\" >{here}/cancelled")),
        ("squeue", "echo 'slurm_load_jobs error: no' >&2; exit 1".to_owned()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a program");
    }
    folder
}

#[test]
fn what_somebody_typed_stands_behind_the_script_and_no_option_is_made_of_it() {
    let (folder, home) = (programs(), tempfile::tempdir().expect("a folder"));
    let typed = ["--wrap=id", "--uid=0", "", "two words", "$(id) `id` ;'\"\\"];
    let work = work(folder.path(), &typed);
    let cluster = Cluster::new(&work, home.path()).expect("written");
    assert_eq!(cluster.submit(Path::new("/shared/out/bartizan-train-0123")).expect("submitted"), 31);
    let words = fs::read_to_string(folder.path().join("words")).expect("there");
    let words: Vec<&str> = words.lines().collect();
    let script = words.iter().position(|word| word.ends_with("/.driver/batch")).expect("the script");
    assert!(words[..script].iter().all(|word| word.starts_with("--")), "{words:?}");
    assert!(!words[..script].iter().any(|word| word.contains("wrap") || word.contains("uid")), "{words:?}");
    assert!(words[..script].contains(&"--nodes=2") && words[..script].contains(&"--mem=512M"), "{words:?}");
    assert_eq!(words[script + 1], "/shared/out/bartizan-train-0123");
    assert_eq!(words[script + 2..], typed);
}

#[test]
fn a_job_is_cancelled_by_its_number_if_it_has_its_name_and_user() {
    let (folder, home) = (programs(), tempfile::tempdir().expect("a folder"));
    let work = work(folder.path(), &[]);
    let cluster = Cluster::new(&work, home.path()).expect("written");
    cluster.cancel(&Seen::submitted(31)).expect("cancelled");
    let words = fs::read_to_string(folder.path().join("cancelled")).expect("there");
    let user = rustix::process::getuid().as_raw();
    assert_eq!(words, format!("--user={user} --name=bartizan-train-0123 31 "));
}

#[test]
fn what_a_command_says_against_it_is_told_and_nothing_is_taken_for_an_answer() {
    let (folder, home) = (programs(), tempfile::tempdir().expect("a folder"));
    let work = work(folder.path(), &[]);
    let cluster = Cluster::new(&work, home.path()).expect("written");
    let why = cluster.find().expect_err("no answer").to_string();
    assert_eq!(why, "squeue: slurm_load_jobs error: no");
}

#[test]
fn the_wrapper_hands_words_on_as_they_are_and_directives_of_the_script_are_comments() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder");
    let script = b"#!/bin/sh\n#SBATCH --uid=0\nfor word; do printf '<%s>' \"$word\"; done; pwd; exit 7\n";
    let text = wrapped(script);
    // `sbatch` stops at the first line that is no comment.
    let second = text.lines().nth(1).expect("a line");
    assert!(second.starts_with(':') && !text.contains("#SBATCH"), "{second}");
    let path = folder.path().join("batch");
    fs::write(&path, text).expect("written");
    let words = ["a b", "", "$(id)", "--wrap=x", "'\"\\`"];
    let ran = Command::new("/bin/sh").arg(&path).arg(&out).args(words).env("SLURM_TMPDIR", folder.path()).output();
    let ran = ran.expect("it ran");
    let printed = String::from_utf8(ran.stdout).expect("text");
    assert!(printed.starts_with("<a b><><$(id)><--wrap=x><'\"\\`>"), "{printed}");
    assert_eq!(ran.status.code(), Some(7), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(fs::read_to_string(out.join("end")).expect("there"), "7\n");
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("there").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(left.len(), 2, "its own directory is gone: {left:?}");
}

/// The accounting tells in JSON of whose a job is by name only, and before Slurm 23.02 of everybody's: who took the name of a job that was
/// not there had it believed.
#[test]
fn a_job_of_the_accountings_is_ours_only_by_its_users_number() {
    let (folder, home) = (programs(), tempfile::tempdir().expect("a folder"));
    let own = rustix::process::getuid().as_raw();
    let write = |name: &str, lines: &str| {
        fs::write(folder.path().join(name), format!("#!/bin/sh\n{lines}\n")).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder.path().join(name), mode).expect("a program");
    };
    let job = |id: u64, more: &str| {
        format!(
            r#"{{"job_id": {id}, "name": "bartizan-train-0123"{more}, "state": {{"current": "COMPLETED"}}, "exit_code": {{"return_code": 0}}}}"#
        )
    };
    let told = format!(r#"{{"jobs": [{}, {}]}}"#, job(31, r#", "user": "mallory""#), job(35, r#", "user": "deploy""#));
    write("squeue", "echo '{\"jobs\": []}'");
    let work = work(folder.path(), &[]);
    let cluster = Cluster::new(&work, home.path()).expect("written");
    for (first, second, found) in [(own + 1, own, Some(35)), (own + 1, own + 1, None), (own, own, Some(31))] {
        let lines = format!(
            "case \"$*\" in *--jobs=31*) echo {first};; *--jobs=35*) echo {second};; *--json*) echo '{told}';; esac"
        );
        write("sacct", &lines);
        assert_eq!(cluster.find().expect("an answer").map(|seen| seen.id), found, "{first} {second}");
    }
    for odd in ["", "echo", "exit 1", "echo nobody", &format!("echo {own}; echo {}", own + 1)] {
        write("sacct", &format!("case \"$*\" in *--json*) echo '{told}';; *) {odd}\n;; esac"));
        assert_eq!(cluster.find().expect("an answer"), None, "{odd:?}");
    }
}
