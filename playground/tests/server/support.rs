//! A small client for the tests: one per person, and their sockets.

use std::time::Duration;

use bartizan_playground::cast::ServerFile;
use bartizan_playground::server::{Options, Server};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A server with the cast, as every test starts.
pub fn start() -> (Server, ServerFile) {
    start_with(Options::default())
}

/// The same, with other options.
pub fn start_with(options: Options) -> (Server, ServerFile) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start(options).expect("the server starts");
    let file = server.file();
    (server, file)
}

/// An answer: status, headers, and the body as JSON where it is some.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub token: String,
    url: String,
    client: reqwest::Client,
}

/// One of the cast, or the bot as `bartizan`.
pub fn person(file: &ServerFile, name: &str) -> Person {
    let (id, token) = match file.users.get(name) {
        Some(user) => (user.id.clone(), user.token.clone()),
        None => (file.bot.id.clone(), file.bot.token.clone()),
    };
    Person { id, token, url: file.url.clone(), client: reqwest::Client::new() }
}

impl Person {
    pub fn with_token(&self, token: &str) -> Person {
        Person { token: token.to_owned(), ..self.clone() }
    }

    /// The same person over a connection of its own.
    pub fn again(&self) -> Person {
        Person { client: reqwest::Client::new(), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, json })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, &format!("/api/v4{path}"))).await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, &format!("/api/v4{path}")).body(body.to_string()))
            .await
            .expect("an answer")
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, &format!("/api/v4{path}")).body(body.to_string())).await.expect("an answer")
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/api/v4{path}"))).await.expect("an answer")
    }

    pub async fn say(&self, channel_id: &str, message: &str) -> Answer {
        self.post("/posts", json!({ "channel_id": channel_id, "message": message })).await
    }

    pub async fn reply(&self, channel_id: &str, root_id: &str, message: &str) -> Answer {
        self.post("/posts", json!({ "channel_id": channel_id, "root_id": root_id, "message": message })).await
    }

    /// A socket, with its `hello` read.
    pub async fn socket(&self) -> Socket {
        let mut socket = self.socket_at("").await;
        let hello = socket.next().await;
        assert_eq!(hello["event"], "hello", "{hello}");
        socket.connection_id = hello["data"]["connection_id"].as_str().unwrap_or_default().to_owned();
        socket
    }

    /// A socket from this query, with nothing read.
    pub async fn socket_at(&self, query: &str) -> Socket {
        let url = format!("{}/api/v4/websocket{query}", self.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a request");
        if !self.token.is_empty() {
            request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse().expect("a header"));
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await.expect("the upgrade");
        Socket { stream, connection_id: String::new() }
    }
}

/// An open websocket.
pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub connection_id: String,
}

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(5);

impl Socket {
    /// The next text frame, whatever it is.
    pub async fn next(&mut self) -> Value {
        self.next_within(SOON).await.expect("a frame")
    }

    /// The next text frame, or none in this time.
    pub async fn next_within(&mut self, time: Duration) -> Option<Value> {
        let wait = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).ok(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(time, wait).await.ok().flatten()
    }

    /// The next event of this name; others are passed over.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["event"] == name {
                return frame;
            }
        }
    }

    /// The next answer to an action.
    pub async fn answer(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame.get("status").is_some() {
                return frame;
            }
        }
    }

    pub async fn send(&mut self, value: Value) {
        self.stream.send(Message::Text(value.to_string().into())).await.expect("sent");
    }

    /// How the socket ends: a close code, or none where it just stops.
    pub async fn end(&mut self) -> Option<u16> {
        let wait = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return Some(u16::from(frame.code)),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the socket ends")
    }
}

/// JSON inside a string, as many fields of events are.
pub fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().expect("a string")).expect("JSON in it")
}
