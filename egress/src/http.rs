//! One request to the server: sent with the token, answered in bounded, scrubbed bytes.
//!
//! The only file that puts the token into a request. What comes out of it has no token in it and may be handed on.
//! Requests are HTTP/1.1 on kept connections; redirects, cookies and retries there are none, and no proxy but the one of the configuration.

use crate::pace::{Order, Pace};
use crate::server::Server;
use crate::token::Token;
use bartizan_proto::limits::{MAX_BODY, MAX_REASON};
use bartizan_proto::{Text, text};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Notify;

pub use reqwest::{Method, StatusCode};

/// Longest time for one request, its answer's body included.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Longest time for connecting, TLS included.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection waits for the next request. Short, because the HTTP library keeps the last request's header, and
/// with it the token, in the connection's buffer; long enough for everything that one command asks.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Most idle connections that are kept.
const IDLE_CONNECTIONS: usize = 8;
/// The longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER: u64 = 3600;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke: the request may or may not have been done.
    #[error("the server could not be reached: {0}")]
    Network(Why),
    /// The time was up: the request may or may not have been done.
    #[error("the server gave no answer in time")]
    Timeout,
    /// The body is over [`MAX_BODY`].
    #[error("the server's answer is over {MAX_BODY} bytes")]
    TooLarge,
}

/// A reason that may be shown: bounded, in one line, without the token.
pub type Why = Text<MAX_REASON>;

/// What a request is to say.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON text.
    Json(Vec<u8>),
    /// A file.
    File(Vec<u8>),
}

/// One request. Made by this package only, from checked parts.
#[derive(Debug)]
pub struct Request<'a> {
    /// How.
    pub method: Method,
    /// The segments below `/api/v4`.
    pub path: &'a [&'a str],
    /// The query, in order.
    pub query: &'a [(&'a str, &'a str)],
    /// What it says.
    pub body: Body,
}

impl<'a> Request<'a> {
    /// A plain `GET`.
    pub fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, query: &[], body: Body::None }
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status, whatever it is.
    pub status: StatusCode,
    /// From `Retry-After`.
    pub retry_after_ms: Option<u32>,
    /// From `Date`: ms since 1970.
    pub server_ms: Option<u64>,
    /// The body, without the token.
    pub body: Vec<u8>,
}

/// The connections to the server. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    server: Arc<Server>,
    token: Token,
    unauthorized: Arc<Notify>,
    used: Arc<Notify>,
    pace: Pace,
    order: Order,
}

impl Http {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// When the HTTP library refuses its settings.
    pub fn new(server: Server, tls: ClientConfig, token: Token) -> Result<Self, HttpError> {
        let failed = |error| HttpError::Network(why(&token, error));
        // Never one that the environment names.
        let builder = Client::builder().no_proxy();
        let builder = match server.proxy() {
            None => builder,
            Some(proxy) => builder.proxy(reqwest::Proxy::https(proxy.address()).map_err(failed)?),
        };
        let client = builder
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .timeout(REQUEST_LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()
            .map_err(failed)?;
        let (unauthorized, used) = (Arc::default(), Arc::default());
        let (server, pace, order) = (Arc::new(server), Pace::default(), Order::Core);
        Ok(Self { client, server, token, unauthorized, used, pace, order })
    }

    /// Makes one request and reads its whole answer. Where the server allows only so many, it waits for its turn first.
    ///
    /// # Errors
    /// [`HttpError`]. A status of failure is an answer, not an error.
    pub async fn call(&self, request: Request<'_>) -> Result<Answer, HttpError> {
        let mut response = self.send(request, HeaderMap::new()).await?;
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_BODY as u64 {
            return Err(HttpError::TooLarge);
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.error(error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        self.token.scrub(&mut body);
        Ok(Answer {
            status: response.status(),
            retry_after_ms: retry_after_ms(response.headers()),
            server_ms: server_ms(response.headers()),
            body,
        })
    }

    /// Sends one request with the token and these headers, and gives the answer before its body. For the websocket;
    /// everything else is [`Http::call`].
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn send(&self, request: Request<'_>, headers: HeaderMap) -> Result<Response, HttpError> {
        let builder = self
            .client
            .request(request.method, self.server.url(request.path, request.query))
            .headers(headers)
            .header(AUTHORIZATION, self.token.header());
        let builder = match request.body {
            Body::None => builder,
            Body::Json(json) => builder.header(CONTENT_TYPE, "application/json").body(json),
            Body::File(file) => builder.header(CONTENT_TYPE, "application/octet-stream").body(file),
        };
        let open = self.pace.turn(self.order).await;
        let response = builder.send().await.map_err(|error| self.error(error))?;
        open.answered(response.status(), response.headers());
        self.used.notify_one();
        if response.status() == StatusCode::UNAUTHORIZED {
            self.unauthorized.notify_one();
        }
        Ok(response)
    }

    /// Waits until something was asked since this was last waited for.
    pub async fn used(&self) {
        self.used.notified().await;
    }

    /// Waits until the server has refused the token.
    pub async fn unauthorized(&self) {
        self.unauthorized.notified().await;
    }

    /// The same for what the connector asks, which goes behind what the core asks where the server allows only so much.
    pub fn for_connector(&self) -> Self {
        Self { order: Order::Connector, ..self.clone() }
    }

    /// The same server asked with another token, of whose refusal nobody is told.
    pub fn with_token(&self, token: Token) -> Self {
        Self { token, unauthorized: Arc::new(Notify::new()), ..self.clone() }
    }

    /// The token, for scrubbing what does not come through [`Http::call`].
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// A failure of the HTTP library, as it may be shown.
    pub fn error(&self, error: reqwest::Error) -> HttpError {
        if error.is_timeout() { HttpError::Timeout } else { HttpError::Network(why(&self.token, error)) }
    }
}

/// The innermost cause says most ("connection refused"); the address is left out, the token overwritten.
fn why(token: &Token, error: reqwest::Error) -> Why {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let mut bytes = cause.to_string().into_bytes();
    token.scrub(&mut bytes);
    Text::cut(text::printable(&String::from_utf8_lossy(&bytes)))
}

/// `Retry-After` in whole seconds, as Mattermost sends it (RFC 9110 §10.2.3 also has dates: those are ignored).
pub fn retry_after_ms(headers: &HeaderMap) -> Option<u32> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    u32::try_from(seconds.min(LONGEST_RETRY_AFTER) * 1000).ok()
}

fn server_ms(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    u64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: reqwest::header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, reqwest::header::HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_taken_in_whole_seconds_up_to_an_hour() {
        for (value, expected) in [
            ("2", Some(2_000)),
            (" 7 ", Some(7_000)),
            ("99999999999", Some(3_600_000)),
            ("-1", None),
            ("1.5", None),
            ("Fri, 20 Nov 2026 22:00:00 GMT", None),
        ] {
            assert_eq!(retry_after_ms(&headers(RETRY_AFTER, value)), expected, "{value}");
        }
    }

    #[test]
    fn the_servers_clock_is_read_from_its_date() {
        assert_eq!(server_ms(&headers(DATE, "Thu, 01 Jan 1970 00:00:02 GMT")), Some(2_000));
        assert_eq!(server_ms(&headers(DATE, "yesterday")), None);
        assert_eq!(server_ms(&HeaderMap::new()), None);
    }
}
