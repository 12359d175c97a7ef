//! What every request passes: its id, the faults aimed at its account, the rate limit, the service time of what
//! only reads, and on the way back the headers that each answer carries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shares};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::time::sleep;

use super::answer::ApiError;
use super::caller::Token;
use super::faults::Fault;
use super::hub::VERSION_ID;
use super::ids::new_id;
use super::listen::Link;
use super::options::RateLimit;
use super::state::Shared;

/// When a request came in, for handlers that take their service time themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived(pub(crate) Instant);

/// The layer around all routes.
pub(crate) async fn pass(
    Shares(shared): Shares<Arc<Shared>>,
    ConnectInfo(link): ConnectInfo<Link>,
    request: Request,
    next: Next,
) -> Response {
    let request_id = new_id();
    let reads = request.method() == Method::GET;
    let mut limits = HeaderMap::new();
    let mut response = answer(&shared, &link, request, next, &mut limits).await;

    let status = response.status();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        *response.body_mut() = Body::from(error.body(&request_id));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if status.as_u16() >= 400 {
        shared.lock().counts.refused += 1;
    }
    let headers = response.headers_mut();
    // A wrong method is a wrong address here.
    headers.remove(header::ALLOW);
    headers.extend(limits);
    put(headers, HeaderName::from_static("x-request-id"), &request_id);
    put(headers, HeaderName::from_static("x-version-id"), VERSION_ID);
    put(headers, header::DATE, &shared.clock.date());
    put(headers, header::VARY, "Accept-Encoding");
    if reads {
        put(headers, header::EXPIRES, "0");
    }
    response
}

async fn answer(shared: &Arc<Shared>, link: &Link, request: Request, next: Next, limits: &mut HeaderMap) -> Response {
    let arrived = Instant::now();
    let route = format!("{} {}", request.method(), request.uri().path());
    let token = Token::of(request.headers(), request.uri()).0;
    let (fault, limited) = {
        let mut state = shared.lock();
        state.counts.requests += 1;
        let user_id = token.as_deref().and_then(|token| state.session(token)).map(|user| user.id.clone());
        let fault = user_id.as_deref().and_then(|id| state.faults.for_request(id, &route));
        let key = user_id.unwrap_or_default();
        (fault, shared.options.rate_limit.map(|limit| state.limiter.take(&key, limit)))
    };
    if let Some(verdict) = limited {
        verdict.write(limits);
        if let Some(retry_after) = verdict.retry_after {
            return too_many(retry_after);
        }
    }
    let mut after = After::Answer;
    match fault {
        None => {}
        Some(Fault::TooManyRequests { retry_after, .. }) => return too_many(u64::from(retry_after)),
        Some(Fault::InternalError { .. }) => {
            return ApiError::internal("store.sql.app_error", "An unexpected error occurred.").into_response();
        }
        Some(Fault::HangUp { .. }) => return hang_up(link).await,
        Some(Fault::Slow { by, .. }) => sleep(by).await,
        Some(Fault::LoseAnswer { .. }) => after = After::Lose,
        Some(Fault::Truncate { .. }) => after = After::Truncate,
        Some(Fault::Answer { status, content_type, body, .. }) => return any(status, &content_type, body),
        // These strike websockets; nothing arms them for requests.
        Some(
            Fault::Drop { .. }
            | Fault::Delay { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::HalfOpen
            | Fault::CloseSocket
            | Fault::Text { .. }
            | Fault::Garbage { .. },
        ) => {}
    }
    let response = carry_out(shared, arrived, request, next).await;
    match after {
        After::Answer => response,
        After::Lose => hang_up(link).await,
        After::Truncate => truncate(response).await,
    }
}

enum After {
    Answer,
    Lose,
    Truncate,
}

/// Runs the handler as a task of its own: the real server finishes what it began, even if the client has gone.
async fn carry_out(shared: &Arc<Shared>, arrived: Instant, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Arrived(arrived));
    let posting = request.method() == Method::POST && request.uri().path() == "/api/v4/posts";
    let upgrading = request.uri().path() == "/api/v4/websocket";
    let reading = request.method() == Method::GET;
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        // A post waits in its handler, a socket does not at all.
        if !posting && !upgrading {
            shared.serve(arrived, |times| if reading { times.read } else { times.post }).await;
        }
        next.run(request).await
    });
    match task.await {
        Ok(response) => response,
        Err(_) => ApiError::internal("api.context.handler.app_error", "The handler failed.").into_response(),
    }
}

/// Ends the connection; what is returned is never sent.
async fn hang_up(link: &Link) -> Response {
    link.cut();
    sleep(Duration::from_secs(1)).await;
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn too_many(retry_after: u64) -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "limit exceeded\n").into_response();
    put(response.headers_mut(), header::RETRY_AFTER, &retry_after.to_string());
    response
}

fn any(status: u16, content_type: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    put(response.headers_mut(), header::CONTENT_TYPE, content_type);
    response
}

/// The answer says how long it is, and ends halfway.
async fn truncate(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_GATEWAY.into_response() };
    put(&mut parts.headers, header::CONTENT_LENGTH, &bytes.len().to_string());
    let half = bytes.slice(..bytes.len() / 2);
    let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Response::from_parts(parts, Body::from_stream(stream::iter([Ok(half), Err(end)])))
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// How much each account may still ask, as a token bucket.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    buckets: HashMap<String, (f64, Instant)>,
}

/// What the limiter says to one request.
#[derive(Debug)]
pub(crate) struct Verdict {
    limit: u32,
    remaining: u64,
    reset: u64,
    retry_after: Option<u64>,
}

impl Limiter {
    fn take(&mut self, key: &str, limit: RateLimit) -> Verdict {
        let (rate, full) = (f64::from(limit.per_second.max(1)), f64::from(limit.burst) + 1.0);
        let now = Instant::now();
        let (tokens, last) = self.buckets.entry(key.to_owned()).or_insert((full, now));
        *tokens = (*tokens + now.duration_since(*last).as_secs_f64() * rate).min(full);
        *last = now;
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        let whole_seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0)).as_secs() + 1;
        Verdict {
            limit: limit.burst + 1,
            remaining: Duration::from_secs_f64(tokens.max(0.0)).as_secs(),
            reset: whole_seconds((full - *tokens) / rate),
            retry_after: (!allowed).then(|| whole_seconds((1.0 - *tokens) / rate)),
        }
    }
}

impl Verdict {
    fn write(&self, headers: &mut HeaderMap) {
        put(headers, HeaderName::from_static("x-ratelimit-limit"), &self.limit.to_string());
        put(headers, HeaderName::from_static("x-ratelimit-remaining"), &self.remaining.to_string());
        put(headers, HeaderName::from_static("x-ratelimit-reset"), &self.reset.to_string());
    }
}
