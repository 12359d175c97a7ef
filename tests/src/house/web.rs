//! Requests to the chat server that no client of ours makes: props of one's own, webhooks, other people's tokens.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Posts JSON, waits for the answer and gives its status and body.
pub fn post_json(url: &str, path: &str, token: &str, body: &Value) -> (u16, String) {
    ask(url, "POST", path, token, body)
}

/// The same by any method.
pub fn ask(url: &str, method: &str, path: &str, token: &str, body: &Value) -> (u16, String) {
    let host = url.strip_prefix("http://").expect("the server speaks in clear");
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
