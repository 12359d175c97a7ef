//! A machine to log in at, beside an installation: OpenSSH's daemon on loopback as a user of its own, with one account and one key.

use super::User;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Its address.
pub const ADDRESS: &str = "127.0.77.90";
/// Its one account.
pub const ACCOUNT: &str = "deploy";

/// It runs until this is dropped.
#[derive(Debug)]
pub struct Daemon {
    /// Its files, of which the account's home is one folder.
    pub folder: TempDir,
    /// Where it listens.
    pub port: u16,
    child: Child,
}

impl Daemon {
    /// Why there can be none here; `None` where there can be.
    pub fn missing() -> Option<String> {
        bartizan_playground::service::hosts::missing()
    }

    /// Starts it as this user, whom its account stands for. Only root can.
    pub fn start(user: User) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bartizan-daemon-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory");
        let at = |name: &str| folder.path().join(name);
        let port = TcpListener::bind((ADDRESS, 0)).and_then(|one| one.local_addr()).expect("a port").port();
        for key in ["host", "login"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(at(key))
                .output()
                .expect("ssh-keygen runs");
            assert!(made.status.success(), "{made:?}");
        }
        fs::create_dir(at("home")).expect("a home");
        let home = at("home").display().to_string();
        let put = |name: &str, text: &str| fs::write(at(name), text).expect("written");
        put("passwd", &format!("{ACCOUNT}:x:{}:{}::{home}:/bin/sh\n", user.uid, user.gid));
        put("authorized", &format!("restrict {}", fs::read_to_string(at("login.pub")).expect("a key")));
        put(
            "config",
            &format!(
                "ListenAddress {ADDRESS}\nPort {port}\nHostKey {host}\nPidFile none\nUsePAM no\nStrictModes no\nAuthorizedKeysFile {keys}\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
                host = at("host").display(),
                keys = at("authorized").display(),
            ),
        );
        for name in ["home", "host", "authorized", "config", "passwd"] {
            chown(at(name), Some(user.uid), Some(user.gid)).expect("chown");
        }
        let log = fs::File::create(at("log")).expect("a log");
        let ids = [format!("--map-user={}", user.uid), format!("--map-group={}", user.gid)];
        let line = "mount --bind \"$1/passwd\" /etc/passwd && exec setpriv --inh-caps=-all --ambient-caps=-all /usr/sbin/sshd -D -e -f \"$1/config\"";
        let child = user
            .command("unshare")
            .arg("--user")
            .args(ids)
            .args(["--keep-caps", "--mount", "sh", "-c", line, "sh"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut daemon = Self { folder, port, child };
        let end = Instant::now() + super::running::PATIENCE;
        while !daemon.log().contains("Server listening") {
            let ended = daemon.child.try_wait().expect("waited");
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// One of its files: `home/…`, `host.pub`, `login` (the private key that opens it).
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // What it started for somebody who is logged in ends with their connection.
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}
