//! A service manager that listens, as systemd does: `NOTIFY_SOCKET` and the watchdog (`sd_notify(3)`).

use bartizan_playground::service::Role;
use bartizan_tests::house::{House, PATIENCE, Plan, programs};
use nix::sys::signal::Signal;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Something that listens as systemd does.
struct Listener {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Listener {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_nonblocking(true).expect("nonblocking");
        Self { socket, heard: Vec::new() }
    }

    /// Everything so far, a datagram each.
    fn heard(&mut self) -> &[String] {
        let mut bytes = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            self.heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        &self.heard
    }

    fn count(&mut self, wanted: &str) -> usize {
        self.heard().iter().filter(|said| said.contains(wanted)).count()
    }

    /// Waits until it was told more often than before.
    async fn wait(&mut self, wanted: &str, more_than: usize) {
        let end = Instant::now() + PATIENCE;
        while self.count(wanted) <= more_than {
            assert!(Instant::now() < end, "never told {wanted:?}: {:?}", self.heard);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn in_a_folder() -> (tempfile::TempDir, Listener, String) {
    let folder = tempfile::Builder::new().prefix("bartizan-notify-").tempdir_in("/tmp").expect("a directory");
    let path = folder.path().join("notify");
    let listener = Listener::new(UnixDatagram::bind(&path).expect("a socket"));
    (folder, listener, path.display().to_string())
}

#[tokio::test(flavor = "current_thread")]
async fn a_service_manager_hears_of_the_start_the_state_a_reload_and_the_end() {
    programs();
    let (_folder, mut listener, path) = in_a_folder();
    let mut house = House::build(Plan::default().bash("nap", "sleep 60", "").environment("NOTIFY_SOCKET", &path)).await;
    listener.wait("READY=1\nSTATUS=connected to http://127.0.0.1:", 0).await;
    assert!(listener.heard().iter().all(|said| !said.contains("WATCHDOG")), "nobody asked: {:?}", listener.heard);
    house.works().await;

    let ready = listener.count("READY=1");
    house.service.send(Role::Launcher, Signal::SIGHUP);
    listener.wait("RELOADING=1\nMONOTONIC_USEC=", 0).await;
    listener.wait("READY=1", ready).await;
    let said = listener.heard().join("|");
    assert!(said.rfind("RELOADING") < said.rfind("READY=1"), "{said}");

    let post = house.say("carol", "ops", "!nap");
    house.reaction(&post, "hourglass_flowing_sand").await;
    house.service.pause();
    listener.wait("STOPPING=1\nSTATUS=ending", 0).await;
    // The job had to be stopped first.
    listener.wait("EXTEND_TIMEOUT_USEC=13000000", 0).await;
    assert_eq!(listener.heard().last().map(|last| last.contains("STOPPING=1")), Some(true), "{:?}", listener.heard);
}

#[tokio::test(flavor = "current_thread")]
async fn the_watchdog_is_fed_while_core_and_launcher_are_alive_and_not_while_one_of_them_hangs() {
    programs();
    // systemd's name may also be an abstract one.
    let name = format!("bartizan-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let mut listener = Listener::new(UnixDatagram::bind_addr(&address).expect("a socket"));
    let plan = Plan::default().environment("NOTIFY_SOCKET", &format!("@{name}")).environment("WATCHDOG_USEC", "600000");
    let house = House::build(plan).await;
    for role in [Role::Core, Role::Launcher] {
        let before = listener.count("WATCHDOG=1");
        listener.wait("WATCHDOG=1", before + 2).await;
        house.service.send(role, Signal::SIGSTOP);
        // What was under way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = listener.count("WATCHDOG=1");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(listener.count("WATCHDOG=1"), before, "a {role} that is stopped");
        house.service.send(role, Signal::SIGCONT);
        listener.wait("WATCHDOG=1", before).await;
    }
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_manager_that_cannot_be_told_anything_is_done_without() {
    programs();
    for nowhere in ["/nowhere/notify", "notify", "vsock:2:1"] {
        let house = House::build(Plan::default().environment("NOTIFY_SOCKET", nowhere)).await;
        house.works().await;
        let log = house.service.log_tail(1000);
        assert!(log.contains("the service manager is told nothing: NOTIFY_SOCKET "), "{nowhere}: {log}");
    }
}
