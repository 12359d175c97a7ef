//! The picture: from what was answered to cells of a terminal, and nothing else. Every foreign text is made printable first.

use super::{Hand, View};
use crate::show::{duration, health, word};
use bartizan_proto::control::{Health, Status};
use bartizan_proto::text::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

/// Most processes that have a line of their own; workers come last.
const MOST_PROCESSES: usize = 8;
/// Most failures and alerts.
const MOST_ERRORS: usize = 6;

/// Draws one picture.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, hand: &Hand, colour: bool) {
    let paint = Paint { colour };
    let Some(status) = &view.status else { return };
    let processes = status.processes.len().min(MOST_PROCESSES);
    let errors = errors(view, &paint);
    let height = |lines: usize| Constraint::Length(u16::try_from(lines).unwrap_or(u16::MAX));
    let [head, middle, jobs, bad, foot] = Layout::vertical([
        height(4),
        height(processes + 2),
        Constraint::Min(4),
        height(errors.len().max(1) + 1),
        height(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(status, view, &paint)), head);
    draw_processes(frame, middle, status, processes, &paint);
    draw_jobs(frame, jobs, view, hand, &paint);
    let title = titled(" Last errors ", &paint);
    let none = vec![Line::from("  none")];
    frame.render_widget(Paragraph::new(if errors.is_empty() { none } else { errors }).block(title), bad);
    frame.render_widget(Paragraph::new(footer(hand, &paint)), foot);
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn of(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

fn titled<'a>(title: &'a str, paint: &Paint) -> Block<'a> {
    Block::new().borders(Borders::TOP).title(title).border_style(paint.of(Color::DarkGray))
}

fn heading(status: &Status, view: &View, paint: &Paint) -> Vec<Line<'static>> {
    let mood = match status.health {
        Health::Ok => paint.of(Color::Green),
        Health::Starting | Health::Stopping => paint.of(Color::Yellow),
        Health::Degraded => paint.of(Color::Red),
    };
    let first = match &view.away {
        Some(away) => Line::styled(format!("no answer: {}", printable(away)), paint.of(Color::Red)),
        None => Line::styled(health(status), mood.add_modifier(Modifier::BOLD)),
    };
    let up = duration(status.uptime_s.saturating_mul(1000));
    vec![
        first,
        Line::from(format!(
            "Bartizan {}, {}, up {up}; {} as @{}",
            printable(&status.version),
            word(status.mode),
            printable(&status.server),
            printable(&status.bot)
        )),
        Line::from(format!(
            "jobs {} running, {} queued, {} started   commands {} undecided, {} refused   replies {} not delivered",
            status.running, status.queued, status.started, status.undecided, status.refused, status.undelivered
        )),
        Line::from(format!("brain {}, {} scripts", word(status.brain.state), status.scripts)),
    ]
}

fn draw_processes(frame: &mut Frame<'_>, area: Rect, status: &Status, shown: usize, paint: &Paint) {
    let rows = status.processes.iter().take(shown).map(|process| {
        let (pid, up) = match process.pid {
            0 => ("-".to_owned(), "-".to_owned()),
            pid => (pid.to_string(), duration(process.uptime_s.saturating_mul(1000))),
        };
        Row::new([word(process.role), pid, up, process.restarts.to_string(), printable(&process.note)])
    });
    let widths = [
        Constraint::Length(11),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Length(8),
        Constraint::Min(8),
    ];
    let table = Table::new(rows, widths).header(header(["PROCESS", "PID", "UP", "RESTARTS", "NOTE"]));
    frame.render_widget(table.block(titled(" Processes ", paint)), area);
}

fn draw_jobs(frame: &mut Frame<'_>, area: Rect, view: &View, hand: &Hand, paint: &Paint) {
    let title = titled(" Jobs, as they wait and run ", paint);
    if view.jobs.is_empty() {
        return frame.render_widget(Paragraph::new("  none").block(title), area);
    }
    let rows = view.jobs.iter().map(|job| {
        let channel = if job.channel.is_empty() { "(direct)".to_owned() } else { format!("#{}", job.channel) };
        let cells = [
            job.job.to_string(),
            word(job.state),
            duration(job.age_ms - job.age_ms % 1000),
            printable(&job.user_name),
            printable(&channel),
            printable(&job.command),
        ];
        Row::new(cells.map(Cell::from))
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(11),
        Constraint::Length(14),
        Constraint::Length(16),
        Constraint::Min(10),
    ];
    let table = Table::new(rows, widths)
        .header(header(["JOB", "STATE", "AGE", "USER", "CHANNEL", "COMMAND"]))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(title);
    let at = view.jobs.iter().position(|job| Some(job.job) == hand.chosen);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(at));
}

fn header<const N: usize>(words: [&'static str; N]) -> Row<'static> {
    Row::new(words).style(Style::new().add_modifier(Modifier::BOLD))
}

/// What does not work now, what admins were warned of, which jobs ended badly: in this order.
fn errors(view: &View, paint: &Paint) -> Vec<Line<'static>> {
    let status = view.status.iter();
    let problems =
        status.clone().flat_map(|status| status.problems.iter()).map(|problem| format!("✘ {}", printable(problem)));
    let alerts = status.flat_map(|status| status.alerts.iter()).map(|alert| {
        let age = duration(alert.age_s.saturating_mul(1000));
        format!("! alert {age} ago: {}", printable(&alert.what))
    });
    let failed = view.failed.iter().map(|past| {
        format!(
            "job {} {}: {} ({})",
            past.job,
            printable(&past.ending),
            printable(&past.command),
            printable(&past.user_name)
        )
    });
    let lines = problems.chain(alerts).chain(failed).take(MOST_ERRORS);
    lines.map(|line| Line::styled(format!("  {line}"), paint.of(Color::Red))).collect()
}

fn footer(hand: &Hand, paint: &Paint) -> Line<'static> {
    if let Some(job) = hand.asked {
        let style = paint.of(Color::Yellow).add_modifier(Modifier::BOLD);
        return Line::styled(format!("Stop job {job}? y: yes, any other key: no"), style);
    }
    let keys = "q: leave   ↑ ↓: choose   k: stop the chosen job";
    let told = if hand.told.is_empty() { String::new() } else { format!("   {}", printable(&hand.told)) };
    Line::from(vec![Span::raw(keys), Span::styled(told, paint.of(Color::Yellow))])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use bartizan_proto::Text;
    use bartizan_proto::control::JobRow;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    pub fn row(job: u64) -> JobRow {
        let id = "a".repeat(26);
        serde_json::from_value(json!({
            "job": job, "script": "deploy", "state": "running", "user": id, "user-name": "alice", "channel": "ops",
            "pid": 7, "age-ms": 61_500, "command": "!deploy api staging"
        }))
        .expect("a row")
    }

    pub fn view() -> View {
        let status = json!({
            "version": "0.1.0", "mode": "setuid", "health": "ok", "problems": [], "uptime-s": 90,
            "processes": [{ "role": "core", "pid": 5, "uptime-s": 90, "restarts": 0, "note": "" }],
            "server": "https://chat.example.com", "server-version": "10.0.0", "connected": true, "bot": "bartizan",
            "running": 2, "queued": 0, "undecided": 0, "undelivered": 0, "started": 4, "refused": 1, "scripts": 3,
            "brain": { "state": "open", "key": "file", "epoch": 1, "records": 1, "token": true, "remedy": "" },
            "lockdown": null, "paused": null, "pipelines": 0, "due": 0, "alerts": [{ "age-s": 5, "what": "the \u{1b}[2Jconnector lied" }]
        });
        let status = serde_json::from_value(status).expect("a status");
        View { status: Some(Box::new(status)), jobs: vec![row(3), row(4)], ..View::default() }
    }

    fn picture(view: &View, hand: &Hand, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, view, hand, false)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(width));
        lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    #[test]
    fn everything_is_on_the_screen_and_nothing_can_act_on_it() {
        let shown = picture(&view(), &Hand { told: "stopping job 3".to_owned(), ..Hand::default() }, 110, 24);
        for text in [
            "ok: up 1m 30s",
            "core",
            "!deploy api staging",
            "1m 1s",
            "#ops",
            "connector lied",
            "stopping job 3",
            "q: leave",
        ] {
            assert!(shown.contains(text), "{text} is not in\n{shown}");
        }
        assert!(!shown.contains('\u{1b}') && shown.contains("<U+001B>"), "{shown}");
    }

    #[test]
    fn a_service_that_is_away_is_told_over_what_was_last_known() {
        let away = View { away: Some("nobody listens".to_owned()), ..view() };
        let shown = picture(&away, &Hand::default(), 100, 24);
        assert!(shown.contains("no answer: nobody listens") && shown.contains("!deploy"), "{shown}");
    }

    #[test]
    fn a_small_terminal_cuts_and_does_not_fail() {
        for (width, height) in [(1, 1), (20, 5), (40, 10)] {
            let mut many = view();
            many.jobs = (1..60).map(row).collect();
            many.jobs[0].command = Text::cut("x".repeat(500));
            picture(&many, &Hand { chosen: Some(many.jobs[58].job), ..Hand::default() }, width, height);
        }
    }
}
