//! One request's head, taken apart. Whatever is not plainly a `GET` or `HEAD` of an HTTP/1 client for one of our names is a fault; no
//! two readers could take a request for two things, because no body and no second request is ever read.

use super::Reply;
use std::io::{self, Read};
use std::net::Ipv4Addr;

/// The longest head that is read, in bytes.
pub(super) const MOST: usize = 8192;

/// The longest target, in bytes.
const MOST_TARGET: usize = 2048;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Only the head of the answer is wanted.
    pub(crate) is_head: bool,
    /// The path: letters, digits and `/ . - _` only.
    pub(crate) path: String,
    /// Names and values of the query, decoded.
    pub(crate) query: Vec<(String, String)>,
}

/// Why a request is not answered as it hoped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ended or went quiet before anything came.
    Nothing,
    /// It went on for too long.
    Slow,
    /// Its head is too long.
    TooLong,
    /// It is no HTTP/1 request, or one that could be read in two ways.
    Malformed,
    /// Something else than looking.
    Method,
    /// It comes with a body.
    Body,
    /// It is for another host.
    Host,
}

impl Fault {
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Nothing | Self::Malformed => Reply::plain("400 Bad Request", "this is no request"),
            Self::Slow => Reply::plain("408 Request Timeout", "that took too long"),
            Self::TooLong => Reply::plain("431 Request Header Fields Too Large", "that is too long"),
            Self::Method => Reply::plain("405 Method Not Allowed", "this is for looking: GET or HEAD")
                .header("Allow", "GET, HEAD".to_owned()),
            Self::Body => Reply::plain("413 Content Too Large", "no body is taken"),
            Self::Host => {
                Reply::plain("421 Misdirected Request", "ask by a name of this host's: 127.0.0.1, [::1] or localhost")
            }
        }
    }
}

/// By which names a request may ask: those that always mean this host, and further ones that a proxy asks by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl Hosts {
    /// `Host`, with or without a port.
    fn know(&self, host: &str) -> bool {
        let (name, port) = match host.rfind(':').filter(|at| !host[*at..].contains(']')) {
            Some(at) => (&host[..at], Some(&host[at + 1..])),
            None => (host, None),
        };
        let is_port =
            port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.to_ascii_lowercase();
        let is_ours = name == "localhost"
            || name == "[::1]"
            || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || self.0.iter().any(|known| known.eq_ignore_ascii_case(&name));
        is_port && is_ours
    }
}

/// Reads a head and takes it apart.
///
/// # Errors
/// When the peer is gone. What it did wrong is the inner error.
pub(super) fn read(stream: &mut impl Read, hosts: &Hosts) -> io::Result<Result<Request, Fault>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    let end = loop {
        if let Some(end) = head.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
        if head.len() > MOST {
            return Ok(Err(Fault::TooLong));
        }
        match stream.read(&mut piece) {
            Ok(0) if head.is_empty() => return Ok(Err(Fault::Nothing)),
            Ok(0) => return Ok(Err(Fault::Malformed)),
            Ok(read) => head.extend_from_slice(&piece[..read]),
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                return Ok(Err(if head.is_empty() { Fault::Nothing } else { Fault::Slow }));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    if end > MOST {
        return Ok(Err(Fault::TooLong));
    }
    Ok(parse(&head[..end], hosts))
}

/// A head without the empty line at its end.
fn parse(head: &[u8], hosts: &Hosts) -> Result<Request, Fault> {
    // Bytes that end a line for one reader and not for another, or a text for one.
    let text = std::str::from_utf8(head).map_err(|_| Fault::Malformed)?;
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(Fault::Malformed);
    }
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Fault::Malformed) };
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(Fault::Malformed);
    }
    let mut names = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Fault::Malformed)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Fault::Malformed);
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "host" => names.push(value),
            "content-length" if value == "0" => {}
            "content-length" => return Err(Fault::Body),
            "transfer-encoding" => return Err(Fault::Malformed),
            _ => {}
        }
    }
    match names[..] {
        [name] if hosts.know(name) => {}
        [] if version == "HTTP/1.0" => {}
        [_] => return Err(Fault::Host),
        _ => return Err(Fault::Malformed),
    }
    if target.len() > MOST_TARGET {
        return Err(Fault::TooLong);
    }
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ if !method.is_empty() && method.bytes().all(is_token) => return Err(Fault::Method),
        _ => return Err(Fault::Malformed),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    if !path.starts_with('/') || !path.bytes().all(plain) {
        return Err(Fault::Malformed);
    }
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decoded(name).ok_or(Fault::Malformed)?, decoded(value).ok_or(Fault::Malformed)?));
    }
    Ok(Request { is_head, path: path.to_owned(), query: pairs })
}

/// A byte of a method or of a header's name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// As forms encode: `+` for a space, `%` and two hexadecimal digits for a byte.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte if byte.is_ascii_graphic() => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Request, Fault> {
        read(&mut io::Cursor::new(text.as_bytes().to_vec()), &Hosts(vec!["audit.example.com".to_owned()]))
            .expect("read")
    }

    fn get(target: &str) -> Result<Request, Fault> {
        asked(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    #[test]
    fn a_request_is_taken_apart() {
        let request = get("/runs.json?person=%40alice&script=a+b&x").expect("a request");
        assert_eq!((request.is_head, request.path.as_str()), (false, "/runs.json"));
        let pairs: Vec<(&str, &str)> =
            request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("person", "@alice"), ("script", "a b"), ("x", "")]);
        assert!(asked("HEAD / HTTP/1.0\r\n\r\n").expect("a request").is_head, "an old client names no host");
    }

    #[test]
    fn only_looking_is_answered() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "GETX"] {
            assert_eq!(
                asked(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
                Err(Fault::Method),
                "{method}"
            );
        }
    }

    #[test]
    fn another_hosts_name_is_refused_whatever_it_stands_for() {
        let by = |host: &str| asked(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).map(drop);
        for ours in
            ["localhost", "LOCALHOST:9465", "127.0.0.1:1", "127.8.8.8", "[::1]", "[::1]:9465", "audit.example.com"]
        {
            assert_eq!(by(ours), Ok(()), "{ours}");
        }
        for theirs in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            "",
            ":80",
            "0.0.0.0",
            "192.0.2.1",
            "[::]",
            "[::ffff:127.0.0.1]",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "localhost:",
            "localhost:99999999",
            "localhost@evil.example",
            "a localhost",
            "localhost,evil.example",
            "localhost:80:80",
        ] {
            assert_eq!(by(theirs), Err(Fault::Host), "{theirs}");
        }
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n"), Err(Fault::Malformed), "none");
        assert_eq!(asked("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), Err(Fault::Malformed), "two");
    }

    #[test]
    fn nothing_that_could_be_read_in_two_ways_is_read() {
        let host = "Host: localhost\r\n";
        for (head, fault) in [
            (format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nGET /"), Fault::Body),
            (format!("GET / HTTP/1.1\r\n{host}Content-Length: 0, 5\r\n\r\n"), Fault::Body),
            (format!("GET / HTTP/1.1\r\n{host}Content-Length : 0\r\n\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1\r\n{host} folded: x\r\n\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1\n{host}\r\n\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1\r\n{host}X: a\rb\r\n\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n"), Fault::Malformed),
            (format!("GET  / HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET / HTTP/1.1 \r\n{host}\r\n"), Fault::Malformed),
            (format!("GET / HTTP/2.0\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET http://localhost/ HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET /\u{e9} HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET /%2e%2e/etc HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET /?a=%zz HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET /?a=%ff HTTP/1.1\r\n{host}\r\n"), Fault::Malformed),
            (format!("GET /?{} HTTP/1.1\r\n{host}\r\n", "a".repeat(MOST_TARGET)), Fault::TooLong),
            (format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "a".repeat(MOST)), Fault::TooLong),
            ("GET / HTTP/1.1\r\nHost: localhost\r\n".to_owned(), Fault::Malformed),
            (String::new(), Fault::Nothing),
        ] {
            assert_eq!(asked(&head).map(drop), Err(fault), "{head:?}");
        }
        assert!(
            read(&mut io::Cursor::new(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n"), &Hosts::default())
                .expect("read")
                .is_err()
        );
    }
}
