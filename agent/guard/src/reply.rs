//! Answers that the guard gives itself, in the engine's own form.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::engine::{Body, full};
use crate::error::GuardError;
use crate::request::Refusal;

/// `{"message": "refused: …"}`.
pub fn refusal(refusal: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
    message(status, &refusal.message)
}

/// The guard could not do its part.
pub fn failure(error: &GuardError) -> Response<Body> {
    message(StatusCode::BAD_GATEWAY, &format!("the volume guard: {error}"))
}

/// Any answer with a message.
pub fn message(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(full(serde_json::json!({ "message": text }).to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
