//! `bartizan audit serve`: who ran what, when, and what became of it, as pages for a browser on this host.
//!
//! It asks the service at the socket for reading, and shows; nothing that a browser sends goes further than [`filter`]. Everything shown is
//! text that strangers may have chosen: [`html`] lets none of it be markup, and the answers' policy lets no script run. It has
//! no rights but those of who starts it, and gives up files and network before it takes a connection ([`crate::serving`]).
//!
//! Whoever can connect may read: at a loopback address that is everybody on this host; at a Unix socket, its group.

mod book;
mod chart;
mod filter;
mod html;
mod list;
mod one;
mod reader;
mod row;
#[cfg(test)]
mod tests;

use crate::exit::{CtlError, Exit};
use crate::http::{Hosts, Place, Reply, Request};
use crate::serving;
use filter::Filter;
use html::Html;
use reader::Log;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a page waits for the newest lines, before it shows what there was.
const PATIENCE: Duration = Duration::from_secs(2);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const CSS: &str = include_str!("page.css");

/// Serves until the process is ended.
///
/// # Errors
/// [`CtlError::Listen`], [`CtlError::Confine`].
pub(crate) fn serve(place: &Place, hosts: &[String], socket: &Path) -> Result<Exit, CtlError> {
    // 1. The socket that is listened at.
    let listener = place.bind()?;
    // 2. Everything else is given up, while there is one thread.
    serving::begin(&listener, "the audit page", socket)?;
    // 3. One thread reads the log, the others answer.
    let log = Arc::new(Log::new(socket));
    let read = Arc::clone(&log);
    let failed = |error| CtlError::Listen { place: place.to_string(), error };
    std::thread::Builder::new().name("log".to_owned()).spawn(move || read.read_on()).map_err(failed)?;
    let socket = socket.to_owned();
    crate::http::serve(&listener, Hosts(hosts.to_vec()), move |request| answer(&log, &socket, request))
}

/// One page.
fn answer(log: &Log, socket: &Path, request: &Request) -> Reply {
    let path = request.path.as_str();
    let numbered = |begin: &str, end: &str| -> Option<u64> {
        let number = path.strip_prefix(begin)?.strip_suffix(end)?;
        number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)
    };
    match path {
        "/" | "/runs.json" => match Filter::read(&request.query) {
            Err(why) => wrong("400 Bad Request", "", &why),
            Ok(filter) => {
                let book = log.book(PATIENCE);
                if path == "/" {
                    Reply::found(HTML, list::list(&book, &filter))
                } else {
                    Reply::found(JSON, list::json(&book, &filter))
                }
            }
        },
        _ if !request.query.is_empty() => wrong("400 Bad Request", "../", "this page takes no question"),
        "/page.css" => Reply::found("text/css; charset=utf-8", CSS.to_owned()),
        _ => {
            if let Some(job) = numbered("/run/", ".json") {
                return match one::receipt(socket, job) {
                    Ok(receipt) => Reply::found(JSON, format!("{receipt}\n"))
                        .header("Content-Disposition", format!("attachment; filename=\"receipt-{job}.json\"")),
                    Err(CtlError::Refused { .. }) => wrong("404 Not Found", "../", "there is no receipt of such a run"),
                    Err(error) => wrong("503 Service Unavailable", "../", &error.to_string()),
                };
            }
            let book = log.book(PATIENCE);
            let (job, line) = (numbered("/run/", ""), numbered("/line/", ""));
            match job.and_then(|job| book.job(job)).or_else(|| line.and_then(|line| book.line(line))) {
                Some(row) => Reply::found(HTML, one::one(log, socket, &book, row)),
                None => wrong(
                    "404 Not Found",
                    if path.matches('/').count() > 1 { "../" } else { "" },
                    "there is nothing here",
                ),
            }
        }
    }
}

fn wrong(status: &'static str, up: &'static str, why: &str) -> Reply {
    let mut html = Html::default();
    html.raw("<p class=\"state bad\" role=\"alert\">").text(why).raw("</p>\n<p><a href=\"").raw(if up.is_empty() {
        "./"
    } else {
        up
    });
    html.raw("\">All commands</a></p>\n");
    Reply::with_status(status, HTML, html::page("Bartizan: not found", up, &html))
}
