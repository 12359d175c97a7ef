//! What a script finds inside, and what it tries in vain. The kernel is asked directly, by system call number where no
//! program would make the call. Numbers are x86-64's.
//!
//! Over 400 lines: one list of attempts, each a few lines.
#![cfg(target_arch = "x86_64")]

mod common;

use bartizan_proto::worker::{Layer, LayerState};
use bartizan_proto::{List, Text};
use common::{Outcome, Script, is_root, paths, skip};
use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

/// Runs a Python probe and compares each line of its output.
fn probe(content: &str, expected: &[&str]) {
    assert_eq!(Script::python(content).run().success().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn every_layer_that_this_machine_has_is_on_and_every_guarantee_given() {
    let outcome = Script::bash("true").run();
    for line in &outcome.layers {
        let expected = if line.layer == Layer::OwnUser { LayerState::Unavailable } else { LayerState::On };
        assert_eq!(line.state, expected, "{line:?}");
    }
    assert_eq!(outcome.layers.len(), 16);
    assert!(outcome.given.iter().all(|given| !given.by.is_empty()), "{:?}", outcome.given);
}

#[test]
fn the_environment_holds_the_documented_names_and_nothing_else() {
    let output = Script::bash("env | sort").run().success();
    let names: Vec<&str> = output.lines().filter_map(|line| line.split_once('=').map(|pair| pair.0)).collect();
    let own = ["BARTIZAN_JOB", "BARTIZAN_SCRIPT", "HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"];
    // bash itself adds these three.
    let expected: Vec<&str> = own.into_iter().chain(["PWD", "SHLVL", "_"]).collect();
    let mut expected = expected;
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(output.contains("PATH=/usr/local/bin:/usr/bin:/bin:/bartizan\n") && output.contains("HOME=/scratch\n"));
}

#[test]
fn a_variable_of_the_order_arrives() {
    let variable = (Text::new("GREETING").expect("short"), Text::new("hello $USER").expect("short"));
    let script = Script::bash("echo $GREETING").with(|order| order.environment = List::new([variable]).expect("one"));
    assert_eq!(script.run().success(), "hello $USER\n");
}

#[test]
fn exactly_descriptors_zero_to_two_are_open_and_input_is_empty() {
    // The listing's own descriptor is the fourth.
    probe(
        "print(sorted(map(int, os.listdir('/proc/self/fd'))))\nprint(repr(sys.stdin.read()))",
        &["[0, 1, 2, 3]", "''"],
    );
}

#[test]
fn the_script_stands_in_its_private_scratch_directory_which_it_can_write() {
    let output =
        Script::bash("pwd; echo x > file; cat file; echo y > /tmp/z; cat $HOME/z; umask; id -un").run().success();
    assert_eq!(output, "/scratch\nx\ny\n0022\njob\n");
}

#[test]
fn nothing_outside_the_scratch_directory_can_be_written() {
    let content = "for path in ['/x', '/usr/x', '/etc/passwd', '/etc/x', '/dev/x', '/proc/self/oom_score_adj', sys.argv[0], \
         os.path.dirname(sys.argv[0]) + '/x', '/bin/sh']:\n    print(tried(lambda: open(path, 'a')) != 'ok')";
    for without in [&[][..], &[Layer::LandlockFiles], &[Layer::Seccomp]] {
        let outcome = Script::python(content).without(without).run();
        assert_eq!(outcome.success(), "True\n".repeat(9), "without {without:?}");
    }
}

#[test]
fn what_was_not_granted_cannot_be_read_and_mostly_not_even_seen() {
    let secret = tempfile::tempdir().expect("tempdir");
    let canary = secret.path().join("canary");
    fs::write(&canary, "canary").expect("write");
    let content = format!(
        "for path in ['/etc/shadow', '/root', '/home', '/var', '/proc/1/environ', '{}']:\n    \
         print(tried(lambda: open(path).read()))",
        canary.display()
    );
    let read = |without: &[Layer]| Script::python(&content).without(without).run().success();
    assert_eq!(read(&[]), "ENOENT\nENOENT\nENOENT\nENOENT\nEACCES\nENOENT\n");
    assert_eq!(read(&[Layer::LandlockFiles]), "ENOENT\nENOENT\nENOENT\nENOENT\nEACCES\nENOENT\n");
    // Landlock alone still denies, but tells what exists.
    assert_eq!(read(&[Layer::MountNamespace]).lines().last(), Some("EACCES"));
}

#[test]
fn grants_are_exactly_what_they_say() {
    let tree = tempfile::tempdir().expect("tempdir");
    let at = |name: &str| tree.path().join(name);
    for name in ["read", "write", "exec"] {
        fs::create_dir(at(name)).expect("mkdir");
        common::write_program(&at(name).join("program"), "#!/bin/sh\necho ran\n");
    }
    let content = format!(
        "cd {}\nfor d in read write exec; do\n  cat $d/program > /dev/null && echo $d reads\n  \
         (echo >> $d/new) 2>/dev/null && echo $d writes\n  $d/program 2>/dev/null\ndone; true",
        tree.path().display()
    );
    for without in [&[][..], &[Layer::LandlockFiles], &[Layer::MountNamespace]] {
        let script = Script::bash(&content).without(without).with(|order| {
            order.profile.read = paths(&[&at("read")]);
            order.profile.write = paths(&[&at("write")]);
            order.profile.exec = paths(&[&at("exec")]);
        });
        let expected = "read reads\nwrite reads\nwrite writes\nexec reads\nran\n";
        assert_eq!(script.run().success(), expected, "without {without:?}");
    }
    assert!(at("write").join("new").exists());
}

#[test]
fn a_script_that_lies_directly_in_tmp_does_not_bring_the_machines_tmp_with_it() {
    let file =
        tempfile::Builder::new().prefix("bartizan-test-").tempfile_in("/tmp").expect("tempfile").into_temp_path();
    common::write_program(&file, "#!/bin/bash\nls /tmp\n");
    let mut script = Script::bash("");
    script.path = file.to_path_buf();
    script.order.path = Text::new(file.to_str().expect("UTF-8")).expect("short");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(script.run().success(), format!("{name}\n"));
}

#[test]
fn no_program_runs_from_scratch_or_memory() {
    probe(
        "import shutil, subprocess\nshutil.copy('/usr/bin/true', 'program')\nos.chmod('program', 0o755)\n\
         print(tried(lambda: subprocess.run(['./program'])))\n\
         print(subprocess.run(['/lib64/ld-linux-x86-64.so.2', './program'], stderr=-3).returncode != 0)\n\
         print(call(319, b'x', 0), call(322, 1, b'', 0, 0, 0x1000))\n\
         os.symlink('program', '/dev/shm/link')\nprint(tried(lambda: subprocess.run(['/dev/shm/link'])))",
        &["EACCES", "True", "EPERM EPERM", "EACCES"],
    );
}

#[test]
fn setuid_programs_give_nothing() {
    let output = Script::bash("grep -E '^(Cap|NoNewPrivs)' /proc/self/status").run().success();
    assert!(output.lines().all(|line| line.ends_with("\t0000000000000000") || line == "NoNewPrivs:\t1"), "{output}");
    let su = Script::bash("su -c 'id -u' root < /dev/null; sudo -n id -u; mount; ping -c1 127.0.0.1").run().text();
    assert!(!su.contains("\n0\n") && !su.starts_with("0\n"), "{su}");
}

#[test]
fn system_calls_that_no_script_needs_are_denied() {
    // ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, kcmp; unshare, setns, clone3, mount, pivot_root, chroot;
    // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr; bpf, perf_event_open, userfaultfd, keyctl,
    // add_key, request_key; io_uring_setup, io_uring_enter, io_uring_register; personality, open_by_handle_at, quotactl,
    // init_module, kexec_load, syslog, shmget, msgget, mq_open, seccomp, setuid, sethostname, memfd_secret.
    let numbers = [
        101, 310, 311, 438, 312, 272, 308, 165, 155, 161, 428, 429, 430, 431, 432, 433, 442, 321, 298, 323, 250, 248,
        249, 425, 426, 427, 135, 304, 179, 175, 246, 103, 29, 68, 240, 317, 105, 170, 447,
    ];
    probe(
        &format!("print({{call(n, 0, 0, 0, 0, 0, 0) for n in {numbers:?}}}, call(435, 0, 0))"),
        &["{'EPERM'} ENOSYS"],
    );
}

#[test]
fn no_new_namespace_by_any_way() {
    // clone with each CLONE_NEW flag and SIGCHLD; the child, if there were one, would say so.
    probe(
        "flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]\n\
         print({call(56, flag | 17, 0, 0, 0, 0) for flag in flags}, {call(272, flag) for flag in flags})\n\
         print(call(56, (1 << 32) | 0x10000000 | 17, 0, 0, 0, 0))",
        &["{'EPERM'} {'EPERM'}", "EPERM"],
    );
    // And without seccomp: the namespace's own limit of zero.
    let script = Script::python("print(call(272, 0x10000000))").without(&[Layer::Seccomp]);
    assert_eq!(script.run().success(), "ENOSPC\n");
}

#[test]
fn a_call_of_the_x32_or_the_i386_abi_ends_the_script() {
    let x32 = Script::python("call(0x40000000 + 39)\nprint('lives')").run();
    assert!(format!("{:?}", x32.ending).contains("Signal(31)"), "{:?} {}", x32.ending, x32.text());
    // mov eax, 20 (getpid); int 0x80; ret
    let i386 = Script::python(
        "import mmap\ncode = mmap.mmap(-1, 4096, prot=7)\ncode.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')\n\
         ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()\nprint('lives')",
    )
    .run();
    assert!(format!("{:?}", i386.ending).contains("Signal(31)"), "{:?} {}", i386.ending, i386.text());
}

#[test]
fn typing_into_a_terminal_is_denied_also_with_high_bits() {
    // TIOCSTI, TIOCLINUX; with bits above 32; and the question whether it is a terminal, which is allowed.
    probe(
        "print(call(16, 0, 0x5412, b'x'), call(16, 0, 0x541c, b'x'), call(16, 0, 0x5412 | 1 << 32, b'x'), \
         call(16, 0, 0x541c | 0xdead << 32, b'x'), call(16, 0, 0x5401, b' ' * 64))",
        &["EPERM EPERM EPERM EPERM ENOTTY"],
    );
}

#[test]
fn there_is_no_network_of_any_kind() {
    let content = "kinds = [(socket.AF_INET, socket.SOCK_STREAM, 0), (socket.AF_INET6, socket.SOCK_STREAM, 0), \
         (socket.AF_INET, socket.SOCK_DGRAM, 0), (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_NETLINK, socket.SOCK_RAW, 0), \
         (socket.AF_VSOCK, socket.SOCK_STREAM, 0), (socket.AF_PACKET, socket.SOCK_RAW, 0), (socket.AF_UNIX, socket.SOCK_STREAM, 0), \
         (socket.AF_INET, socket.SOCK_STREAM, 262), (38, socket.SOCK_SEQPACKET, 0)]\n\
         print({tried(lambda: socket.socket(*kind)) for kind in kinds})";
    probe(content, &["{'EPERM'}"]);
    // Without seccomp: the namespace has no route to anywhere, and its loopback is down.
    let script = Script::python(
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nprint(tried(lambda: s.sendto(b'x', ('127.0.0.1', 9))))\n\
         print(tried(lambda: s.sendto(b'x', ('169.254.169.254', 80))))",
    );
    assert_eq!(script.without(&[Layer::Seccomp]).run().success(), "ENETUNREACH\nENETUNREACH\n");
}

#[test]
fn no_unix_socket_outside_can_be_reached() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("socket");
    let _stream = UnixListener::bind(&path).expect("bind");
    let datagrams = directory.path().join("datagrams");
    let _datagram = UnixDatagram::bind(&datagrams).expect("bind");
    // Even with the directory granted for writing: no socket(), and no datagram pair to be pointed at it.
    let script = Script::python(&format!(
        "print(tried(lambda: socket.socket(socket.AF_UNIX).connect('{}')))\n\
         print(tried(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)))\n\
         a, b = socket.socketpair()\nprint(tried(lambda: a.connect('{}')))\n\
         print(tried(lambda: a.sendto(b'x', '{}')))\nprint(tried(lambda: b.send(b'x')), a.recv(1))",
        path.display(),
        path.display(),
        datagrams.display()
    ))
    .with(|order| order.profile.write = paths(&[directory.path()]));
    assert_eq!(script.run().success(), "EPERM\nEPERM\nEPERM\nEPERM\nok b'x'\n");
}

#[test]
fn an_abstract_socket_outside_cannot_be_reached_even_without_seccomp() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("bartizan-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("bind");
    let content = format!("print(tried(lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}')))");
    let run = |without: &[Layer]| Script::python(&content).without(without).run().success();
    assert_eq!(run(&[Layer::Seccomp]), "ECONNREFUSED\n");
    assert_eq!(run(&[Layer::Seccomp, Layer::NetworkNamespace]), "EPERM\n");
}

#[test]
fn nothing_outside_can_be_signalled() {
    let own = std::process::id();
    let content = format!(
        "print(tried(lambda: os.kill({own}, 0)), tried(lambda: os.kill(os.getppid(), 0)), tried(lambda: os.kill(1, 9)))"
    );
    let run = |without: &[Layer]| Script::python(&content).without(without).run().success();
    assert_eq!(run(&[]), "ESRCH EPERM EPERM\n");
    // Each of the two layers alone; without the namespace, pid 1 is the machine's.
    assert!(run(&[Layer::LandlockScope]).starts_with("ESRCH "));
    assert_eq!(run(&[Layer::PidNamespace]), "EPERM EPERM EPERM\n");
}

#[test]
fn limits_priorities_and_processors_of_others_cannot_be_changed() {
    // prlimit64, setpriority for a user, sched_setaffinity of pid 1; and its own limit, which it may lower.
    probe(
        "import resource\nprint(call(302, 1, 0, 0, 0), call(141, 2, 0, 19), call(203, 1, 8, b'\\xff' * 8))\n\
         print(tried(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))), tried(lambda: os.nice(5)))",
        &["EPERM EPERM EPERM", "ok ok"],
    );
}

#[test]
fn a_sibling_job_can_be_neither_seen_nor_traced_nor_read() {
    let sibling = Script::bash("echo begun; sleep 600");
    let mut worker = sibling.start();
    let (pid, _, _) = worker.running();
    let content = format!(
        "print(tried(lambda: open('/proc/{pid}/environ').read()), tried(lambda: open('/proc/{pid}/mem').read()))\n\
         buffer = ctypes.create_string_buffer(8)\nvector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)\n\
         v = ctypes.addressof(vector)\nprint(call(101, 16, {pid}, 0, 0), call(310, {pid}, v, 1, v, 1, 0))"
    );
    assert_eq!(Script::python(&content).run().success(), "ENOENT ENOENT\nEPERM EPERM\n");
    // Without seccomp and without the namespaces that hide it, Landlock's domain is between them.
    let bare = [Layer::Seccomp, Layer::PidNamespace, Layer::MountNamespace];
    let output = Script::python(&content).without(&bare).run().success();
    assert_eq!(output, "EACCES EACCES\nEPERM EPERM\n");
    worker.send(&bartizan_proto::worker::ToWorker::Stop { grace_ms: 0 });
    worker.finish();
}

#[test]
fn every_thread_has_its_filters() {
    probe(
        "import threading, time\n[threading.Thread(target=time.sleep, args=(1,), daemon=True).start() for _ in range(4)]\n\
         tasks = os.listdir('/proc/self/task')\n\
         lines = [line for t in tasks for line in open(f'/proc/self/task/{t}/status') if line.startswith('Seccomp:')]\n\
         print(len(lines), set(lines))",
        &["5 {'Seccomp:\\t2\\n'}"],
    );
}

#[test]
fn limits_hold() {
    let script = Script::python(
        "print(tried(lambda: open('big', 'wb').write(b'x' * (2 << 20))))\n\
         def files():\n    held = []\n    while True:\n        held.append(open('/dev/null'))\nprint(tried(files))\n\
         try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('MemoryError')",
    )
    .with(|order| {
        order.profile.limits.file_size = 1 << 20;
        order.profile.limits.files = 32;
        order.profile.limits.memory = 256 << 20;
    });
    assert_eq!(script.run().success(), "EFBIG\nEMFILE\nMemoryError\n");
}

#[test]
fn the_scratch_directory_is_of_limited_size_and_filling_it_hurts_only_the_job() {
    let script = Script::bash("head -c 3000000 /dev/zero > big; wc -c < big; rm big; echo fits > small; cat small")
        .with(|order| order.profile.limits.scratch = 1 << 20);
    let output = script.run().success();
    assert!(output.contains("No space left on device\n1048576\nfits\n"), "{output}");
}

#[test]
fn a_script_that_uses_up_its_processor_time_is_killed() {
    let outcome = Script::bash("while :; do :; done").with(|order| order.profile.limits.cpu = 1).run();
    assert!(format!("{:?}", outcome.ending).contains("Signal(9)"), "{:?}", outcome.ending);
}

#[test]
fn no_device_can_be_made_and_no_named_pipe_need_be_missed() {
    probe(
        "import stat\nprint(tried(lambda: os.mknod('d', 0o600 | stat.S_IFCHR, os.makedev(1, 3))), \
         tried(lambda: os.mkfifo('p')))",
        &["EPERM ok"],
    );
}

#[test]
fn ordinary_programs_work() {
    let bash = "set -e\nfor i in 1 2 3; do echo $i; done | sort -r | paste -sd, -\n\
                cat <(echo process substitution)\ncat <<< 'here string'\nx=$(mktemp); echo $x | grep -q scratch\n\
                cp -a /usr/bin/env copy; ln -s copy link; mv copy moved; stat -c %s moved > /dev/null; rm moved link\n\
                date -u -d @0 +%F; sed s/a/b/ <<< abc; awk 'BEGIN { print 6 * 7 }'; seq 3 | xargs echo; timeout 5 true; nice true\n\
                nproc > /dev/null; df . > /dev/null; ls -la / > /dev/null 2>&1 || true; tail -n1 /proc/self/status > /dev/null";
    let output = Script::bash(bash).run().success();
    let expected = "3,2,1\nprocess substitution\nhere string\n1970-01-01\nbbc\n42\n1 2 3\n";
    assert_eq!(output, expected);
}

#[test]
fn python_works_with_threads_subprocesses_asyncio_and_sqlite() {
    probe(
        "import asyncio, concurrent.futures, multiprocessing, sqlite3, subprocess, tempfile\n\
         with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(lambda x: x * x, range(10))))\n\
         print(subprocess.run(['echo', 'sub'], capture_output=True, text=True).stdout.strip())\n\
         async def main():\n    p = await asyncio.create_subprocess_exec('true')\n    await p.wait()\n    \
         await asyncio.sleep(0.01)\n    return 'async'\nprint(asyncio.run(main()))\n\
         db = sqlite3.connect('x.db')\ndb.execute('create table t (a)')\ndb.execute('insert into t values (42)')\n\
         db.commit()\nprint(db.execute('select a from t').fetchone()[0])\n\
         with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n\
         print(tempfile.mkstemp()[1].startswith('/scratch'))",
        &["285", "sub", "async", "42", "[1, 2]", "True"],
    );
}

#[test]
fn without_its_private_root_a_job_still_reads_only_what_it_may() {
    let script = Script::bash("cat $0 > /dev/null; echo x > file && cat file; cat <(echo pipe); ls /home; true")
        .without(&[Layer::MountNamespace]);
    let outcome: Outcome = script.run();
    let text = outcome.text();
    assert_eq!(outcome.code(), Some(0), "{text}");
    assert!(text.contains("x\npipe\n") && text.contains("Permission denied"), "{text}");
    assert_eq!(outcome.state(Layer::MountNamespace), Some(LayerState::Off));
    // Its directory on the host is gone with it.
    let left = fs::read_dir("/tmp").expect("tmp").flatten().filter(|entry| {
        entry.file_name().to_string_lossy().starts_with("bartizan-job-")
            && Path::new(&entry.path()).join("file").exists()
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn without_namespaces_the_other_layers_go_on() {
    let all = [
        Layer::UserNamespace,
        Layer::PidNamespace,
        Layer::MountNamespace,
        Layer::NetworkNamespace,
        Layer::IpcNamespace,
        Layer::UtsNamespace,
    ];
    let outcome = Script::bash("echo runs; grep Seccomp: /proc/self/status").without(&all).run();
    for layer in [Layer::Seccomp, Layer::LandlockFiles, Layer::NoNewPrivileges, Layer::Capabilities, Layer::Limits] {
        assert_eq!(outcome.state(layer), Some(LayerState::On), "{layer:?}");
    }
    assert!(outcome.text().starts_with("runs\n"), "{}", outcome.text());
}

#[test]
fn an_ordinary_user_gets_the_same_sandbox_as_root() {
    if !is_root() {
        return skip("an_ordinary_user_gets_the_same_sandbox_as_root", "this is the ordinary user's run already");
    }
    let worker = Path::new(env!("CARGO_BIN_EXE_bartizan-worker"));
    let copy = tempfile::tempdir().expect("tempdir");
    fs::set_permissions(copy.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let program = copy.path().join("bartizan-worker");
    fs::copy(worker, &program).expect("copy");
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=54321", "--regid=54321", "--clear-groups"])
        .arg(&program)
        .arg("--probe")
        .output();
    let Ok(output) = output else {
        return skip("an_ordinary_user_gets_the_same_sandbox_as_root", "there is no setpriv here");
    };
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for line in answer["layers"].as_array().expect("layers") {
        let expected = if line["layer"] == "own-user" { "unavailable" } else { "on" };
        assert_eq!(line["state"], expected, "{line}");
    }
}

#[test]
#[allow(unsafe_code, reason = "pre_exec, to be confined as the launcher is")]
fn a_worker_started_under_the_launchers_own_confinement_has_every_layer() {
    use bartizan_confine::{Confinement, confine};
    use std::os::unix::process::CommandExt;
    let launcher = Confinement { role: bartizan_proto::Role::Launcher, read: &[], write: &[], connect_ports: &[] };
    let script = Script::bash("echo runs");
    let mut worker = common::Worker::start_by(|command| {
        // SAFETY: runs in the forked child, which has one thread and leaves by exec; the C library makes its allocator
        // usable after a fork.
        unsafe { command.pre_exec(move || confine(&launcher).map(|_| ()).map_err(std::io::Error::other)) };
    });
    worker.order(script.order.clone(), &fs::File::open(&script.path).expect("open"));
    let outcome = worker.finish();
    for line in &outcome.layers {
        let expected = if line.layer == Layer::OwnUser { LayerState::Unavailable } else { LayerState::On };
        assert_eq!(line.state, expected, "{line:?}");
    }
    assert_eq!(outcome.success(), "runs\n");
}
