//! What a request is answered with: JSON as Go writes it, and errors in the server's own form. An error leaves
//! the handler as a value; `gateway.rs` writes it out, because only there the request's id is known.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What every handler returns.
pub(crate) type Answer = Result<Response, ApiError>;

/// An error as clients see it.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) id: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) detail: String,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        id: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> ApiError {
        ApiError { status, id: id.into(), message: message.into(), detail: String::new() }
    }

    /// 403, the one answer to whatever the caller may not do or see.
    pub(crate) fn forbidden() -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "api.context.permissions.app_error",
            "You do not have the appropriate permissions.",
        )
    }

    /// 401, for no token, an unknown one, or one whose user is deactivated.
    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "api.context.session_expired.app_error",
            "Invalid or expired session, please login again.",
        )
    }

    pub(crate) fn bad_url(parameter: &str) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "api.context.invalid_url_param.app_error",
            format!("Invalid or missing {parameter} parameter in request URL."),
        )
    }

    pub(crate) fn bad_body(parameter: &str) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "api.context.invalid_body_param.app_error",
            format!("Invalid or missing {parameter} in request body."),
        )
    }

    pub(crate) fn bad_request(id: &'static str, message: &'static str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, id, message)
    }

    pub(crate) fn not_found(id: &'static str, message: &'static str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, id, message)
    }

    pub(crate) fn internal(id: &'static str, message: &'static str) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, id, message)
    }

    /// The JSON body; `status_code` repeats the status line.
    pub(crate) fn body(&self, request_id: &str) -> String {
        go_json(&serde_json::json!({
            "id": self.id,
            "message": self.message,
            "detailed_error": self.detail,
            "request_id": request_id,
            "status_code": self.status.as_u16(),
        }))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// 200 with JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    with_status(StatusCode::OK, value)
}

/// 201 with JSON.
pub(crate) fn created(value: &impl Serialize) -> Response {
    with_status(StatusCode::CREATED, value)
}

/// `{"status":"OK"}`.
pub(crate) fn ok() -> Response {
    json(&serde_json::json!({ "status": "OK" }))
}

fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(go_json(value)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// JSON with the characters that Go's encoder escapes. The real server does, and its 8,000 of `props` are
/// counted after it. These five never stand outside a string in JSON, so replacing them is safe.
pub(crate) fn go_json(value: &impl Serialize) -> String {
    let plain = serde_json::to_string(value).unwrap_or_else(|_| "null".into());
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let mut escaped = String::with_capacity(plain.len() + 32);
    for character in plain.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The body as `T`, whatever its `Content-Type` says; `name` is what the error calls it.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes, name: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|_| ApiError::bad_body(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_as_go_escapes_it() {
        assert_eq!(go_json(&"<b>&\u{2028} é"), "\"\\u003cb\\u003e\\u0026\\u2028 é\"");
    }
}
