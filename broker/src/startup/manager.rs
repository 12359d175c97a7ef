//! The service manager that started us, where it wants to hear how it goes (`sd_notify(3)`, `sd_watchdog_enabled(3)`).
//!
//! Three words of the environment, read before it is cleared. The socket is the caller's choice, and it is connected with the
//! caller's rights alone, also where the program is setuid; what goes over it later comes from the main process, which is the
//! caller's for good.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

/// The longest watchdog that is believed to be one.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the environment says.
#[derive(Debug, Default)]
pub struct Asked {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

/// A manager that listens.
#[derive(Debug)]
pub struct Manager {
    /// Connected to it.
    pub socket: OwnedFd,
    /// It ends a service of which it has heard nothing for so long.
    pub watchdog: Option<Duration>,
}

impl Asked {
    /// Reads the three words.
    pub fn read() -> Self {
        let word = |name: &str| std::env::var_os(name);
        let own = std::process::id().to_string();
        Self {
            socket: word("NOTIFY_SOCKET"),
            watchdog: watchdog(word("WATCHDOG_USEC").as_deref(), word("WATCHDOG_PID").as_deref(), &own),
        }
    }

    /// Whether one wants to hear.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Connects. A manager that cannot be reached is told of in the log, and done without.
    pub fn connect(self) -> Result<Option<Manager>, String> {
        let Some(name) = self.socket else { return Ok(None) };
        let failed = |error: nix::Error| format!("NOTIFY_SOCKET {}: {error}", Path::new(&name).display());
        let address = address(&name).map_err(failed)?;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
        connect(socket.as_raw_fd(), &address).map_err(failed)?;
        Ok(Some(Manager { socket, watchdog: self.watchdog }))
    }
}

/// A path, or a name in the abstract namespace after an `@`.
fn address(name: &OsStr) -> nix::Result<UnixAddr> {
    match name.as_bytes() {
        [b'/', ..] => UnixAddr::new(Path::new(name)),
        [b'@', name @ ..] => UnixAddr::new_abstract(&OsString::from_vec(name.to_vec()).into_vec()),
        _ => Err(nix::Error::EINVAL),
    }
}

/// `WATCHDOG_PID` says for whom it is meant, where it is set.
fn watchdog(micros: Option<&OsStr>, pid: Option<&OsStr>, own: &str) -> Option<Duration> {
    let time = Duration::from_micros(micros?.to_str()?.parse().ok()?);
    (pid.is_none_or(|pid| pid == own) && !time.is_zero() && time <= LONGEST).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_counts_where_it_is_a_time_and_meant_for_us() {
        let read = |micros: &str, pid: Option<&str>| watchdog(Some(micros.as_ref()), pid.map(OsStr::new), "7");
        assert_eq!(read("30000000", None), Some(Duration::from_secs(30)));
        assert_eq!(read("30000000", Some("7")), Some(Duration::from_secs(30)));
        for (micros, pid) in
            [("30000000", Some("8")), ("0", None), ("-1", None), ("x", None), ("18446744073709551615", None)]
        {
            assert_eq!(read(micros, pid), None, "{micros} {pid:?}");
        }
        assert_eq!(watchdog(None, None, "7"), None);
    }

    #[test]
    fn only_a_path_and_an_abstract_name_are_addresses() {
        assert!(address("/run/systemd/notify".as_ref()).is_ok());
        assert!(address("@notify".as_ref()).is_ok());
        for other in ["", "notify", "vsock:2:1", "../notify"] {
            assert!(address(other.as_ref()).is_err(), "{other}");
        }
    }
}
