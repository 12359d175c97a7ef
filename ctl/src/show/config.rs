//! `bartizan check-config`: what is wrong, or what would change.

use super::Look;
use bartizan_proto::control::ConfigReport;
use bartizan_proto::text::printable;

/// The report.
pub fn config(report: &ConfigReport, look: &Look) -> String {
    let path = printable(&report.path);
    let mut out = match &report.error {
        Some(error) => format!("{} {}\n", look.bad("✘"), printable(error)),
        None => format!("{} {path} is right.\n", look.good("✔")),
    };
    for warning in &report.warnings {
        out.push_str(&format!("{} {}\n", look.doubtful("!"), printable(warning)));
    }
    if !report.differences.is_empty() {
        out.push_str("A reload would change:\n");
    }
    for difference in &report.differences {
        out.push_str(&format!("  {}\n", printable(difference)));
    }
    out
}
