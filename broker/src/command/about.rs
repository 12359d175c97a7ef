//! `about`: version, uptime, and what is in force around scripts as the last worker read it back from the kernel.

use crate::words;
use bartizan_proto::control::Mode;
use bartizan_proto::text::escape;
use bartizan_proto::worker::{InForce, LayerState};
use std::time::Duration;

/// The answer.
pub fn answer(uptime: Duration, mode: Mode, layers: &[InForce]) -> String {
    let mut out = format!("**Bartizan {}**, up for {}.", escape(env!("CARGO_PKG_VERSION")), words::rough(uptime));
    match mode {
        Mode::SingleUser => out.push_str(" Single-user mode: everything runs under one user; for development only."),
        Mode::Systemd => out.push_str(" Under systemd: each process is a unit of systemd's, with a user of its own."),
        Mode::Setuid => {}
    }
    if layers.is_empty() {
        out.push_str("\nNo script has run yet, so no layer has been read back from the kernel.");
        return out;
    }
    let names =
        |state: LayerState| -> Vec<String> { layers.iter().filter(|layer| layer.state == state).map(name).collect() };
    out.push_str(&format!("\nAround the last script: {}.", escape(&names(LayerState::On).join(", "))));
    let missing = names(LayerState::Unavailable);
    if !missing.is_empty() {
        out.push_str(&format!("\nNot to be had here: {}.", escape(&missing.join(", "))));
    }
    out
}

fn name(layer: &InForce) -> String {
    serde_json::to_value(layer.layer).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
