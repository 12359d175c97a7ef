//! A person at a Mattermost server: posts over REST, sees everything over a websocket.
//!
//! Holds one person's token and nothing of the bot's. Answers are believed as far as their form goes; what does not parse
//! is left out. A 429 is waited out; a post is safe to send again because it carries a `pending_post_id`.

mod event;
mod tls;
mod websocket;

pub use event::{Event, Post};
pub use tls::TlsError;

use crate::cast::ServerFile;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long a request is tried again before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a person's eyes report.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// The websocket is open: from here on nothing is missed. Again after each interruption.
    Watching {
        /// Who watches.
        who: String,
    },
    /// Something happened.
    Event(Event),
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's certificate cannot be checked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No answer.
    #[error("{route}: {source}")]
    Network {
        /// What was asked.
        route: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server said no.
    #[error("{route}: the server answered {status}: {message}")]
    Refused {
        /// What was asked.
        route: String,
        /// The HTTP status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("{route}: the answer has no {missing}")]
    Answer {
        /// What was asked.
        route: String,
        /// What is missing.
        missing: &'static str,
    },
}

/// One person of the cast.
#[derive(Debug, Clone)]
pub struct Client {
    name: String,
    id: String,
    token: String,
    url: String,
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
    pending: Arc<AtomicU64>,
}

impl Client {
    /// A person of this server.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn new(server: &ServerFile, name: &str, id: &str, token: &str) -> Result<Self, ClientError> {
        let tls = Arc::new(tls::config(server.ca_pem.as_deref())?);
        let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured((*tls).clone());
        let http = http
            .timeout(Duration::from_secs(20))
            .build()
            .map_err(|source| ClientError::Network { route: "the client".to_owned(), source })?;
        Ok(Self {
            name: name.to_owned(),
            id: id.to_owned(),
            token: token.to_owned(),
            url: server.url.trim_end_matches('/').to_owned(),
            http,
            tls,
            pending: Arc::default(),
        })
    }

    /// Their name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens the websocket, and again whenever it closes, until the receiver is gone.
    pub fn watch(&self, into: UnboundedSender<Incoming>) -> tokio::task::JoinHandle<()> {
        tokio::spawn(websocket::watch(self.clone(), into))
    }

    /// The direct channel with somebody.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn direct_channel(&self, other: &str) -> Result<String, ClientError> {
        let answer = self.call("POST", "/channels/direct", Some(json!([self.id, other]))).await?;
        text(&answer, "id").ok_or_else(|| missing("/channels/direct", "id"))
    }

    /// Posts a message, in a thread if `root` is given.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post(&self, channel: &str, root: Option<&str>, message: &str) -> Result<Post, ClientError> {
        let number = self.pending.fetch_add(1, Ordering::Relaxed);
        let pending = format!("{}:{}{number}", self.id, milliseconds());
        let body = json!({
            "channel_id": channel, "root_id": root.unwrap_or(""), "message": message, "pending_post_id": pending,
        });
        let answer = self.call("POST", "/posts", Some(body)).await?;
        Post::from_json(&answer).ok_or_else(|| missing("/posts", "post"))
    }

    /// Changes one of their posts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn edit(&self, post: &str, message: &str) -> Result<(), ClientError> {
        self.call("PUT", &format!("/posts/{post}/patch"), Some(json!({ "message": message }))).await.map(drop)
    }

    /// Reacts to a post.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn react(&self, post: &str, emoji: &str) -> Result<(), ClientError> {
        let body = json!({ "user_id": self.id, "post_id": post, "emoji_name": emoji });
        self.call("POST", "/reactions", Some(body)).await.map(drop)
    }

    /// Everything in a channel that changed since a time of the server's clock, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn posts_since(&self, channel: &str, since_ms: i64) -> Result<Vec<Post>, ClientError> {
        let answer = self.call("GET", &format!("/channels/{channel}/posts?since={since_ms}"), None).await?;
        let posts = answer["posts"].as_object().into_iter().flat_map(|posts| posts.values());
        let mut posts: Vec<Post> = posts.filter_map(Post::from_json).collect();
        posts.sort_by_key(|post| post.created_ms);
        Ok(posts)
    }

    /// The reactions on a post, as events.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reactions(&self, post: &str) -> Result<Vec<Event>, ClientError> {
        let answer = self.call("GET", &format!("/posts/{post}/reactions"), None).await?;
        Ok(answer.as_array().into_iter().flatten().filter_map(Event::reaction).collect())
    }

    /// A file's name and content.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn file(&self, id: &str) -> Result<(String, Vec<u8>), ClientError> {
        let route = format!("/files/{id}/info");
        let info = self.call("GET", &route, None).await?;
        let name = text(&info, "name").ok_or_else(|| missing(&route, "name"))?;
        Ok((name, self.bytes("GET", &format!("/files/{id}"), None).await?))
    }

    /// Makes an incoming webhook and gives the address that posts through it.
    ///
    /// # Errors
    /// [`ClientError`], where the server does not allow it.
    pub async fn create_webhook(&self, channel: &str) -> Result<String, ClientError> {
        let body = json!({ "channel_id": channel, "display_name": "transcript" });
        let answer = self.call("POST", "/hooks/incoming", Some(body)).await?;
        let id = text(&answer, "id").ok_or_else(|| missing("/hooks/incoming", "id"))?;
        Ok(format!("{}/hooks/{id}", self.url))
    }

    /// Posts through an incoming webhook; needs no account.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_webhook(&self, address: &str, message: &str) -> Result<(), ClientError> {
        let body = json!({ "text": message }).to_string();
        let request = self.http.post(address).header("Content-Type", "application/json").body(body);
        let fail = |source| ClientError::Network { route: "webhook".to_owned(), source };
        let answer = request.send().await.map_err(fail)?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(());
        }
        let message = answer.text().await.map_err(fail)?;
        Err(ClientError::Refused { route: "webhook".to_owned(), status, message })
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, ClientError> {
        let bytes = self.bytes(method, path, body.map(|body| body.to_string())).await?;
        serde_json::from_slice(&bytes).map_err(|_| missing(path, "JSON"))
    }

    async fn bytes(&self, method: &str, path: &str, body: Option<String>) -> Result<Vec<u8>, ClientError> {
        let route = format!("{method} {path} as {}", self.name);
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        loop {
            let (fault, wait) = match self.once(method, path, body.clone()).await {
                Ok(Answer { status: 200..300, bytes, .. }) => return Ok(bytes),
                Ok(Answer { status, retry_after, bytes }) => {
                    let message = message_of(&bytes);
                    let error = ClientError::Refused { route: route.clone(), status, message };
                    if status != 429 && status < 500 {
                        return Err(error);
                    }
                    (error, retry_after.unwrap_or(pause))
                }
                Err(source) => (ClientError::Network { route: route.clone(), source }, pause),
            };
            if Instant::now() + wait > end {
                return Err(fault);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn once(&self, method: &str, path: &str, body: Option<String>) -> Result<Answer, reqwest::Error> {
        let url = format!("{}/api/v4{path}", self.url);
        let request = match method {
            "POST" => self.http.post(url),
            "PUT" => self.http.put(url),
            _ => self.http.get(url),
        };
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(body),
            None => request,
        };
        let answer = request.send().await?;
        let header = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: answer.status().as_u16(),
            // A server whose window ends now says 0.
            retry_after: header.map(|seconds: u64| Duration::from_secs(seconds).max(Duration::from_millis(100))),
            bytes: answer.bytes().await?.to_vec(),
        })
    }
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    bytes: Vec<u8>,
}

fn message_of(bytes: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(bytes).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str()).map(str::to_owned);
    message.unwrap_or_else(|| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned())
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

fn missing(route: &str, missing: &'static str) -> ClientError {
    ClientError::Answer { route: route.to_owned(), missing }
}

fn milliseconds() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_millis())
}
