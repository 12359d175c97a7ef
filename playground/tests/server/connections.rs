//! Below the API: restarts, TLS, rate limits, service times, the clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_playground::server::{Options, RateLimit, ServiceTimes};
use futures_util::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{inner, person, start, start_with};

#[tokio::test]
async fn a_restart_drops_everyone_and_keeps_the_data() {
    let (server, file) = start_with(Options { restart_takes: Duration::from_millis(600), ..Options::default() });
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let post = bot.say(ops, "before").await.id();
    let mut socket = bot.socket().await;
    let began = Instant::now();
    server.restart();
    assert_eq!(socket.end().await, None, "no close frame");
    let refused = bot.send(bot.request(reqwest::Method::GET, "/api/v4/users/me")).await;
    assert!(refused.is_err_and(|error| error.is_connect()));
    while bot.send(bot.request(reqwest::Method::GET, "/api/v4/system/ping")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(550));
    assert_eq!(bot.get(&format!("/posts/{post}")).await.status, 200, "posts and tokens stay");
    let query = format!("?connection_id={}&sequence_number=2", socket.connection_id);
    let hello = bot.socket_at(&query).await.next().await;
    assert_eq!((&hello["event"], &hello["seq"]), (&"hello".into(), &0.into()), "nothing to resume");
}

#[tokio::test]
async fn tls_is_trusted_with_its_ca_only() {
    let (server, file) = start_with(Options { tls: true, ..Options::default() });
    let pem = server.ca_pem().expect("a CA");
    assert_eq!(file.ca_pem.as_deref(), Some(pem.as_str()));
    let url = format!("{}/api/v4/system/ping", server.url());
    assert!(reqwest::get(&url).await.is_err(), "unknown CA");
    let ca = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().expect("a client");
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a root");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let address = server.url().replacen("https://", "", 1);
    let stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let url = format!("wss://{address}/api/v4/websocket?access_token={}", file.bot.token);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("the upgrade");
    let Some(Ok(Message::Text(hello))) = socket.next().await else { panic!("no hello") };
    assert!(hello.contains("\"hello\""));
}

#[tokio::test]
async fn a_rate_limit_says_what_is_left() {
    let limit = RateLimit { per_second: 1, burst: 2 };
    let (_server, file) = start_with(Options { rate_limit: Some(limit), ..Options::default() });
    let bot = person(&file, "bartizan");
    let first = bot.get("/users/me").await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("3", "2"));
    bot.get("/users/me").await;
    bot.get("/users/me").await;
    let refused = bot.get("/users/me").await;
    assert_eq!((refused.status, refused.text.as_str(), refused.header("retry-after")), (429, "limit exceeded\n", "1"));
    assert_eq!(person(&file, "alice").get("/users/me").await.status, 200, "each account for itself");
}

#[tokio::test]
async fn service_times_are_kept() {
    let times = ServiceTimes::real();
    let (server, file) = start_with(Options { service_times: Some(times), ..Options::default() });
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let root = server.say("alice", "ops", "root").unwrap_or_default();
    bot.reply(ops, &root, "first").await;
    let (mut posts, mut replies, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..21 {
        let began = Instant::now();
        bot.say(ops, "x").await;
        posts.push(began.elapsed());
        let began = Instant::now();
        bot.reply(ops, &root, "x").await;
        replies.push(began.elapsed());
        let began = Instant::now();
        bot.get("/users/me").await;
        reads.push(began.elapsed());
    }
    // The client's own share comes on top, and the machine may be busy: the best of many is the server's or little
    // more.
    for (measured, wanted) in [(posts, times.post), (replies, times.reply), (reads, times.read)] {
        let best = measured.into_iter().min().unwrap_or_default();
        assert!(best >= wanted.saturating_sub(Duration::from_micros(400)), "{best:?} for {wanted:?}");
        assert!(best < wanted + Duration::from_millis(1), "{best:?} for {wanted:?}");
    }
}

#[tokio::test]
async fn the_date_follows_the_servers_clock() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    server.clock_advance(Duration::from_secs(3_600));
    let post = bot.say(&file.channels["ops"], "x").await;
    let date = httpdate::parse_http_date(post.header("date")).expect("a date");
    let ahead = date.duration_since(std::time::SystemTime::now()).expect("in the future");
    assert!(ahead > Duration::from_secs(3_590));
    let created = post.json["create_at"].as_u64().unwrap_or_default() / 1_000;
    let date = date.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    assert!(created.abs_diff(date) <= 1);
}

#[tokio::test]
async fn what_a_client_began_is_finished_without_it() {
    let times = ServiceTimes { post: Duration::from_millis(200), ..ServiceTimes::real() };
    let (server, file) = start_with(Options { service_times: Some(times), ..Options::default() });
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let mut socket = person(&file, "alice").socket().await;
    let gone = tokio::time::timeout(Duration::from_millis(50), bot.say(ops, "I am gone")).await;
    assert!(gone.is_err());
    drop(bot);
    assert_eq!(inner(&socket.event("posted").await["data"]["post"])["message"], "I am gone");
    assert_eq!(server.counts().posts, 1);
}
