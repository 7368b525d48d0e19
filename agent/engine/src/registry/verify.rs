//! Whether a registry takes a login: the engine asks it, as it would for a pull.

use super::{HUB_KEY, Login, is_hub};
use crate::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::UnixStream;

/// The engine gives up on a registry by itself before this.
const LIMIT: Duration = Duration::from_secs(60);
const ANSWER_BYTES: usize = 64 * 1024;

/// A login that was not proven.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The registry was asked, and does not take it.
    #[error("the registry {host} does not let {user} in")]
    Refused { host: String, user: String, said: String },
    /// It cannot be told: the registry or the engine does not answer.
    #[error("cannot ask the registry {host} about the login")]
    Unknown { host: String, said: String },
}

impl LoginError {
    /// What the engine said of it.
    pub fn said(&self) -> &str {
        match self {
            Self::Refused { said, .. } | Self::Unknown { said, .. } => said,
        }
    }
}

impl Engine {
    /// Has the registry asked whether it takes the login. The login as it is to be kept: a registry may give a token in
    /// place of the password.
    ///
    /// # Errors
    /// The registry does not take it, or cannot be asked.
    pub async fn prove_login(&self, host: &str, login: Login) -> Result<Login, LoginError> {
        let unknown = |said: String| LoginError::Unknown {
            host: host.to_owned(),
            said: without(&said, &login.password),
        };
        let address = if is_hub(host) { HUB_KEY } else { host };
        let body = serde_json::json!({
            "username": login.username, "password": login.password, "serveraddress": address,
        });
        let asked = tokio::time::timeout(LIMIT, self.post_auth(body.to_string())).await;
        let (status, answer) = match asked {
            Ok(asked) => asked.map_err(unknown)?,
            Err(_) => return Err(unknown(format!("no answer within {} seconds", LIMIT.as_secs()))),
        };
        let field = |name: &str| answer.get(name).and_then(|text| text.as_str()).unwrap_or_default();
        if status == StatusCode::OK || status == StatusCode::NO_CONTENT {
            let token = Some(field("IdentityToken").to_owned()).filter(|token| !token.is_empty());
            return Ok(Login { identity_token: token, ..login });
        }
        let said = without(field("message"), &login.password);
        Err(if is_refusal(status, &said) {
            LoginError::Refused { host: host.to_owned(), user: login.username.clone(), said }
        } else {
            LoginError::Unknown { host: host.to_owned(), said }
        })
    }

    async fn post_auth(&self, body: String) -> Result<(StatusCode, serde_json::Value), String> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri("/auth")
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// Engines answer 500 for a registry that refuses, too, with its status in words.
fn is_refusal(status: StatusCode, said: &str) -> bool {
    let said = said.to_lowercase();
    let words = ["unauthorized", "403 forbidden", "access denied", "incorrect username or password"];
    status == StatusCode::UNAUTHORIZED || words.iter().any(|word| said.contains(word))
}

/// What was said, without the password, should a registry repeat it.
fn without(said: &str, password: &str) -> String {
    if password.is_empty() { said.trim().to_owned() } else { said.trim().replace(password, "…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_refuses_is_told_from_one_that_is_not_there() {
        let engine = StatusCode::INTERNAL_SERVER_ERROR;
        for (status, said, refused) in [
            (engine, "login attempt to http://127.0.0.1:5000/v2/ failed with status: 401 Unauthorized", true),
            (engine, "Get \"https://x.example/v2/\": denied: access denied", true),
            (StatusCode::UNAUTHORIZED, "", true),
            (
                engine,
                "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
                false,
            ),
            (engine, "Get \"https://x.example/v2/\": dial tcp: lookup x.example: no such host", false),
        ] {
            assert_eq!(is_refusal(status, said), refused, "{said}");
        }
    }

    #[test]
    fn a_password_that_is_repeated_is_struck_out() {
        assert_eq!(without(" no user s3cret:x\n", "s3cret"), "no user …:x");
        assert_eq!(without("no", ""), "no");
    }
}
