//! Monitoring: the service's counts, printed once or served over HTTP on this host.
//!
//! The exporter is a process of its own, so that nothing that speaks to a network is part of the service: it asks the socket
//! for reading anew for each scrape. It listens on loopback or a Unix socket and nowhere else ([`crate::http`]), and has
//! given up files and everything else before it takes a connection ([`crate::serving`]).

use crate::ask::ask;
use crate::exit::{CtlError, Exit};
use crate::http::{Hosts, Place, Reply, Request as Asked};
use crate::serving;
use bartizan_proto::control::{Answer, Request};
use std::path::Path;

/// Prometheus' text format.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counts as they are now.
///
/// # Errors
/// [`CtlError`].
pub fn fetch(socket: &Path) -> Result<String, CtlError> {
    match ask(socket, &Request::Metrics)? {
        Answer::Metrics(text) => Ok(text.to_string()),
        _ => Err(CtlError::WrongAnswer),
    }
}

/// Serves them until the process is ended.
///
/// # Errors
/// [`CtlError::Listen`]; a scrape that fails is told to who made it and ends nothing.
pub fn serve(place: &Place, socket: &Path) -> Result<Exit, CtlError> {
    let listener = place.bind()?;
    serving::begin(&listener, "metrics", socket)?;
    let socket = socket.to_owned();
    crate::http::serve(&listener, Hosts::default(), move |asked| answer(asked, || fetch(&socket)))
}

fn answer(asked: &Asked, fetch: impl FnOnce() -> Result<String, CtlError>) -> Reply {
    match (asked.path.as_str(), asked.query.is_empty()) {
        ("/metrics", true) => match fetch() {
            Ok(text) => Reply::found(TYPE, text),
            // Prometheus takes it for down, which it is.
            Err(error) => Reply::plain("503 Service Unavailable", &error.to_string()),
        },
        _ => Reply::plain("404 Not Found", "GET /metrics"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Asked {
        Asked { is_head: false, path: path.to_owned(), query: Vec::new() }
    }

    #[test]
    fn a_scrape_is_answered_and_nothing_else_is() {
        let good = answer(&asked("/metrics"), || Ok("bartizan_healthy 1\n".to_owned()));
        assert_eq!((good.status(), good.body()), ("200 OK", "bartizan_healthy 1\n"));
        for path in ["/", "/metrics/", "/metrics/../x"] {
            let reply = answer(&asked(path), || unreachable!("{path}"));
            assert_eq!(reply.status(), "404 Not Found", "{path}");
        }
    }

    #[test]
    fn a_service_that_does_not_answer_is_down_to_prometheus() {
        let reply = answer(&asked("/metrics"), || Err(CtlError::WrongAnswer));
        assert_eq!(reply.status(), "503 Service Unavailable");
    }
}
