//! Monitoring: the service's counts, printed once or served over HTTP on this host.
//!
//! The exporter is a process of its own, so that nothing that speaks to a network is part of the service: it asks the control
//! socket anew for each scrape. It listens on loopback and nowhere else, serves one connection after the other, reads at most
//! [`MOST`] bytes of a request within [`PATIENCE`] and believes nothing of it but its first line.

use crate::ask::ask;
use crate::exit::{CtlError, Exit};
use bartizan_proto::control::{Answer, Request};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest request that is read.
const MOST: usize = 8192;

/// How long one scrape may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
pub fn serve(address: SocketAddr, socket: &Path) -> Result<Exit, CtlError> {
    let failed = |error| CtlError::Listen { address, error };
    if !address.ip().is_loopback() {
        let why = "is not a loopback address: whoever reaches it reads what runs here; let Prometheus or a proxy on this host fetch it";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    let listener = TcpListener::bind(address).map_err(failed)?;
    let shown = listener.local_addr().map_err(failed)?;
    // Nobody may read it, but a test that asked for any port does.
    let _nobody_reads = writeln!(io::stderr(), "serving http://{shown}/metrics");
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let _gave_up = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| one(&mut stream, || fetch(socket)));
    }
}

/// One request, one answer.
fn one(stream: &mut (impl Read + Write), fetch: impl FnOnce() -> Result<String, CtlError>) -> io::Result<()> {
    let (status, text) = match asked(stream)?.as_deref() {
        Some("GET /metrics") => match fetch() {
            Ok(text) => ("200 OK", text),
            // Prometheus takes it for down, which it is.
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        Some(_) => ("404 Not Found", "GET /metrics\n".to_owned()),
        None => ("400 Bad Request", "GET /metrics\n".to_owned()),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Method and path of a request whose head has come whole.
fn asked(stream: &mut impl Read) -> io::Result<Option<String>> {
    let (mut head, begun) = (Vec::new(), Instant::now());
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..read]);
        if read == 0 || head.len() > MOST || begun.elapsed() > PATIENCE {
            return Ok(None);
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok().and_then(|line| line.rsplit_once(" HTTP/1."));
    Ok(line.map(|(asked, _)| asked.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent, and then what was answered.
    struct Wire(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Wire {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn answer(request: &[u8]) -> String {
        let mut wire = Wire(io::Cursor::new(request.to_vec()), Vec::new());
        one(&mut wire, || Ok("bartizan_healthy 1\n".to_owned())).expect("answered");
        String::from_utf8(wire.1).expect("text")
    }

    #[test]
    fn a_scrape_is_answered_and_nothing_else_is() {
        let good = answer(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n") && good.ends_with("\r\n\r\nbartizan_healthy 1\n"), "{good}");
        for request in
            ["GET / HTTP/1.1\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "GET /metrics/../x HTTP/1.0\r\n\r\n"]
        {
            assert!(answer(request.as_bytes()).starts_with("HTTP/1.1 404 "), "{request}");
        }
        for request in [&b""[..], b"\xff\xfe\r\n\r\n", b"GET /metrics HTTP/1.1\r\n", &[b'a'; MOST + 2048]] {
            assert!(answer(request).starts_with("HTTP/1.1 400 "));
        }
    }

    #[test]
    fn a_service_that_does_not_answer_is_down_to_prometheus() {
        let mut wire = Wire(io::Cursor::new(b"GET /metrics HTTP/1.1\r\n\r\n".to_vec()), Vec::new());
        one(&mut wire, || Err(CtlError::WrongAnswer)).expect("answered");
        assert!(wire.1.starts_with(b"HTTP/1.1 503 "));
    }

    #[test]
    fn it_listens_on_loopback_and_nowhere_else() {
        for address in ["0.0.0.0:0", "192.0.2.1:9464", "[::]:0"] {
            let served = serve(address.parse().expect("an address"), Path::new("/nowhere"));
            assert!(matches!(served, Err(CtlError::Listen { .. })), "{address}");
        }
    }
}
