//! What is counted since the start, and how it reads in Prometheus' text format.
//!
//! Called by the core alone, which fills in what is so at the moment it is asked. The names `bot_script_executions_total` and
//! `bot_script_duration_ms` are those that dashboards of other chat bots know. No label has a person, a channel or an argument in it.

use bartizan_proto::ids::ScriptName;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::Ending;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds in ms: from a script that prints one line to one that builds for an hour.
const BOUNDS: [u64; 10] = [10, 50, 100, 500, 1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000];

/// How executions end, as the label `result` has it.
const RESULTS: [&str; 5] = ["success", "failure", "timeout", "stopped", "error"];

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    scripts: BTreeMap<ScriptName, Script>,
    wait: Histogram,
    commands: [u64; 2],
    gates: BTreeMap<&'static str, u64>,
    alerts: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Script {
    results: [u64; RESULTS.len()],
    duration: Histogram,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum_ms: u64,
}

/// Something that is so at the moment.
#[derive(Debug)]
pub struct Gauge {
    /// Its name, with labels where it has any.
    pub name: String,
    /// How much.
    pub value: u64,
}

impl Metrics {
    /// A script ran, or should have: its worker died or refused where it has no ending.
    pub fn ran(&mut self, script: &ScriptName, ending: Option<Ending>, time: Duration) {
        let result = match ending {
            Some(Ending::Ended(ExitStatus::Code(0))) => 0,
            Some(Ending::Ended(ExitStatus::Code(_) | ExitStatus::Signal(_))) => 1,
            Some(Ending::TimedOut) => 2,
            Some(Ending::Stopped) => 3,
            None => 4,
        };
        let script = self.scripts.entry(script.clone()).or_default();
        script.results[result] += 1;
        script.duration.add(time);
    }

    /// A job was started after it had waited for so long.
    pub fn waited(&mut self, time: Duration) {
        self.wait.add(time);
    }

    /// A command was decided on; with the gate that refused it.
    pub fn decided(&mut self, allowed: bool, gate: Option<&'static str>) {
        self.commands[usize::from(!allowed)] += 1;
        if let Some(gate) = gate {
            *self.gates.entry(gate).or_default() += 1;
        }
    }

    /// Admins were to be warned.
    pub fn alerted(&mut self, topic: &'static str) {
        *self.alerts.entry(topic).or_default() += 1;
    }

    /// All of it, and what is so now.
    pub fn text(&self, now: &[Gauge]) -> String {
        let mut out = String::new();
        head(&mut out, "bot_script_executions_total", "counter", "Scripts that were run, by how they ended");
        for (name, script) in &self.scripts {
            for (result, count) in RESULTS.iter().zip(script.results).filter(|(_, count)| *count > 0) {
                line(&mut out, &format!("bot_script_executions_total{{script=\"{name}\",result=\"{result}\"}}"), count);
            }
        }
        head(&mut out, "bot_script_duration_ms", "histogram", "How long scripts ran");
        for (name, script) in &self.scripts {
            script.duration.text(&mut out, "bot_script_duration_ms", &format!("script=\"{name}\""));
        }
        head(&mut out, "bartizan_job_wait_ms", "histogram", "How long jobs waited for their start");
        self.wait.text(&mut out, "bartizan_job_wait_ms", "");
        head(&mut out, "bartizan_commands_total", "counter", "Commands that were decided on");
        for (verdict, count) in ["allowed", "refused"].iter().zip(self.commands) {
            line(&mut out, &format!("bartizan_commands_total{{verdict=\"{verdict}\"}}"), count);
        }
        head(&mut out, "bartizan_gate_refusals_total", "counter", "Commands refused, by the gate that did");
        for (gate, count) in &self.gates {
            line(&mut out, &format!("bartizan_gate_refusals_total{{gate=\"{gate}\"}}"), *count);
        }
        head(&mut out, "bartizan_alerts_total", "counter", "What admins were warned of");
        for (topic, count) in &self.alerts {
            line(&mut out, &format!("bartizan_alerts_total{{topic=\"{topic}\"}}"), *count);
        }
        let mut before = "";
        for Gauge { name, value } in now {
            let family = name.split('{').next().unwrap_or(name);
            if family != before {
                let kind = if family.ends_with("_total") { "counter" } else { "gauge" };
                out.push_str(&format!("# TYPE {family} {kind}\n"));
                before = family;
            }
            line(&mut out, name, *value);
        }
        out
    }
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if let Some(bucket) = BOUNDS.iter().position(|bound| ms <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    fn text(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (bound, bucket) in BOUNDS.iter().zip(self.buckets) {
            below += bucket;
            line(out, &format!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}}"), below);
        }
        line(out, &format!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}}"), self.count);
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        line(out, &format!("{name}_sum{labels}"), self.sum_ms);
        line(out, &format!("{name}_count{labels}"), self.count);
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, value: u64) {
    let _ = writeln!(out, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_and_what_was_refused_is_counted_and_buckets_hold_those_below_them() {
        let mut metrics = Metrics::default();
        let hello: ScriptName = "hello".parse().expect("a name");
        let ended = |code| Some(Ending::Ended(ExitStatus::Code(code)));
        metrics.ran(&hello, ended(0), Duration::from_millis(7));
        metrics.ran(&hello, ended(0), Duration::from_millis(70));
        metrics.ran(&hello, ended(3), Duration::from_secs(7200));
        metrics.ran(&hello, None, Duration::ZERO);
        metrics.decided(true, None);
        metrics.decided(false, Some("permission"));
        let now = [Gauge { name: "bartizan_jobs{state=\"running\"}".into(), value: 2 }];
        let text = metrics.text(&now);
        for line in [
            "bot_script_executions_total{script=\"hello\",result=\"success\"} 2",
            "bot_script_executions_total{script=\"hello\",result=\"failure\"} 1",
            "bot_script_executions_total{script=\"hello\",result=\"error\"} 1",
            "bot_script_duration_ms_bucket{script=\"hello\",le=\"10\"} 2",
            "bot_script_duration_ms_bucket{script=\"hello\",le=\"100\"} 3",
            "bot_script_duration_ms_bucket{script=\"hello\",le=\"3600000\"} 3",
            "bot_script_duration_ms_bucket{script=\"hello\",le=\"+Inf\"} 4",
            "bot_script_duration_ms_sum{script=\"hello\"} 7200077",
            "bartizan_job_wait_ms_bucket{le=\"+Inf\"} 0",
            "bartizan_job_wait_ms_count 0",
            "bartizan_gate_refusals_total{gate=\"permission\"} 1",
            "bartizan_commands_total{verdict=\"refused\"} 1",
            "# TYPE bartizan_jobs gauge",
            "bartizan_jobs{state=\"running\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("timeout"), "what never happened has no line");
    }
}
