//! `bartizan doctor`: which guarantee is given by which layer, on this kernel and in the running service.

use super::{Look, word};
use crate::siblings::Probe;
use bartizan_proto::control::{Check, CheckVerdict, Doctor};
use bartizan_proto::text::printable;
use bartizan_proto::worker::{Given, Guarantee, InForce, Layer, LayerState};
use serde::Serialize;

/// Everything that was found; `--json` prints it as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The running kernel.
    pub kernel: String,
    /// Every file of the installation; absent for a program that is not installed.
    pub installation: Option<Vec<Check>>,
    /// What SELinux says of it; nothing where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selinux: Vec<Check>,
    /// The sandbox tried out on it.
    pub probe: Option<Probe>,
    /// Why it could not be tried out.
    pub probe_error: Option<String>,
    /// What the running service says.
    pub service: Option<Doctor>,
    /// Why it says nothing.
    pub service_error: Option<String>,
}

impl Report {
    /// Whether every guarantee is given that is required, and no check failed. That no service runs is no fault of the machine.
    pub fn is_good(&self) -> bool {
        let must = |guarantee| self.service.as_ref().is_none_or(|service| service.require.contains(&guarantee));
        let given = |given: &[Given]| given.iter().all(|given| !given.by.is_empty() || !must(given.guarantee));
        let sound = |checks: &[Check]| checks.iter().all(|check| check.verdict != CheckVerdict::Fail);
        self.installation.as_deref().is_none_or(sound)
            && self.probe.as_ref().is_some_and(|probe| given(&probe.given))
            && self.service.as_ref().is_none_or(|service| given(&service.given) && sound(&service.checks))
    }
}

/// The whole report.
pub fn doctor(report: &Report, look: &Look) -> String {
    let mut out = look.pairs(&[
        ("Kernel", printable(&report.kernel)),
        ("Service", report.service.as_ref().map_or_else(|| look.doubtful("not asked"), |service| word(service.mode))),
    ]);
    if let Some(error) = &report.service_error {
        out.push_str(&format!("{} {}\n", look.doubtful("!"), printable(error)));
    }
    if let Some(checks) = &report.installation {
        out.push_str(&format!("\n{}\n", look.heading("The installation")));
        out.push_str(&lines(checks, look));
        out.push_str(&lines(&report.selinux, look));
    }
    match (&report.probe, &report.probe_error) {
        (Some(probe), _) => {
            out.push_str(&format!("\n{}\n", look.heading("A script's sandbox, tried out on this machine now")));
            let require = report.service.as_ref().map(|service| &*service.require);
            out.push_str(&guarantees(&probe.given, require, look));
            if require.is_none() {
                out.push_str("What is required is a matter of the configuration: a running service says it here.\n");
            }
            out.push('\n');
            out.push_str(&layers(&probe.layers, look));
        }
        (None, Some(error)) => out.push_str(&format!("{} {}\n", look.bad("✘"), printable(error))),
        (None, None) => {}
    }
    if let Some(service) = &report.service {
        out.push_str(&of_service(service, look));
    }
    out
}

fn of_service(service: &Doctor, look: &Look) -> String {
    let mut out = format!("\n{}\n", look.heading("The running service"));
    out.push_str(&lines(&service.checks, look));
    for limit in &service.limits {
        out.push_str(&format!("{} {}\n", look.doubtful("!"), printable(limit)));
    }
    if !service.given.is_empty() {
        out.push_str(&format!("\n{}\n", look.heading("As its last worker read it back")));
        out.push_str(&guarantees(&service.given, Some(&service.require), look));
    }
    out
}

/// One line a check.
fn lines(checks: &[Check], look: &Look) -> String {
    let line = |check: &Check| {
        let mark = match check.verdict {
            CheckVerdict::Ok => look.good("✔"),
            CheckVerdict::Warn => look.doubtful("!"),
            CheckVerdict::Fail => look.bad("✘"),
        };
        format!("{mark} {}: {}\n", printable(&check.what), printable(&check.detail))
    };
    checks.iter().map(line).collect()
}

/// Guarantee × layer: `✔` where the layer gives it. Only layers that give something have a column. Where it is known, what
/// the configuration requires.
pub(super) fn guarantees(given: &[Given], require: Option<&[Guarantee]>, look: &Look) -> String {
    let mut columns: Vec<Layer> = given.iter().flat_map(|given| given.by.iter().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    let name_width = given.iter().map(|given| word(given.guarantee).len()).max().unwrap_or(0);
    let heads: Vec<&str> = columns.iter().map(|layer| short(*layer)).collect();
    let required = |guarantee: &Guarantee| require.map(|require| require.contains(guarantee));
    let column = if require.is_some() { "  REQUIRED" } else { "" };
    let mut out = look.heading(&format!("{:name_width$}{column}  {}", "GUARANTEE", heads.join("  ")));
    out.push('\n');
    for row in given {
        let cells: Vec<String> = columns
            .iter()
            .zip(&heads)
            .map(|(layer, head)| {
                let gives = row.by.contains(layer);
                let padding = " ".repeat(head.len().saturating_sub(1));
                if gives { format!("{}{padding}", look.good("✔")) } else { format!("–{padding}") }
            })
            .collect();
        let name = format!("{:name_width$}", word(row.guarantee));
        let required = required(&row.guarantee);
        let name = match (row.by.is_empty(), required) {
            (true, Some(false)) => look.doubtful(&name),
            (true, Some(true) | None) => look.bad(&name),
            (false, _) => name,
        };
        let said = match required {
            Some(true) => "  yes     ",
            Some(false) => "  no      ",
            None => "",
        };
        out.push_str(format!("{name}{said}  {}", cells.join("  ")).trim_end());
        out.push_str(if row.by.is_empty() { "  nothing gives it\n" } else { "\n" });
    }
    out
}

/// Each layer as it was read back.
pub(super) fn layers(layers: &[InForce], look: &Look) -> String {
    let mut rows = vec![["LAYER", "SHORT", "STATE", "READ BACK"].map(str::to_owned).to_vec()];
    rows.extend(layers.iter().map(|layer| {
        let state = match layer.state {
            LayerState::On => "on",
            LayerState::Unavailable => "not here",
            LayerState::Off => "left off",
        };
        vec![word(layer.layer), short(layer.layer).to_owned(), state.to_owned(), layer.detail.to_string()]
    }));
    look.table(&rows)
}

/// A column's head.
fn short(layer: Layer) -> &'static str {
    match layer {
        Layer::Descriptors => "fds",
        Layer::Environment => "env",
        Layer::Limits => "lim",
        Layer::Capabilities => "cap",
        Layer::NoNewPrivileges => "nnp",
        Layer::UserNamespace => "usr",
        Layer::PidNamespace => "pid",
        Layer::MountNamespace => "mnt",
        Layer::NetworkNamespace => "net",
        Layer::IpcNamespace => "ipc",
        Layer::UtsNamespace => "uts",
        Layer::LandlockFiles => "llf",
        Layer::LandlockNetwork => "lln",
        Layer::LandlockScope => "lls",
        Layer::Seccomp => "sec",
        Layer::OwnUser => "uid",
    }
}
