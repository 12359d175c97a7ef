//! Who is asking: the token of a request, and the account it belongs to.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use super::answer::ApiError;
use super::state::Shared;

/// The token a request shows, good or not: `Authorization: Bearer` (or `token`, as old clients say), the
/// `MMAUTHTOKEN` cookie, or `?access_token=`.
#[derive(Debug, Clone)]
pub(crate) struct Token(pub(crate) Option<String>);

impl Token {
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Token {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let authorization = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then_some(token)
        });
        let cookie = || {
            let cookies = text(header::COOKIE)?;
            cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("MMAUTHTOKEN="))
        };
        let query = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("access_token="));
        Token(authorization.or_else(cookie).or_else(query).map(str::to_owned))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Token, Infallible> {
        Ok(Token::of(&parts.headers, &parts.uri))
    }
}

/// An account with a good token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) id: String,
    pub(crate) token: String,
    /// A system administrator may do anything.
    pub(crate) admin: bool,
}

impl Caller {
    /// The id that a path names, where `me` is the caller.
    pub(crate) fn or_me(&self, user_id: String) -> String {
        if user_id == "me" { self.id.clone() } else { user_id }
    }

    /// Refuses whoever is neither that user nor an administrator.
    pub(crate) fn must_be(&self, user_id: &str) -> Result<(), ApiError> {
        if self.admin || self.id == user_id { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// Refuses whoever is no system administrator.
    pub(crate) fn must_be_admin(&self) -> Result<(), ApiError> {
        if self.admin { Ok(()) } else { Err(ApiError::forbidden()) }
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Caller, ApiError> {
        let token = Token::of(&parts.headers, &parts.uri).0.ok_or_else(ApiError::unauthorized)?;
        let state = shared.lock();
        let user = state.session(&token).ok_or_else(ApiError::unauthorized)?;
        Ok(Caller { id: user.id.clone(), admin: user.is_admin(), token })
    }
}
