//! One person's websocket: opened with the token in its header, opened again when it closes.

use super::event::is_hello;
use super::{Client, Event, Incoming};
use futures_util::StreamExt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Watches until nobody listens any more.
pub async fn watch(client: Client, into: UnboundedSender<Incoming>) {
    let mut pause = Duration::from_millis(50);
    while !into.is_closed() {
        if let Ok(true) = once(&client, &into).await {
            pause = Duration::from_millis(50);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// One connection from beginning to end; `true` when the server had said hello on it.
async fn once(client: &Client, into: &UnboundedSender<Incoming>) -> Result<bool, Error> {
    let address = format!("{}/api/v4/websocket", client.url.replacen("http", "ws", 1));
    let uri: Uri = address.parse().map_err(|_| Error::Io(io::ErrorKind::InvalidInput.into()))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("wss");
    let socket = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(if secure { 443 } else { 80 }))).await?;
    socket.set_nodelay(true)?;
    if !secure {
        return read(client, &address, socket, into).await;
    }
    let name = rustls::pki_types::ServerName::try_from(host).map_err(io::Error::other)?;
    let connector = tokio_rustls::TlsConnector::from(client.tls.clone());
    read(client, &address, connector.connect(name, socket).await?, into).await
}

async fn read(
    client: &Client,
    address: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    into: &UnboundedSender<Incoming>,
) -> Result<bool, Error> {
    let mut request = address.into_client_request()?;
    let header = HeaderValue::from_str(&format!("Bearer {}", client.token)).map_err(io::Error::other)?;
    request.headers_mut().insert("Authorization", header);
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    let mut greeted = false;
    loop {
        let next = tokio::select! {
            next = socket.next() => next,
            () = into.closed() => return Ok(greeted),
        };
        let text = match next {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(greeted),
            Some(Ok(_)) => continue,
        };
        if !greeted && is_hello(&text) {
            greeted = true;
            let _nobody_listens = into.send(Incoming::Watching { who: client.name.clone() });
        } else if let Some(event) = Event::from_frame(&text) {
            let _nobody_listens = into.send(Incoming::Event(event));
        }
    }
}
