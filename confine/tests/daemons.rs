//! Each daemon's confinement, tried in a process that confines itself as that daemon does.
#![allow(
    unsafe_code,
    reason = "fork, so that the test process itself stays free; and system calls that no crate makes"
)]

use bartizan_confine::{Confinement, confine};
use bartizan_proto::Role;
use bartizan_proto::worker::{Layer, LayerState};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

/// How a forked process ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Code(i32),
    Signal(i32),
}

/// Runs `what` in a child. A panic in it ends it with code 101; its message stands in the test's output.
fn in_a_child(what: impl FnOnce()) -> End {
    // SAFETY: the child runs only this closure and leaves with _exit. The C library makes its memory allocator usable
    // after a fork of a process with threads.
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
            // SAFETY: never returns.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the pointer is to a live integer.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            if libc::WIFEXITED(status) {
                End::Code(libc::WEXITSTATUS(status))
            } else {
                End::Signal(libc::WTERMSIG(status))
            }
        }
    }
}

fn confined(role: Role, read: &[PathBuf], write: &[PathBuf], connect_ports: &[u16]) {
    let layers = confine(&Confinement { role, read, write, connect_ports }).expect("confined");
    let on = |layer| layers.iter().any(|line| line.layer == layer && line.state == LayerState::On);
    assert!(on(Layer::NoNewPrivileges) && on(Layer::Seccomp), "{layers:?}");
}

fn errno<T>(result: io::Result<T>) -> i32 {
    result.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
}

/// A system call by number; its error, or 0.
fn call(number: i64, arguments: [i64; 5]) -> i32 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: used with null pointers and numbers only, on calls that are expected to be denied.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if result < 0 { errno::<()>(Err(io::Error::last_os_error())) } else { 0 }
}

#[test]
fn the_core_keeps_its_files_and_threads_and_nothing_else() {
    let directory = tempfile::tempdir().expect("tempdir");
    let own = directory.path().to_owned();
    let end = in_a_child(|| {
        let listener = UnixListener::bind(own.join("control.sock")).expect("bind");
        let mut client = UnixStream::connect(own.join("control.sock")).expect("connect");
        confined(Role::Core, &[], std::slice::from_ref(&own), &[]);
        // What SQLite and the audit file do.
        let path = own.join("state");
        let mut file = File::options().create(true).append(true).read(true).open(&path).expect("open");
        file.write_all(b"row").and_then(|()| file.sync_all()).and_then(|()| file.set_len(1)).expect("write");
        fs::rename(&path, own.join("moved")).and_then(|()| fs::remove_file(own.join("moved"))).expect("rename");
        fs::create_dir(own.join("d")).and_then(|()| fs::read_dir(&own).map(|_| ())).expect("directories");
        // The control socket, socket pairs, threads, secret memory.
        let (mut served, _) = listener.accept().expect("accept");
        client.write_all(b"x").expect("write");
        served.read_exact(&mut [0]).expect("read");
        UnixStream::pair().expect("a pair");
        std::thread::spawn(|| 7).join().expect("a thread");
        assert_ne!(call(libc::SYS_memfd_secret, [0; 5]), libc::EPERM);
        // Nothing else.
        assert_eq!(errno(File::open("/etc/passwd")), libc::EACCES);
        assert_eq!(errno(UdpSocket::bind("127.0.0.1:0")), libc::EPERM);
        assert_eq!(errno(UnixDatagram::pair()), libc::EPERM);
        assert_eq!(errno(UnixStream::connect("/run/nothing")), libc::EPERM);
        assert_eq!(call(libc::SYS_kill, [i64::from(std::process::id()), 0, 0, 0, 0]), libc::EPERM);
        assert_eq!(call(libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0, 0]), libc::EPERM);
        assert_eq!(call(libc::SYS_clone3, [0; 5]), libc::ENOSYS);
        // PROT_READ | PROT_EXEC, private and anonymous.
        assert_eq!(call(libc::SYS_mmap, [0, 4096, 5, 0x22, -1]), libc::EPERM);
    });
    assert_eq!(end, End::Code(0));
}

#[test]
fn a_call_that_only_an_attack_makes_ends_a_daemon() {
    let calls = [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_unshare, libc::SYS_bpf, libc::SYS_io_uring_setup];
    for role in [Role::Core, Role::Egress, Role::Connector] {
        for number in calls {
            let end = in_a_child(|| {
                confined(role, &[], &[], &[]);
                call(number, [0; 5]);
            });
            assert_eq!(end, End::Signal(libc::SIGSYS), "{role} {number}");
        }
    }
}

#[test]
fn the_connector_can_open_nothing_and_reach_nothing_but_what_it_has() {
    let end = in_a_child(|| {
        let (mut a, mut b) = UnixStream::pair().expect("a pair");
        confined(Role::Connector, &[], &[], &[]);
        a.write_all(b"x").expect("write");
        b.read_exact(&mut [0]).expect("read");
        std::thread::spawn(|| 7).join().expect("a thread");
        assert_eq!(errno(File::open("/etc/passwd")), libc::EPERM);
        assert_eq!(errno(fs::metadata("/etc/passwd")), libc::EPERM);
        assert_eq!(errno(TcpStream::connect("127.0.0.1:1")), libc::EPERM);
        assert_eq!(errno(UnixStream::connect("/run/nothing")), libc::EPERM);
        assert_eq!(errno(UnixDatagram::pair()), libc::EPERM);
    });
    assert_eq!(end, End::Code(0));
}

#[test]
fn egress_reaches_its_port_by_name_and_no_other() {
    let granted = TcpListener::bind("127.0.0.1:0").expect("bind");
    let other = TcpListener::bind("127.0.0.1:0").expect("bind");
    let (granted, other) = (granted.local_addr().expect("bound").port(), other.local_addr().expect("bound").port());
    let end = in_a_child(|| {
        confined(Role::Egress, &bartizan_confine::daemon::resolver_files(), &[], &[granted]);
        // On a second thread, as the runtime does it.
        let found = std::thread::spawn(|| ("localhost", 1).to_socket_addrs().map(Iterator::count)).join();
        assert!(found.expect("a thread").expect("resolves") > 0);
        TcpStream::connect(("127.0.0.1", granted)).expect("connects");
        UdpSocket::bind("127.0.0.1:0").expect_err("nothing is bound");
        assert_eq!(errno(File::open("/etc/passwd")), libc::EACCES);
        assert_eq!(errno(UnixStream::connect("/run/nothing")), libc::EPERM);
        // AF_NETLINK, and MPTCP in TCP's clothes.
        assert_eq!(call(libc::SYS_socket, [16, 3, 0, 0, 0]), libc::EPERM);
        assert_eq!(call(libc::SYS_socket, [2, 1, 262, 0, 0]), libc::EPERM);
        // From ABI 4 on.
        let denied = errno(TcpStream::connect(("127.0.0.1", other)));
        assert!(denied == libc::EACCES || denied == 0 && landlock_network_is_missing(), "{denied}");
    });
    assert_eq!(end, End::Code(0));
}

fn landlock_network_is_missing() -> bool {
    // landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    // SAFETY: with this flag the call takes no pointer and only answers a number.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    abi < 4
}

#[test]
fn the_launcher_still_starts_and_reaps_and_what_it_starts_cannot_trace() {
    let end = in_a_child(|| {
        confined(Role::Launcher, &[], &[], &[]);
        let status = std::process::Command::new("/bin/true").status().expect("starts");
        assert!(status.success());
        assert_eq!(call(libc::SYS_ptrace, [0; 5]), libc::EPERM);
        File::open("/etc/passwd").expect("files are left to those it starts");
        TcpListener::bind("127.0.0.1:0").expect("TCP is left to them, too");
    });
    assert_eq!(end, End::Code(0));
}

#[test]
fn confining_is_refused_while_other_threads_run_and_for_roles_without_a_list() {
    let nothing = |role| Confinement { role, read: &[], write: &[], connect_ports: &[] };
    let end = in_a_child(|| {
        std::thread::spawn(std::thread::park);
        let refused = confine(&nothing(Role::Core)).expect_err("refused");
        assert!(refused.to_string().contains("2 threads run already"), "{refused}");
        assert!(confine(&nothing(Role::Worker)).is_err());
    });
    assert_eq!(end, End::Code(0));
}

#[test]
fn a_granted_path_that_is_not_there_is_an_error() {
    let end = in_a_child(|| {
        let missing = [PathBuf::from("/no/such/path")];
        let confinement = Confinement { role: Role::Core, read: &missing, write: &[], connect_ports: &[] };
        let error = confine(&confinement).expect_err("refused");
        assert!(error.to_string().contains("/no/such/path"), "{error}");
    });
    assert_eq!(end, End::Code(0));
}
