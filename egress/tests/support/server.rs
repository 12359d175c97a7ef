//! A server on loopback that answers each request as the test says, one thread a connection, and remembers them all.

use super::{ALICE, BOT, OPS, POST, TEAM, TOKEN};
use base64::Engine as _;
use sha1::{Digest, Sha1};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What to do about a request.
pub enum Answer {
    /// As a Mattermost server would, from the few things that this one knows.
    Usual,
    /// This status and JSON, with a `Date`.
    Json(u16, String),
    /// These bytes, and then the connection is closed.
    Raw(Vec<u8>),
    /// The test takes the connection.
    Take(Taker),
}

pub type Taker = Box<dyn FnOnce(&mut dyn Wire) + Send>;

type Script = dyn Fn(&Seen) -> Answer + Send + Sync;

pub struct Server {
    pub url: String,
    pub ca: Vec<u8>,
    /// A certificate that the server's CA signed for a client, and its key, as PEM.
    pub client: (String, String),
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Plain http.
    pub fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(script, None)
    }

    /// TLS with a leaf for 127.0.0.1 and ::1, signed by a CA made for this test.
    pub fn start_tls(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(script, Some(Certificates::make(false)))
    }

    /// The same, and whoever connects must show a certificate of that CA: [`Server::client`] is one.
    pub fn start_asking(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(script, Some(Certificates::make(true)))
    }

    /// TLS on IPv6's loopback. None where there is no IPv6.
    pub fn start_tls_v6(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Option<Self> {
        let listener = TcpListener::bind("[::1]:0").ok()?;
        Some(Self::serve_at(listener, script, Some(Certificates::make(false))))
    }

    fn serve(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static, tls: Option<Certificates>) -> Self {
        Self::serve_at(TcpListener::bind("127.0.0.1:0").expect("bind"), script, tls)
    }

    fn serve_at(
        listener: TcpListener,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
        tls: Option<Certificates>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let ca = tls.as_ref().map(|tls| tls.ca.clone().into_bytes()).unwrap_or_default();
        let client = tls.as_ref().map(|tls| tls.client.clone()).unwrap_or_default();
        let config = tls.map(|tls| tls.config);
        let own = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (seen, script, config) = (Arc::clone(&own), Arc::clone(&script), config.clone());
                std::thread::spawn(move || {
                    // A test that drops a connection ends its thread here.
                    let _ = match config {
                        None => converse(connection, &seen, &*script),
                        Some(config) => rustls::ServerConnection::new(config)
                            .map_err(io::Error::other)
                            .and_then(|tls| converse(rustls::StreamOwned::new(tls, connection), &seen, &*script)),
                    };
                });
            }
        });
        Self { url, ca, client, seen }
    }

    /// All requests so far but the three that verify the server.
    pub fn seen(&self) -> Vec<Seen> {
        let verifying = ["/api/v4/users/me", "/api/v4/teams/name/main", "/api/v4/config/client?format=old"];
        let all = self.all();
        all.into_iter().filter(|seen| !verifying.contains(&seen.path())).collect()
    }

    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test thread panics").clone()
    }
}

struct Certificates {
    ca: String,
    client: (String, String),
    config: Arc<rustls::ServerConfig>,
}

impl Certificates {
    fn make(asks: bool) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let ca_key = KeyPair::generate().expect("key");
        let mut ca = CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).expect("ca");
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().expect("key");
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "::1".to_owned()]).expect("names");
        let leaf = leaf.signed_by(&key, &issuer).expect("leaf");
        let client_key = KeyPair::generate().expect("key");
        let client = CertificateParams::new(vec!["bartizan".to_owned()]).expect("a name");
        let client = client.signed_by(&client_key, &issuer).expect("a client's");
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("pkcs8");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match asks {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(ca_certificate.der().clone()).expect("a root");
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let config = builder.with_single_cert(vec![leaf.der().clone()], key).expect("certificate");
        let client = (client.pem(), client_key.serialize_pem());
        Self { ca: ca_certificate.pem(), client, config: Arc::new(config) }
    }
}

fn converse(wire: impl Wire, seen: &Mutex<Vec<Seen>>, script: &Script) -> io::Result<()> {
    let mut wire = BufReader::new(wire);
    while let Some(request) = read_request(&mut wire)? {
        seen.lock().expect("no test thread panics").push(request.clone());
        let authorized = request.header("authorization") == Some(&format!("Bearer {TOKEN}"));
        let answer = match script(&request) {
            Answer::Usual if authorized => usual(&request),
            Answer::Usual => (401, "{}".to_owned()),
            Answer::Json(status, body) => (status, body),
            Answer::Raw(bytes) => return wire.get_mut().write_all(&bytes),
            Answer::Take(take) => {
                take(wire.get_mut());
                return Ok(());
            }
        };
        wire.get_mut().write_all(&json(answer.0, "", &answer.1))?;
    }
    Ok(())
}

fn read_request(wire: &mut BufReader<impl Wire>) -> io::Result<Option<Seen>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Seen { line: lines.remove(0), headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    request.body = vec![0; length];
    wire.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// A whole HTTP answer with more headers (each with its line end).
pub fn json(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nDate: Fri, 20 Nov 2026 22:00:00 GMT\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

pub const DATE_MS: u64 = 1_795_212_000_000;

/// What such a server answers to whoever has the token.
pub fn usual(request: &Seen) -> (u16, String) {
    let body = match request.path() {
        "/api/v4/users/me" => user(BOT, "bartizan", ",\"is_bot\":true"),
        "/api/v4/teams/name/main" => format!(r#"{{"id":"{TEAM}","name":"main"}}"#),
        "/api/v4/config/client?format=old" => r#"{"Version":"5.37.0","MaxPostSize":"16383"}"#.to_owned(),
        path if path == format!("/api/v4/users/{ALICE}") => user(ALICE, "alice", ""),
        "/api/v4/users/username/alice" => user(ALICE, "alice", ""),
        path if path == format!("/api/v4/channels/{OPS}") => channel(OPS, "ops"),
        path if path == format!("/api/v4/teams/{TEAM}/channels/name/ops") => channel(OPS, "ops"),
        path if path == format!("/api/v4/posts/{POST}") => a_post(POST, "!ping", "{}", ""),
        _ => return (404, "{}".to_owned()),
    };
    (200, body)
}

pub fn user(id: &str, name: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","username":"{name}","delete_at":0,"roles":"system_user"{more}}}"#)
}

pub fn channel(id: &str, name: &str) -> String {
    format!(r#"{{"id":"{id}","type":"O","name":"{name}","team_id":"{TEAM}","delete_at":0}}"#)
}

pub fn a_post(id: &str, message: &str, props: &str, more: &str) -> String {
    let message = serde_json::to_string(message).expect("text");
    format!(
        r#"{{"id":"{id}","user_id":"{ALICE}","channel_id":"{OPS}","root_id":"","message":{message},"type":"","props":{props},"create_at":5,"edit_at":0,"delete_at":0{more}}}"#
    )
}

/// What a websocket server answers to this request, with more headers.
pub fn accepted(seen: &Seen, more: &str) -> Vec<u8> {
    let key = seen.header("sec-websocket-key").expect("a key");
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
    .into_bytes()
}
