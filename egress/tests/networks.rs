//! Networks as they are: a server below a path, on IPv6, behind a proxy, one that asks for a certificate.

mod support;

use bartizan_proto::carrier::{Attempt, FromCarrier, ToCarrier};
use bartizan_proto::egress::{ClientCertificate, Outcome, Setup, Subject, ToEgress};
use bartizan_proto::{Bytes, Confidential};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use support::server::{Seen, accepted, usual};
use support::{Answer, Egress, Server, alice, carried, setup, tell, text};

/// The usual setup with something more.
fn with(server: &Server, more: impl FnOnce(&mut Setup)) -> Egress {
    let mut egress = Egress::start();
    let ToEgress::Setup(mut own) = setup(&server.url, &server.ca) else { panic!("a setup") };
    more(&mut own);
    egress.core.send(&ToEgress::Setup(own));
    egress
}

fn works(egress: &mut Egress) {
    egress.expect_ready();
    assert!(matches!(egress.attest(Subject::User(alice())), Outcome::User(_)));
}

/// As a Mattermost server whose site URL ends in `/chat`.
fn below(seen: &Seen) -> Answer {
    let Some(path) = seen.path().strip_prefix("/chat") else { return Answer::Json(404, "{}".to_owned()) };
    if path.starts_with("/api/v4/websocket") {
        let head = accepted(seen, "");
        return Answer::Take(Box::new(move |wire| {
            let _gone = wire.write_all(&head).and_then(|()| wire.flush()).and_then(|()| wire.read(&mut [0; 64]));
        }));
    }
    let line = seen.line.replacen("/chat", "", 1);
    let (status, body) = usual(&Seen { line, ..seen.clone() });
    Answer::Json(status, body)
}

#[test]
fn a_server_below_a_path_is_asked_below_it_also_for_its_websocket() {
    for end in ["", "/"] {
        let server = Server::start_tls(below);
        let mut egress = with(&server, |setup| setup.url = text(&format!("{}/chat{end}", server.url)));
        works(&mut egress);
        let (_verbs, mut carrier) = egress.attach();
        tell(&mut carrier, ToCarrier::Open { attempt: Attempt(1), resume: None });
        assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(1) });
        assert!(server.all().iter().all(|seen| seen.path().starts_with("/chat/api/v4/")), "{:?}", server.all());
    }
}

#[test]
fn a_server_on_ipv6_is_reached_by_its_address() {
    let Some(server) = Server::start_tls_v6(|_| Answer::Usual) else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    works(&mut Egress::with(&server));
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    let server = Server::start_asking(|_| Answer::Usual);
    let (chain, key) = server.client.clone();
    let own = |chain: &str, key: &str| ClientCertificate {
        chain: Bytes::new(chain.as_bytes()).expect("short"),
        key: Confidential::copy_of(key.as_bytes()).expect("short"),
    };
    works(&mut with(&server, |setup| setup.client = Some(own(&chain, &key))));

    // Without one, and with another CA's, nothing is asked of the server.
    let asked = server.all().len();
    with(&server, |_| {}).expect_unready();
    let (other_chain, other_key) = Server::start_asking(|_| Answer::Usual).client;
    with(&server, |setup| setup.client = Some(own(&other_chain, &other_key))).expect_unready();
    assert_eq!(server.all().len(), asked);

    // A key of another certificate is told before anything is sent.
    let mut egress = with(&server, |setup| setup.client = Some(own(&chain, &other_key)));
    assert!(!egress.wait().success());
    let log = egress.log_at_end();
    assert!(log.contains("the client certificate cannot be used") && !log.contains("PRIVATE"), "{log}");
}

/// A proxy that connects to where it is asked to, or answers with this status line instead.
fn proxy(refuses: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&asked);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let asked = Arc::clone(&own);
            std::thread::spawn(move || serve(connection, refuses, &asked));
        }
    });
    (address, asked)
}

fn serve(mut connection: TcpStream, refuses: Option<&str>, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    asked.lock().expect("no thread panics").push(head.clone());
    if let Some(status) = refuses {
        return connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    let to = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let server = TcpStream::connect(to)?;
    connection.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut up, mut back) = (server.try_clone()?, connection.try_clone()?);
    let there = std::thread::spawn(move || {
        let _broken = io::copy(&mut reader, &mut up);
        let _closed = up.shutdown(Shutdown::Write);
    });
    let _broken = io::copy(&mut &server, &mut back);
    let _closed = back.shutdown(Shutdown::Write);
    let _done = there.join();
    Ok(())
}

#[test]
fn a_proxy_connects_to_the_server_and_sees_neither_token_nor_request() {
    let server = Server::start_tls(below);
    let (address, asked) = proxy(None);
    let mut egress = with(&server, |setup| {
        setup.url = text(&format!("{}/chat", server.url));
        setup.proxy = Some(text(&address));
    });
    works(&mut egress);
    let (_verbs, mut carrier) = egress.attach();
    tell(&mut carrier, ToCarrier::Open { attempt: Attempt(1), resume: None });
    assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(1) });
    let asked = asked.lock().expect("no thread panics").clone();
    let place = server.url.strip_prefix("https://").expect("https");
    assert!(!asked.is_empty());
    for head in asked {
        assert!(head.starts_with(&format!("CONNECT {place} HTTP/1.1\r\n")), "{head}");
        assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
    }
}

#[test]
fn a_proxy_that_refuses_or_is_not_there_is_told_and_nothing_goes_around_it() {
    let server = Server::start_tls(|_| Answer::Usual);
    let (address, _) = proxy(Some("403 Forbidden"));
    let (why, _) = with(&server, |setup| setup.proxy = Some(text(&address))).expect_unready();
    assert!(why.contains("reached"), "{why}");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound");
    let gone = format!("http://{nobody}");
    with(&server, |setup| setup.proxy = Some(text(&gone))).expect_unready();
    assert!(server.all().is_empty(), "{:?}", server.all());
}

#[test]
fn a_proxy_of_the_environment_is_none_and_a_plain_http_server_has_none() {
    let server = Server::start_tls(|_| Answer::Usual);
    let (address, asked) = proxy(None);
    let environment = [("https_proxy", address.as_str()), ("HTTPS_PROXY", &address), ("ALL_PROXY", &address)];
    let mut egress = Egress::start_in(bartizan_proto::Role::Core, &environment);
    egress.core.send(&setup(&server.url, &server.ca));
    works(&mut egress);
    assert!(asked.lock().expect("no thread panics").is_empty());

    let plain = Server::start(|_| Answer::Usual);
    let mut egress = with(&plain, |setup| setup.proxy = Some(text(&address)));
    assert!(!egress.wait().success());
    assert!(egress.log_at_end().contains("a proxy is for an https server"));
    assert!(asked.lock().expect("no thread panics").is_empty());
}
