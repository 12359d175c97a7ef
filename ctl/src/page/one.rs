//! One command's page: what was asked, what each gate said, every line of the log about it, and the signed receipt of its run.

use super::book::{Book, Chain};
use super::html::{Html, page};
use super::list::{state, verdict};
use super::reader::Log;
use super::row::Row;
use crate::ask::ask;
use crate::audit::Fields;
use crate::exit::CtlError;
use crate::show::duration;
use bartizan_audit::{Entry, PublicKey, verify_receipt};
use bartizan_proto::control::{Answer, Request};
use bartizan_proto::ids::JobId;
use serde_json::Value;
use std::path::Path;

/// What stands in columns of its own, or seals a line.
const NOT_REPEATED: [&str; 6] = ["sequence", "timestamp", "event", "previousHash", "publicKey", "signature"];

/// One of its lines, as it is in the log now.
struct Line {
    fields: Fields,
    trust: Trust,
}

/// How far it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// That very line of the log, signed by one of its keys.
    Right,
    /// None of its keys signed it.
    Unsigned,
    /// Something else stands there than when the log was read.
    Replaced,
}

/// A run's receipt, as the service signed it.
pub(super) fn receipt(socket: &Path, job: u64) -> Result<String, CtlError> {
    match ask(socket, &Request::Receipt { job: JobId(job) })? {
        Answer::Receipt(receipt) => Ok(receipt.to_string()),
        _ => Err(CtlError::WrongAnswer),
    }
}

/// The page.
pub(super) fn one(log: &Log, socket: &Path, book: &Book, row: &Row) -> String {
    let keys: Vec<PublicKey> = match &book.chain {
        Chain::Whole { report, .. } => report.keys.iter().filter_map(|key| key.parse().ok()).collect(),
        Chain::Reading { .. } | Chain::Broken { .. } => Vec::new(),
    };
    let read = row.lines.iter().map(|spot| log.line(*spot).map(|line| understood(&line, spot.line, &keys)));
    let lines: Result<Vec<Line>, CtlError> = read.collect();
    if lines.as_ref().is_ok_and(|lines| lines.iter().any(|line| line.trust == Trust::Replaced)) {
        log.doubt();
    }
    let mut html = state(book);
    facts(&mut html, book, row);
    match lines {
        Err(error) => {
            html.raw("<p class=\"state bad\">The lines about it cannot be read: ")
                .text(&error.to_string())
                .raw("</p>\n");
        }
        Ok(lines) => {
            gates(&mut html, &lines);
            happened(&mut html, &lines);
        }
    }
    if let Some(job) = row.job {
        sealed(&mut html, job, receipt(socket, job), &keys);
    }
    let title = match row.job {
        Some(job) => format!("Bartizan: run {job}, {}", row.script),
        None => format!("Bartizan: line {}, {}", row.line, row.script),
    };
    page(&title, "../", &html)
}

/// What stands where the line of this number was. Another signed line in its place is as wrong as none: it would be somebody else's deed.
fn understood(bytes: &[u8], number: u64, keys: &[PublicKey]) -> Line {
    let entry = Entry::read(bytes).ok().filter(|entry| entry.sequence == number);
    let known = entry.and_then(|entry| entry.fields().ok().map(|fields| (entry, fields)));
    let Some((entry, fields)) = known else {
        let fields = Fields::from_iter([("sequence".to_owned(), Value::from(number))]);
        return Line { fields, trust: Trust::Replaced };
    };
    let is_signed = keys.iter().any(|key| key.as_str() == entry.public_key && entry.is_signed_by(key));
    Line { fields, trust: if is_signed { Trust::Right } else { Trust::Unsigned } }
}

fn facts(html: &mut Html, book: &Book, row: &Row) {
    html.raw("<section aria-labelledby=\"what\">\n<h2 id=\"what\">");
    match row.job {
        Some(job) => html.raw("Run ").number(job),
        None => html.raw("A command without a run, line ").number(row.line),
    };
    html.raw("</h2>\n<table class=\"facts\"><caption>What was asked, and what became of it</caption>\n<tbody>\n");
    html.fact("Command", &row.command)
        .fact("Script", &row.script)
        .fact("Who", book.person(row))
        .fact("User id", &row.user);
    html.fact("Where", book.channel(row)).fact("Channel id", &row.channel).fact("Post", &row.post);
    html.raw("<tr><th scope=\"row\">When</th><td>")
        .time(&row.at)
        .raw("</td></tr>\n<tr><th scope=\"row\">Verdict</th><td>");
    verdict(html, row);
    html.raw("</td></tr>\n").fact("How it ended", &row.ending).fact("Why", &row.why);
    html.fact("Took", &row.duration_ms.map(duration).unwrap_or_default());
    html.raw("</tbody></table>\n</section>\n");
}

fn gates(html: &mut Html, lines: &[Line]) {
    let asked = lines.iter().filter_map(|line| line.fields.get("gates").and_then(Value::as_object));
    let gates: Vec<(&String, &Value)> = asked.flatten().collect();
    if gates.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"gates\">\n<h2 id=\"gates\">Gates</h2>\n<table><caption>In the order in which they were asked; the first refusal wins</caption>\n");
    html.raw("<thead><tr><th scope=\"col\">Gate</th><th scope=\"col\">It says</th></tr></thead>\n<tbody>\n");
    for (gate, says) in gates {
        html.raw("<tr><th scope=\"row\">").text(gate).raw("</th><td>").word(&plain(says)).raw("</td></tr>\n");
    }
    html.raw("</tbody></table>\n</section>\n");
}

fn happened(html: &mut Html, lines: &[Line]) {
    html.raw("<section aria-labelledby=\"lines\">\n<h2 id=\"lines\">Lines of the log</h2>\n<div class=\"wide\" role=\"region\" aria-labelledby=\"lines\" tabindex=\"0\">\n<table><thead><tr>");
    for name in ["Line", "When", "Event", "What it says", "Signature"] {
        html.raw("<th scope=\"col\">").text(name).raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for Line { fields, trust } in lines {
        let word = |name: &str| fields.get(name).map(plain).unwrap_or_default();
        html.raw("<tr><td class=\"number\">").text(&word("sequence")).raw("</td><td>").time(&word("timestamp"));
        html.raw("</td><th scope=\"row\">").text(&word("event")).raw("</th><td><code>");
        let told = fields.iter().filter(|(name, value)| !NOT_REPEATED.contains(&name.as_str()) && !value.is_null());
        for (name, value) in told {
            html.text(name).raw("=").word(&plain(value)).raw(" ");
        }
        html.raw("</code></td><td>").raw(match trust {
            Trust::Right => "right",
            Trust::Unsigned => "NOT VERIFIED",
            Trust::Replaced => "NOT VERIFIED: something else stands there now",
        });
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n</section>\n");
}

fn sealed(html: &mut Html, job: u64, receipt: Result<String, CtlError>, keys: &[PublicKey]) {
    html.raw("<section aria-labelledby=\"receipt\">\n<h2 id=\"receipt\">Receipt</h2>\n");
    let text = match receipt {
        Ok(text) => text,
        Err(error) => {
            html.raw("<p>There is none: ").text(&error.to_string()).raw("</p>\n</section>\n");
            return;
        }
    };
    let verified = keys.iter().find_map(|key| verify_receipt(text.as_bytes(), Some(key)).ok());
    match &verified {
        Some(receipt) => {
            html.raw("<p class=\"state good\"><strong>As it was written.</strong>Signed by ")
                .text(receipt.key.as_str());
            html.raw(", a key of this log.</p>\n<table class=\"facts\"><caption>What it says</caption>\n<tbody>\n");
            for (name, value) in receipt.fields.iter().filter(|(name, _)| *name != "signature") {
                html.fact(name, &plain(value));
            }
            html.raw("</tbody></table>\n");
        }
        None => {
            html.raw("<p class=\"state bad\"><strong>NOT VERIFIED.</strong>No key of this log signed it.</p>\n");
        }
    }
    html.raw("<p><a href=\"").number(job).raw(".json\">Take it along</a>; whoever has it verifies it with <code>bartizan receipt verify FILE --key KEY</code>, without this service.</p>\n");
    html.raw("<details><summary>As it was signed</summary><pre>").lines(&text).raw("</pre></details>\n</section>\n");
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
