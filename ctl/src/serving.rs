//! What every part of `bartizan` does that serves something: it says where, then gives up all that it does not need.

use crate::exit::CtlError;
use crate::http::Listener;
use bartizan_confine::daemon::confine_exporter;
use bartizan_confine::process::harden_entry;
use bartizan_proto::text::printable;
use bartizan_proto::worker::LayerState;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Once, before any thread: nothing that was bound is lost by it. Afterwards no file can be opened, no program run, no
/// connection made but to the service at `socket`.
///
/// # Errors
/// [`CtlError::Confine`]: as root, or where the kernel has something and yet does not give it.
pub(crate) fn begin(listener: &Listener, what: &str, socket: &Path) -> Result<(), CtlError> {
    let failed = |why: String| CtlError::Confine { what: what.to_owned(), why };
    if rustix::process::geteuid().is_root() {
        let why = "serves nothing as root: start it as an ordinary user in the group of `[control] readers`";
        return Err(failed(why.to_owned()));
    }
    harden_entry().map_err(|error| failed(error.to_string()))?;
    let folders: Vec<PathBuf> =
        socket.parent().filter(|folder| folder.is_dir()).map(Path::to_owned).into_iter().collect();
    let layers = confine_exporter(&folders).map_err(|error| failed(error.to_string()))?;
    let mut told = format!("serving {what} at {}", printable(&listener.shown()));
    for layer in layers.iter().filter(|layer| layer.state != LayerState::On) {
        told.push_str(&format!("; without {}: {}", layer.layer, printable(&layer.detail)));
    }
    // Nobody may read it, but a test that asked for any port does.
    let _nobody_reads = writeln!(std::io::stderr(), "{told}");
    Ok(())
}
