//! Two jobs side by side under the same user: what one leaves lying about is not there for the other.
//!
//! Each test has the counter-proof: with the layers off that keep the two apart, the same probe finds it.

mod common;

use bartizan_proto::worker::{FromWorker, Layer, ToWorker};
use common::{Script, Worker};

const EVERYTHING: [Layer; 10] = [
    Layer::UserNamespace,
    Layer::PidNamespace,
    Layer::MountNamespace,
    Layer::NetworkNamespace,
    Layer::IpcNamespace,
    Layer::UtsNamespace,
    Layer::LandlockFiles,
    Layer::LandlockNetwork,
    Layer::LandlockScope,
    Layer::Seccomp,
];

/// A job that has left its things about and goes on. Gives its process id and the last word of its first line.
struct Neighbour {
    worker: Option<Worker>,
    pid: u32,
    said: String,
    _script: Script,
}

impl Neighbour {
    fn start(content: &str, without: &[Layer]) -> Self {
        let script = Script::python(&format!("{content}\nimport time; time.sleep(60)")).without(without);
        let mut worker = script.start();
        let (pid, _, _) = worker.running();
        let mut said = Vec::new();
        while !said.contains(&b'\n') {
            match worker.next().expect("it goes on") {
                FromWorker::Output(bytes) => said.extend_from_slice(&bytes),
                other => panic!("it ended: {other:?} {}", String::from_utf8_lossy(&said)),
            }
        }
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        Self { worker: Some(worker), pid, said, _script: script }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            worker.send(&ToWorker::Stop { grace_ms: 0 });
            worker.finish();
        }
    }
}

/// The victim's things and the attacker's look at them: stopped with every layer, and seen without.
fn apart(leaves: &str, looks: &str, stopped: &str, seen: &str) {
    for (without, expected) in [(&[][..], stopped), (&EVERYTHING[..], seen)] {
        let neighbour = Neighbour::start(leaves, without);
        let looks = looks.replace("PID", &neighbour.pid.to_string()).replace("SAID", &neighbour.said);
        let printed = Script::python(&looks).without(without).run().success();
        assert_eq!(printed.trim(), expected, "without {without:?}");
    }
}

#[test]
fn row_30_a_neighbour_can_be_neither_traced_nor_read() {
    let looks = "buffer = ctypes.create_string_buffer(8)
vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
v = ctypes.addressof(vector)
theirs = (ctypes.c_uint64 * 2)(SAID, 8)
pidfd = libc.syscall(ctypes.c_long(434), PID, 0)
print(tried(lambda: open('/proc/PID/environ').read()), tried(lambda: open('/proc/PID/mem').close()), tried(lambda: os.listdir('/proc/PID/fd')))
print(call(310, PID, v, 1, ctypes.addressof(theirs), 1, 0), call(438, pidfd, 1, 0), call(312, os.getpid(), PID, 0, 0, 0), call(101, 16, PID, 0, 0))";
    // kcmp of two files that are not the same one says 1 or 2: that is an answer.
    apart(
        "secret = ctypes.create_string_buffer(b'secret!!')\nprint(ctypes.addressof(secret), flush=True)",
        looks,
        "ENOENT ENOENT ENOENT\nEPERM EPERM EPERM EPERM",
        "ok ok ok\nok ok ok ok",
    );
}

#[test]
fn row_37_a_neighbour_cannot_be_signalled_in_any_way() {
    // seccomp lets nobody queue a signal with a value; the rest finds no such process.
    let looks = "import signal
pidfd = libc.syscall(ctypes.c_long(434), PID, 0)
print(tried(lambda: os.kill(PID, 0)), tried(lambda: os.kill(-PID, 0)), call(424, pidfd, 0, 0, 0), call(129, PID, 0, b'\\0' * 8 + b'\\xff' * 4 + b'\\0' * 116), call(234, PID, PID, 0))";
    apart("print('x', flush=True)", looks, "ESRCH ESRCH EBADF EPERM ESRCH", "ok ok ok ok ok");
}

#[test]
fn row_35_and_36_a_neighbours_unix_sockets_cannot_be_reached() {
    let name = format!("bartizan-neighbour-{}", std::process::id());
    let leaves = format!(
        "try:
    a = socket.socket(socket.AF_UNIX); a.bind('\\0{name}'); a.listen()
    b = socket.socket(socket.AF_UNIX); b.bind('socket'); b.listen()
except OSError: pass
print(os.getcwd(), flush=True)"
    );
    let looks = format!(
        "print(tried(lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}')), tried(lambda: socket.socket(socket.AF_UNIX).connect('SAID/socket')))"
    );
    apart(&leaves, &looks, "EPERM EPERM", "ok ok");
    // A neighbour that could make them, and an attacker that may not: the namespaces and Landlock alone.
    let neighbour = Neighbour::start(&leaves, &[Layer::Seccomp]);
    let looks = looks.replace("SAID", &neighbour.said);
    let printed = Script::python(&looks).without(&[Layer::Seccomp]).run().success();
    assert_eq!(printed.trim(), "ECONNREFUSED ENOENT", "its own scratch directory is another");
}

#[test]
fn rows_30_and_40_a_neighbours_scratch_and_shared_memory_are_not_there() {
    let name = format!("bartizan-neighbour-{}", std::process::id());
    let leaves = format!(
        "open('secret', 'w').write('x'); open('/tmp/{name}', 'w').write('x') if os.getcwd() == '/scratch' else None
try: open('/dev/shm/{name}', 'w').write('x')
except OSError: pass
print(os.getcwd(), flush=True)"
    );
    let looks = format!(
        "print(os.path.exists('SAID/secret'), os.path.exists('/tmp/{name}'), os.path.exists('/dev/shm/{name}'), [n for n in os.listdir('/tmp') if n.startswith('bartizan-job-') and '/tmp/' + n != os.getcwd()] != [] if os.getcwd() != '/scratch' else False)"
    );
    apart(&leaves, &looks, "False False False False", "True False True True");
    // Files of a neighbour's in a place that both can see are kept apart by Landlock alone.
    let without = &[Layer::MountNamespace][..];
    let neighbour = Neighbour::start(&leaves, without);
    let read =
        format!("print(tried(lambda: open('{}/secret').read()), tried(lambda: open('{0}/new', 'w')))", neighbour.said);
    assert_eq!(Script::python(&read).without(without).run().success().trim(), "EACCES EACCES");
    let _removed = std::fs::remove_file(format!("/dev/shm/{name}"));
}

#[test]
fn row_30_system_v_memory_queues_and_semaphores_and_keys_are_not_shared() {
    let key = 0x0b00_0000 + (std::process::id() & 0xffff);
    let make = format!(
        "print(call(29, {key}, 4096, 0o1600), call(68, {key}, 0o1600), call(64, {key}, 1, 0o1600), call(248, b'user', b'bartizan-{key}', b'y', 1, -4), flush=True)"
    );
    let look = format!(
        "print(call(29, {key}, 4096, 0), call(68, {key}, 0), call(64, {key}, 1, 0), call(249, b'user', b'bartizan-{key}', 0, 0))"
    );
    apart(&make, &look, "EPERM EPERM EPERM EPERM", "ok ok ok ok");
    // Without seccomp the namespaces: of their own each, in which nothing of that key is.
    let neighbour = Neighbour::start(&make, &[Layer::Seccomp]);
    assert_eq!(neighbour.said, "ok ok ok ok");
    let printed = Script::python(&look).without(&[Layer::Seccomp]).run().success();
    assert_eq!(printed.trim(), "ENOENT ENOENT ENOENT ENOKEY");
    drop(neighbour);
    // What the counter-proof left in the machine's own namespace.
    let remove = format!(
        "shm = libc.shmget({key}, 0, 0); libc.shmctl(shm, 0, 0)\nq = libc.msgget({key}, 0); libc.msgctl(q, 0, 0)\ns = libc.semget({key}, 0, 0); libc.semctl(s, 0, 0)"
    );
    Script::python(&remove).without(&EVERYTHING).run();
}

#[test]
fn a_job_that_watches_or_locks_what_both_can_see_learns_and_stops_nothing() {
    // Both run the same script: the file and its directory are what they share, read-only.
    let content = "import fcntl, time
fd = os.open(sys.argv[0], os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
watch = libc.inotify_init1(0o4000)
print(libc.inotify_add_watch(watch, b'/tmp', 0xfff) >= 0, flush=True)
time.sleep(1.5)
print(tried(lambda: os.read(watch, 4096)))";
    let script = Script::python(content);
    let mut first = script.start();
    first.running();
    // The next job of that script starts and ends while the lock is held, and what it makes in its own /tmp is not seen.
    let other =
        Script::bash("exec 9<\"$0\"; touch /tmp/made; flock -s -w 1 9 && echo locked; echo ends").run().success();
    assert!(other.ends_with("ends\n"), "{other}");
    assert_eq!(first.finish().success(), "True\nEAGAIN\n");
}

/// Descriptors that the launcher leaked would reach the script.
#[test]
fn row_38_a_descriptor_that_the_worker_was_started_with_does_not_reach_the_script() {
    let leaked = std::fs::File::open("/etc/passwd").expect("open");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("inherited");
    let script = Script::python("print(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1])");
    let mut worker = Worker::start();
    worker.order(script.order.clone(), &std::fs::File::open(&script.path).expect("the script"));
    assert_eq!(worker.finish().success(), "[0, 1, 2]\n");
    drop(leaked);
}
