//! HTTP/1.1 over connections that are kept, as little of it as a bot needs: a request, and an answer with a length.

use serde_json::Value;
use std::io;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The REST side of the least bot. A call takes a connection that nobody uses, or makes one.
#[derive(Debug)]
pub(super) struct Rest {
    address: String,
    token: String,
    unused: Mutex<Vec<TcpStream>>,
}

impl Rest {
    /// For a server at `host:port`.
    pub(super) fn new(address: String, token: String) -> Self {
        Self { address, token, unused: Mutex::default() }
    }

    /// A call whose answer is JSON. Statuses of 300 and more are errors.
    ///
    /// # Errors
    /// Also when the answer has no length or is not JSON.
    pub(super) async fn call(&self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let kept = self.unused.lock().map(|mut unused| unused.pop()).unwrap_or_default();
        let mut connection = match kept {
            Some(connection) => connection,
            None => {
                let new = TcpStream::connect(&self.address).await?;
                new.set_nodelay(true)?;
                new
            }
        };
        let request = format!(
            "{method} /api/v4{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let answer = receive(&mut connection).await?;
        if let Ok(mut unused) = self.unused.lock() {
            unused.push(connection);
        }
        serde_json::from_slice(&answer).map_err(io::Error::other)
    }
}

async fn receive(connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(4096);
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if connection.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0_u16);
    let length = text.lines().filter_map(|line| line.split_once(':'));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.filter_map(|(_, value)| value.trim().parse::<usize>().ok()).next();
    let end = head + 4 + length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    while buffer.len() < end {
        if connection.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let body = buffer.split_off(head + 4);
    if status < 300 { Ok(body) } else { Err(io::Error::other(String::from_utf8_lossy(&body).into_owned())) }
}
