//! What a profile grants, through the whole service: that, and nothing beside it; and two jobs side by side, each with its own.

use bartizan_tests::house::{House, Plan};
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A listener at every address of the machine that says `granted`, and how many it was said to.
fn listener() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let (port, served) = (listener.local_addr().expect("an address").port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&served);
    std::thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let _gone = peer.write_all(b"granted");
        }
    });
    (port, served)
}

/// Tries these, one line each: `HOST PORT` and what was read, or why nothing.
fn connects(to: &[(&str, u16)]) -> String {
    let list: Vec<String> = to.iter().map(|(host, port)| format!("('{host}', {port})")).collect();
    format!(
        "def got(to):\n    with socket.create_connection(to, 3) as s: print(to[0], to[1], s.recv(7).decode() or 'nothing')\n\
         for to in [{}]:\n    said = tried(lambda: got(to))\n    if said != 'ok': print(to[0], to[1], said)\n\
         print('udp', tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))\n\
         print('unix', tried(lambda: socket.socket(socket.AF_UNIX)))",
        list.join(", ")
    )
}

#[tokio::test(flavor = "current_thread")]
async fn row_45_a_network_grant_is_one_port_of_one_address_and_another_job_beside_it_has_none() {
    let ((granted, served), (other, refused)) = (listener(), listener());
    let to = connects(&[
        ("127.0.0.1", granted),
        ("localhost", granted),
        ("127.0.0.1", other),
        ("127.0.0.2", granted),
        ("169.254.169.254", 80),
    ]);
    let plan = Plan::default()
        .config(&format!("\n[profiles.net]\nnetwork = [\"127.0.0.1:{granted}\"]\n"))
        .python("net", &format!("time.sleep(1)\n{to}"), "profile = \"net\"")
        .python("none", &to, "");
    let house = House::build(plan).await;
    // Side by side, under one user.
    let (with, without) = (house.say("carol", "ops", "!net"), house.say("carol", "ops", "!none"));
    let without = house.reply(&without).await;
    assert!(without.contains("exit 0") && !without.contains("granted"), "{without}");
    assert_eq!(served.load(Ordering::SeqCst), 0, "{without}");
    let with = house.reply(&with).await;
    assert!(with.contains(&format!("127.0.0.1 {granted} granted")), "{with}");
    for refused in [
        format!("127.0.0.1 {other} "),
        format!("127.0.0.2 {granted} "),
        "169.254.169.254 80 ".to_owned(),
        "udp E".to_owned(),
        "unix E".to_owned(),
    ] {
        let line = with.lines().find(|line| line.trim_start().starts_with(&refused)).unwrap_or_default();
        assert!(!line.is_empty() && !line.contains("granted"), "{refused}: {with}");
    }
    assert!((1..=2).contains(&served.load(Ordering::SeqCst)), "{with}");
    assert_eq!(refused.load(Ordering::SeqCst), 0, "{with}");
}

#[tokio::test(flavor = "current_thread")]
async fn rows_34_40_and_47_granted_paths_are_read_written_and_run_as_they_say_and_no_others() {
    let ground = tempfile::Builder::new().prefix("bartizan-grants-").tempdir_in("/tmp").expect("a directory");
    fs::set_permissions(ground.path(), Permissions::from_mode(0o777)).expect("chmod");
    for folder in ["read", "write", "exec", "other"] {
        let folder = ground.path().join(folder);
        fs::create_dir(&folder).expect("a directory");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("chmod");
        fs::write(folder.join("note"), "a note").expect("written");
        fs::write(folder.join("tool"), "#!/bin/sh\necho tool\n").expect("written");
        fs::set_permissions(folder.join("tool"), Permissions::from_mode(0o755)).expect("chmod");
    }
    let g = ground.path().display().to_string();
    let config = format!("\n[profiles.files]\nread = [\"{g}/read\"]\nwrite = [\"{g}/write\"]\nexec = [\"{g}/exec\"]\n");
    let script = format!(
        "cd {g}\nt() {{ if eval \"$2\" >/dev/null 2>&1; then echo \"$1 yes\"; else echo \"$1 no\"; fi; }}\n\
         t read-read 'cat read/note'; t read-write 'echo x >read/new'; t read-run read/tool\n\
         t write-read 'cat write/note'; t write-write 'echo x >write/new'; t write-run write/tool\n\
         t exec-run exec/tool; t exec-write 'echo x >exec/new'; t exec-replace 'cp /bin/true exec/tool'\n\
         t other-read 'cat other/note'; t other-write 'echo x >other/new'; t other-seen 'test -e other'; echo x >new 2>/dev/null\n\
         t out 'cat read/../other/note'; t link 'ln -s ../other write/link && cat write/link/note'\n\
         t copied 'cp exec/tool \"$TMPDIR/tool\" && \"$TMPDIR/tool\"'"
    );
    let house = House::build(Plan::default().config(&config).bash("files", &script, "profile = \"files\"")).await;
    let reply = house.ask("carol", "ops", "!files").await;
    let yes: Vec<&str> = reply.lines().filter_map(|line| line.trim().strip_suffix(" yes")).collect();
    assert_eq!(yes, ["read-read", "write-read", "write-write", "exec-run"], "{reply}");
    assert_eq!(reply.matches(" no").count(), 11, "{reply}");
    // What lies above a grant in there is the job's own memory, not the machine's folder.
    assert!(!ground.path().join("new").exists());
    assert!(ground.path().join("write/new").exists() && !ground.path().join("exec/new").exists());
}
