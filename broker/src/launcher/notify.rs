//! The service manager's socket, which the start connected and left as the main process's standard output.
//!
//! Only the main process has it (`NotifyAccess=main`), and it says only what the core's [`Notice`] has a word for. Nothing
//! is waited for: a manager that does not read is not to hold the service up.

use bartizan_proto::launcher::Notice;
use bartizan_proto::text::printable;
use rustix::fs::FileType;
use rustix::net::{SendFlags, send};
use rustix::stdio::stdout;
use rustix::time::{ClockId, clock_gettime};

/// Tells it; nobody where nobody listens.
pub fn tell(notice: &Notice) {
    let listens = rustix::fs::fstat(stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_socket());
    if listens {
        let _says_so_again_or_waits_for_nothing =
            send(stdout(), words(notice).as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

/// The datagram, as `sd_notify(3)` has it.
fn words(notice: &Notice) -> String {
    match notice {
        // A line break would begin another assignment.
        Notice::Status { ready: true, line } => format!("READY=1\nSTATUS={}", printable(line)),
        Notice::Status { ready: false, line } => format!("STATUS={}", printable(line)),
        Notice::Watchdog => "WATCHDOG=1".to_owned(),
        Notice::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
            format!("RELOADING=1\nMONOTONIC_USEC={micros}")
        }
        Notice::Stopping { within_ms: 0 } => "STOPPING=1\nSTATUS=ending".to_owned(),
        Notice::Stopping { within_ms } => {
            format!("STOPPING=1\nSTATUS=ending\nEXTEND_TIMEOUT_USEC={}", u64::from(*within_ms) * 1000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::Text;

    #[test]
    fn a_status_is_one_assignment_whatever_stands_in_it() {
        let said = words(&Notice::Status { ready: true, line: Text::cut("down: x\nMAINPID=1\rWATCHDOG=trigger") });
        assert_eq!(said.lines().count(), 2, "{said:?}");
        assert!(said.starts_with("READY=1\nSTATUS=down: x"), "{said:?}");
        assert!(!said.contains('\r'), "{said:?}");
    }

    #[test]
    fn what_ends_says_how_long_that_may_take() {
        assert!(words(&Notice::Stopping { within_ms: 1500 }).ends_with("EXTEND_TIMEOUT_USEC=1500000"));
    }
}
