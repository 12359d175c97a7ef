//! What a script tries from inside its job while the whole service runs around it. Each line that a probe prints is one
//! attempt and what the kernel said. System call numbers are x86-64's.
#![cfg(target_arch = "x86_64")]

use bartizan_tests::house::{House, Plan, programs, seen};
use std::os::unix::net::UnixListener;

/// What a probe printed in its fence.
fn printed(reply: &str) -> Vec<&str> {
    assert!(reply.contains("exit 0"), "{reply}");
    reply.lines().skip(2).take_while(|line| !line.starts_with("```")).collect()
}

/// Runs a probe as carol's script and compares its lines.
async fn probe(content: &str, expected: &[&str]) {
    let house = House::build(Plan::default().python("probe", content, "")).await;
    let reply = house.ask("carol", "ops", "!probe").await;
    assert_eq!(printed(&reply), expected, "{reply}");
    house.works().await;
}

/// Runs a probe that ends its own process by what it does, and gives the reply.
async fn deadly(content: &str) -> String {
    let house = House::build(Plan::default().python("probe", content, "")).await;
    let reply = house.ask("carol", "ops", "!probe").await;
    house.works().await;
    reply
}

#[tokio::test(flavor = "current_thread")]
async fn rows_25_and_26_calls_of_another_abi_kill() {
    let x32 = "print(subprocess.run([sys.executable, '-c', 'import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))']).returncode)";
    // mov eax, 20 (getpid); int 0x80; ret
    let i386 = "code = '''
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex('b814000000cd80c3'))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
'''
print(subprocess.run([sys.executable, '-c', code]).returncode)";
    probe(&format!("{x32}\n{i386}"), &["-31", "-31"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn rows_27_to_29_and_31_to_33_and_44_kernel_interfaces_that_no_script_needs_are_denied() {
    let content = "import ctypes.util
for name, result in [
    ('TIOCSTI', call(16, 0, 0x5412, b'x')), ('TIOCSTI, high bits', call(16, 0, 0x100005412, b'x')),
    ('TIOCLINUX', call(16, 0, 0x541c, b'x')), ('TIOCLINUX, high bits', call(16, 0, 0x7fffffff0000541c, b'x')),
    ('io_uring_setup', call(425, 1, b' ' * 128)), ('io_uring_enter', call(426, 0, 0, 0, 0)), ('io_uring_register', call(427, 0, 0, 0, 0)),
    ('unshare', call(272, 0x10000000)), ('clone', call(56, 0x10000000 | 17, 0)), ('setns', call(308, 0, 0)),
    ('clone3', call(435, struct.pack('QQQQQQQQQQQ', 0x10000000, *[0] * 10), 88)),
    ('mount', call(165, 0, 0, 0, 0, 0)), ('umount', call(166, b'/', 0)), ('pivot_root', call(155, b'/', b'/')), ('chroot', call(161, b'/')),
    ('open_tree', call(428, 0, b'/', 1)), ('move_mount', call(429, 0, b'/', 0, b'/', 0)), ('fsopen', call(430, b'tmpfs', 0)),
    ('fsmount', call(432, 0, 0, 0)), ('mount_setattr', call(442, 0, b'/', 0, 0, 0)),
    ('keyctl', call(250, 0, 0)), ('add_key', call(248, b'user', b'x', b'y', 1, 0)), ('request_key', call(249, b'user', b'x', 0, 0)),
    ('bpf', call(321, 0, 0, 0)), ('perf_event_open', call(298, 0, 0, 0, 0, 0)), ('userfaultfd', call(323, 0)),
]:
    if result != 'EPERM': print(name, result)
for family, kind in [(2, 2), (2, 1), (10, 2), (2, 3), (10, 1), (16, 3), (17, 3), (40, 1), (1, 1), (1, 2), (38, 5), (15, 3)]:
    result = call(41, family, kind, 0)
    if result != 'EPERM': print('socket', family, kind, result)";
    probe(content, &["clone3 ENOSYS"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_34_no_program_runs_from_memory_or_scratch_or_from_a_descriptor() {
    let content = "import shutil
shutil.copy('/usr/bin/true', 'program'); os.chmod('program', 0o755)
print(tried(lambda: subprocess.run(['./program'])), tried(lambda: subprocess.run(['/tmp/../scratch/program'])))
print(call(319, b'x', 0), call(447, 0), call(322, os.open('program', os.O_RDONLY), b'', 0, 0, 0x1000))
fd = os.open('program', os.O_RDONLY)
print(tried(lambda: os.execv('/proc/self/fd/%d' % fd, ['x'])))
print(subprocess.run(['/lib64/ld-linux-x86-64.so.2', './program'], stderr=-3).returncode != 0)
import mmap
print(tried(lambda: mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)))";
    probe(content, &["EACCES EACCES", "EPERM EPERM EPERM", "EACCES", "True", "EPERM"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn rows_35_36_and_45_no_socket_of_the_machine_or_of_the_service_can_be_reached() {
    programs();
    let folder = tempfile::Builder::new().prefix("bartizan-bus-").tempdir_in("/tmp").expect("a directory");
    let bus = folder.path().join("bus");
    let _listener = UnixListener::bind(&bus).expect("bound");
    let content = "paths = [sys.argv[1], '/run/dbus/system_bus_socket', '/var/run/docker.sock']
for path in paths: print(os.path.exists(path), tried(lambda: socket.socket(socket.AF_UNIX)))
a, b = socket.socketpair()
print(tried(lambda: a.connect(sys.argv[1])), tried(lambda: a.connect('\\0' + sys.argv[1])))
print(tried(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)))
print(tried(lambda: socket.create_connection(('169.254.169.254', 80), 1)), tried(lambda: socket.create_connection(('127.0.0.1', int(sys.argv[2])), 1)))
print(sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys') else 'no /sys')
print([line.split(':')[0].strip() for line in open('/proc/net/dev').readlines()[2:]])
print(len(open('/proc/net/unix').readlines()))";
    let entry = "[scripts.arguments.path]\ntype = \"string\"\nregex = '[a-zA-Z0-9/._-]*'\n[scripts.arguments.port]\ntype = \"number\"";
    let house = House::build(Plan::default().python("probe", content, entry)).await;
    let port = house.server.url().rsplit(':').next().expect("a port").to_owned();
    let expected =
        ["False EPERM", "False EPERM", "False EPERM", "EPERM EPERM", "EPERM", "EPERM EPERM", "no /sys", "['lo']"];
    for path in [bus.clone(), house.service.socket()] {
        let reply = house.ask("carol", "ops", &format!("!probe {} {port}", path.display())).await;
        let lines = printed(&reply);
        assert_eq!(lines[..8], expected, "{reply}");
        // The heading and its own pair: none of the machine's.
        assert!(lines[8].parse::<usize>().is_ok_and(|count| count <= 3), "{reply}");
    }
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn rows_30_37_40_and_48_a_job_neither_sees_signals_traces_nor_reads_another_or_the_service() {
    programs();
    let folder = tempfile::Builder::new().prefix("bartizan-pair-").tempdir_in("/tmp").expect("a directory");
    let path = folder.path().display();
    let victim = format!("touch {path}/here; while [ ! -e {path}/go ]; do sleep 0.02; done; echo unharmed");
    let content = "pids = [int(pid) for pid in sys.argv[1].split('-')]
print(len([entry for entry in os.listdir('/proc') if entry.isdigit()]) <= 3)
for pid in pids:
    found = [tried(lambda: os.kill(pid, sig)) for sig in (0, 9, 15)] + [tried(lambda: os.kill(-pid, 9)), tried(lambda: os.killpg(pid, 9))]
    found += [tried(lambda: open('/proc/%d/%s' % (pid, name), 'rb').read()) for name in ('mem', 'environ', 'maps', 'fd/0', 'root')]
    if set(found) - {'ESRCH', 'ENOENT'}: print(pid, found)
    denied = [call(101, 16, pid, 0, 0), call(310, pid, 0, 0, 0, 0, 0), call(311, pid, 0, 0, 0, 0, 0), call(438, 3, 0, 0), call(312, pid, pid, 0, 0, 0)]
    if set(denied) != {'EPERM'}: print(pid, denied)
    if call(434, pid, 0) != 'ESRCH': print(pid, 'pidfd_open')
parent = os.getppid()
print(parent, tried(lambda: open('/proc/%d/mem' % parent, 'rb')), tried(lambda: os.listdir('/proc/%d/fd' % parent)))
print(sorted({line.split()[1] for task in os.listdir('/proc/self/task') for line in open('/proc/self/task/%s/status' % task) if line.startswith('Seccomp:')}))
print(os.path.exists('/root'), os.path.exists('/home'), os.path.exists('/var/lib'), os.path.exists(sys.argv[2]))
print(tried(lambda: os.kill(-1, 0)))";
    let entry = "[scripts.arguments.pids]\ntype = \"string\"\nregex = '[0-9-]*'\n[scripts.arguments.path]\ntype = \"string\"\nregex = '[a-zA-Z0-9/._-]*'";
    let plan = Plan::default()
        .config(&format!("[profiles.pair]\nwrite = [\"{path}\"]\n"))
        .bash("victim", &victim, "profile = \"pair\"")
        .python("probe", content, entry);
    let house = House::build(plan).await;
    let post = house.say("carol", "ops", "!victim");
    house.wait("the other job", || folder.path().join("here").exists().then_some(())).await;
    let mut pids = Vec::new();
    for role in ["core", "launcher", "egress", "connector", "worker"] {
        pids.extend(house.pids(role).await);
    }
    pids.extend(seen::with_word("scripts/victim"));
    pids.push(std::process::id());
    let list: Vec<String> = pids.iter().filter(|pid| **pid > 50).map(ToString::to_string).collect();
    assert!(list.len() >= 6, "{pids:?}");
    let state = house.service.state();
    let reply = house.ask("dave", "ops", &format!("!probe {} {}", list.join("-"), state.display())).await;
    let lines = printed(&reply);
    assert_eq!(lines[0], "True", "{reply}");
    assert!(lines[1].ends_with("EACCES EACCES"), "its init: {reply}");
    assert_eq!(lines[2..4], ["['2']", "False False False False"], "{reply}");
    std::fs::write(folder.path().join("go"), "").expect("go");
    assert!(house.reply(&post).await.contains("unharmed"));
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn rows_38_and_47_only_three_descriptors_and_nothing_of_the_machine_can_be_written() {
    let content = "print(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))
for path in [sys.argv[0], os.path.dirname(sys.argv[0]) + '/new', sys.executable, '/bin/bash', '/usr/lib/x', '/etc/passwd', '/etc/ld.so.preload', '/x', '/proc/sys/kernel/core_pattern', '/proc/self/oom_score_adj', '/dev/x']:
    result = tried(lambda: open(path, 'a'))
    if result not in ('EROFS', 'EACCES', 'EPERM', 'ENOENT'): print(path, result)
print(tried(lambda: os.rename(sys.argv[0], sys.argv[0] + '.old')), tried(lambda: os.unlink(sys.argv[0])), tried(lambda: os.chmod(sys.argv[0], 0o777)))
print(tried(lambda: os.link('/etc/passwd', 'link')), tried(lambda: os.mknod('device', 0o60666, os.makedev(8, 0))))";
    let house = House::build(Plan::default().python("probe", content, "")).await;
    let script = house.files.path().join("scripts/probe");
    let before = std::fs::read(&script).expect("the script");
    let reply = house.ask("carol", "ops", "!probe").await;
    let lines = printed(&reply);
    assert_eq!(lines[0], "[0, 1, 2] 4", "{reply}");
    assert!(!lines[1].contains("ok") && !lines[2].contains("ok") && lines.len() == 3, "{reply}");
    assert_eq!(std::fs::read(&script).expect("the script"), before);
}

#[tokio::test(flavor = "current_thread")]
async fn rows_41_and_42_a_fork_bomb_and_its_daemons_are_capped_and_end_with_the_job() {
    programs();
    let word = format!("bartizan-bomb-{}", std::process::id());
    // Each level daemonises itself; none ends by itself.
    let bomb = format!(
        "(setsid bash -c 'while :; do sleep 0.1; done' {word} &) >/dev/null 2>&1; while :; do (setsid bash -c 'while :; do sleep 0.1; done' {word} &) >/dev/null 2>&1; done"
    );
    let plan = Plan::default().config("[profiles.few]\nprocesses = 25\n").bash(
        "bomb",
        &bomb,
        "profile = \"few\"\ntimeout = \"2s\"",
    );
    let house = House::build(plan).await;
    let post = house.say("carol", "ops", "!bomb");
    house.wait("the bomb", || (!seen::with_word(&word).is_empty()).then_some(())).await;
    let mut most = 0;
    for _ in 0..5 {
        house.works().await;
        most = most.max(seen::with_word(&word).len());
    }
    assert!((1..60).contains(&most), "{most} processes");
    let reply = house.reply(&post).await;
    assert!(reply.contains("bomb"), "{reply}");
    house.wait("its processes to end", || seen::with_word(&word).is_empty().then_some(())).await;
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_43_filling_the_disk_fails_only_the_job() {
    let content = "import resource
def fill(path, size):
    with open(path, 'wb') as file:
        for _ in range(size): file.write(b'x' * (1 << 20))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print(tried(lambda: fill('huge', 9)))
for n in range(40):
    result = tried(lambda: fill('part%d' % n, 3))
    if result != 'ok': break
print(result, tried(lambda: fill('/tmp/more', 1)) in ('ENOSPC', 'EDQUOT'), tried(lambda: fill('/dev/shm/more', 64)) != 'ok')";
    let plan = Plan::default().config("[profiles.tight]\nfile-size = \"4 MiB\"\nscratch = \"16 MiB\"\n").python(
        "fill",
        content,
        "profile = \"tight\"",
    );
    let house = House::build(plan).await;
    let reply = house.ask("carol", "ops", "!fill").await;
    assert_eq!(printed(&reply), ["EFBIG", "ENOSPC True True"], "{reply}");
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_46_setuid_programs_gain_nothing() {
    let content =
        "for program in (['su', '-c', 'id -u'], ['sudo', '-n', 'id', '-u'], ['mount'], ['newgrp'], ['passwd', '-S']):
    try:
        done = subprocess.run(program, stdin=-3, capture_output=True, text=True, timeout=3)
        if done.stdout.strip() == '0': print(program, done.stdout)
    except (OSError, subprocess.TimeoutExpired): pass
print(tried(lambda: os.setuid(0)), tried(lambda: os.setgid(0)), tried(lambda: os.setgroups([0])))
print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('Cap', 'NoNewPrivs'))])
print(os.getuid() != 0 and os.geteuid() != 0)";
    let none = "'0000000000000000'";
    let status = format!("[{none}, {none}, {none}, {none}, {none}, '1']");
    probe(content, &["EPERM EPERM EPERM", &status, "True"]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_50_and_51_a_script_that_is_swapped_is_checked_again_before_it_runs() {
    let house = House::open().await;
    let script = house.files.path().join("scripts/hello");
    house.works().await;
    // Beside it, where the core may read: elsewhere its Landlock rules would refuse it first.
    let evil = house.files.path().join("scripts/evil");
    std::fs::write(&evil, "#!/bin/bash\necho evil\n").expect("written");
    // As good a script as the other but for the link: it was not executable, and refused for that.
    std::fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    std::fs::remove_file(&script).expect("gone");
    std::os::unix::fs::symlink(&evil, &script).expect("a link");
    let reply = house.ask("carol", "ops", "!hello").await;
    assert!(reply.contains("cannot be run right now") && !reply.contains("evil"), "{reply}");
    std::fs::remove_file(&script).expect("gone");
    let fifo = nix::unistd::mkfifo(&script, nix::sys::stat::Mode::from_bits_truncate(0o755));
    fifo.expect("a pipe");
    let reply = house.ask("carol", "ops", "!hello").await;
    assert!(reply.contains("cannot be run right now"), "a pipe: {reply}");
    assert_eq!(house.ask("carol", "ops", "!ping").await, "Pong!");
}

#[tokio::test(flavor = "current_thread")]
async fn row_52_a_path_that_a_job_sets_up_is_not_another_jobs() {
    let content = "mkdir -p \"$HOME/bin\"; printf '#!/bin/sh\\necho evil\\n' > \"$HOME/bin/ls\"; chmod 755 \"$HOME/bin/ls\"; echo \"$PATH\"; PATH=\"$HOME/bin:$PATH\" ls / >/dev/null 2>&1 && echo ran || echo denied";
    let house = House::build(Plan::default().bash("probe", content, "")).await;
    for _ in 0..2 {
        let reply = house.ask("carol", "ops", "!probe").await;
        assert_eq!(printed(&reply), ["/usr/local/bin:/usr/bin:/bin:/bartizan", "denied"], "{reply}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_82_a_script_cannot_say_how_it_ended() {
    // A script that looks like a result, and one that closes its output and goes on.
    let reply =
        deadly("print('**probe**: exit 0 in 1 ms'); sys.stdout.flush(); os.close(1); os.close(2); os._exit(77)").await;
    assert!(reply.starts_with("**probe**: exit 77 "), "{reply}");
    let reply = deadly("os.kill(os.getpid(), 9)").await;
    assert!(reply.contains("ended by SIGKILL"), "{reply}");
}
