//! The first page: how the log is, what is asked for, when it happened, and a table of commands; and the same as JSON.

use super::book::{Book, Chain};
use super::chart::chart;
use super::filter::Filter;
use super::html::{Html, page};
use super::row::{Row, Verdict};
use crate::show::{duration, inert};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Most scripts that are offered in the form.
const MOST_OFFERED: usize = 200;

/// What one page has of all that is wanted.
struct Chosen<'b> {
    rows: Vec<&'b Row>,
    matching: usize,
    /// Where the next page begins.
    next: Option<u64>,
}

impl<'b> Chosen<'b> {
    fn of(book: &'b Book, filter: &Filter) -> Self {
        let mut chosen = Self { rows: Vec::new(), matching: 0, next: None };
        for row in book.newest().filter(|row| filter.wants(row, book)) {
            chosen.matching += 1;
            if filter.before.is_some_and(|before| row.line >= before) {
                continue;
            }
            match chosen.rows.len() == filter.limit() {
                true => chosen.next = chosen.next.or(chosen.rows.last().map(|last| last.line)),
                false => chosen.rows.push(row),
            }
        }
        chosen
    }
}

/// The page.
pub(super) fn list(book: &Book, filter: &Filter) -> String {
    let chosen = Chosen::of(book, filter);
    let mut html = state(book);
    form(&mut html, book, filter);
    html.part(&chart(book.newest().filter(|row| filter.wants(row, book))));
    html.raw("<section aria-labelledby=\"what\">\n<h2 id=\"what\">What</h2>\n<div class=\"wide\" role=\"region\" aria-labelledby=\"what\" tabindex=\"0\">\n<table>\n<caption>");
    html.number(chosen.matching as u64).raw(" commands").raw(if filter.is_any() { " that fit" } else { "" });
    html.raw(", the newest first; ").number(chosen.rows.len() as u64).raw(" on this page");
    if book.dropped() > 0 {
        html.raw(". ").number(book.dropped()).raw(" older ones are in the log alone: bartizan audit export");
    }
    html.raw("</caption>\n<thead><tr>");
    for name in ["When", "Who", "Where", "What", "Verdict", "How it ended", "Took", "Run"] {
        html.raw("<th scope=\"col\">").text(name).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for row in &chosen.rows {
        put_row(&mut html, book, row);
    }
    if chosen.rows.is_empty() {
        html.raw("<tr><td colspan=\"8\">Nothing.</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n<nav aria-label=\"Pages\"><p>");
    if filter.before.is_some() {
        html.raw("<a href=\"./").text(&filter.address(None)).raw("\">Newest</a> ");
    }
    if let Some(next) = chosen.next {
        html.raw("<a rel=\"next\" href=\"./").text(&filter.address(Some(next))).raw("\">Older</a> ");
    }
    html.raw("<a href=\"runs.json")
        .text(&filter.address(filter.before))
        .raw("\">This page as JSON</a></p></nav>\n</section>\n");
    page("Bartizan: who ran what", "", &html)
}

/// How the log is.
pub(super) fn state(book: &Book) -> Html {
    let mut html = Html::default();
    if let Some(why) = &book.unreachable {
        html.raw(
            "<div class=\"state bad\" role=\"status\"><strong>The service does not answer: this may be old.</strong>",
        );
        html.text(why).raw("</div>\n");
    }
    match &book.chain {
        Chain::Reading { lines } => {
            html.raw("<div class=\"state\" role=\"status\"><strong>The log is being read.</strong>");
            html.number(*lines).raw(" lines so far; look again in a moment.");
        }
        Chain::Broken { what, at } => {
            html.raw("<div class=\"state bad\" role=\"status\"><strong>The log is NOT as it was written.</strong>");
            html.text(what).raw(" &mdash; as of ").time(at);
            html.raw(". Nothing from that line on is to be believed: keep a copy, and ask <code>bartizan audit verify</code>.");
        }
        Chain::Whole { report, behind, at } => {
            html.raw("<div class=\"state good\" role=\"status\"><strong>The log is as it was written.</strong>Lines ");
            html.number(report.first)
                .raw(" to ")
                .number(report.last)
                .raw(", every signature and the chain verified at ");
            html.time(at).raw(if report.known_key {
                " with the running service&#39;s key"
            } else {
                " with the log&#39;s own key, which nobody vouches for"
            });
            match behind {
                0 => html.raw("; the service agrees about the last line."),
                behind => html.raw("; ").number(*behind).raw(" newer ones are being written."),
            };
            if let Some(through) = report.pruned_through {
                html.raw(" Lines up to ").number(through).raw(" were pruned.");
            }
        }
    }
    html.raw("</div>\n");
    html
}

fn form(html: &mut Html, book: &Book, filter: &Filter) {
    html.raw("<form method=\"get\" action=\"./\" role=\"search\" aria-label=\"Which commands\">\n");
    let mut field = |label: &'static str, name: &'static str, value: &str, further: &'static str| {
        html.raw("<label>").raw(label).raw("<input name=\"").raw(name).raw("\" value=\"").text(value);
        html.raw("\" maxlength=\"200\" autocomplete=\"off\"").raw(further).raw("></label>\n");
    };
    field("Who", "person", &filter.person, "");
    field("Script", "script", &filter.script, " list=\"scripts\"");
    field("From (UTC)", "from", &filter.from.0, " placeholder=\"2026-01-31T14:05 or 24h\"");
    field("Until (UTC)", "until", &filter.until.0, "");
    html.raw("<label>Verdict<select name=\"verdict\"><option value=\"\">any</option>");
    for verdict in Verdict::ALL {
        html.raw("<option").raw(if filter.verdict == Some(verdict) { " selected" } else { "" }).raw(">");
        html.text(verdict.name()).raw("</option>");
    }
    html.raw("</select></label>\n<datalist id=\"scripts\">");
    let scripts: BTreeSet<&str> =
        book.newest().filter(|row| row.job.is_some()).map(|row| row.script.as_str()).collect();
    for script in scripts.into_iter().take(MOST_OFFERED) {
        html.raw("<option value=\"").text(script).raw("\">");
    }
    html.raw("</datalist>\n<button>Show</button>\n<a href=\"./\">All</a>\n</form>\n");
}

fn put_row(html: &mut Html, book: &Book, row: &Row) {
    html.raw("<tr><td>").time(&row.at).raw("</td><td>").word(book.person(row)).raw("</td><td>").word(book.channel(row));
    html.raw("</td><td><code>").word(&row.command).raw("</code></td><td>");
    verdict(html, row);
    html.raw("</td><td class=\"why\">")
        .word(if row.why.is_empty() { &row.ending } else { &row.why })
        .raw("</td><td class=\"number\">");
    if let Some(took) = row.duration_ms {
        html.text(&duration(took));
    }
    html.raw("</td><td><a href=\"");
    match row.job {
        Some(job) => html.raw("run/").number(job).raw("\">").number(job),
        None => html.raw("line/").number(row.line).raw("\">line ").number(row.line),
    };
    html.raw("</a></td></tr>\n");
}

/// What became of it, as a word with a colour of its own.
pub(super) fn verdict(html: &mut Html, row: &Row) {
    html.raw("<span class=\"verdict ").text(row.verdict.name()).raw("\">").text(row.verdict.name()).raw("</span>");
}

/// The same for programs.
pub(super) fn json(book: &Book, filter: &Filter) -> String {
    let chosen = Chosen::of(book, filter);
    let rows: Vec<Value> = chosen
        .rows
        .iter()
        .map(|row| {
            json!({
                "line": row.line, "time": row.at, "user": row.user, "person": book.person(row),
                "channel": row.channel, "channel-name": book.channel(row), "script": row.script, "command": row.command,
                "verdict": row.verdict.name(), "job": row.job, "ending": row.ending, "why": row.why,
                "duration-ms": row.duration_ms, "ended": row.ended,
            })
        })
        .collect();
    let chain = match &book.chain {
        Chain::Reading { lines } => json!({ "state": "reading", "lines": lines }),
        Chain::Broken { what, at } => json!({ "state": "broken", "what": what, "at": at }),
        Chain::Whole { report, behind, at } => {
            json!({ "state": "whole", "report": report, "behind": behind, "at": at })
        }
    };
    let all = json!({
        "chain": chain, "unreachable": book.unreachable, "matching": chosen.matching, "only-in-the-log": book.dropped(),
        "runs": rows, "next": chosen.next,
    });
    // Nothing in it could be taken for markup, whatever somebody takes it for.
    inert(&all.to_string()).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
