//! Docker's authorization plugin protocol, version 1: what the engine asks, and how it is answered.
//!
//! The engine shows a body only where its type is `application/json` and it is not too large, and of a header given twice only
//! the last value. What it does not show is absent here too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::policy::whole_host::Answer;
use crate::request::Request;

/// How the engine learns what a plugin is for.
pub const ACTIVATE: &str = "/Plugin.Activate";
/// May this request be served?
pub const REQUEST: &str = "/AuthZPlugin.AuthZReq";
/// May this answer be given? Too late for anything, so always.
pub const RESPONSE: &str = "/AuthZPlugin.AuthZRes";
/// The answer to [`ACTIVATE`].
pub const IMPLEMENTS: &str = r#"{"Implements":["authz"]}"#;

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(rename = "RequestMethod")]
    method: String,
    // The engine writes it so; its documentation the other way.
    #[serde(rename = "RequestUri", alias = "RequestURI")]
    uri: String,
    #[serde(rename = "RequestBody", default)]
    body: Option<String>,
    #[serde(rename = "RequestHeaders", default)]
    headers: Option<BTreeMap<String, String>>,
}

/// Why the engine's question is none.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not what the protocol says.
    #[error("the engine's question cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A body in no encoding of the protocol's.
    #[error("the request's body is not in base64: {0}")]
    Body(#[from] base64::DecodeError),
}

/// The request that the engine asks about.
pub fn read(question: &[u8]) -> Result<Request, Unreadable> {
    let asked: Asked = serde_json::from_slice(question)?;
    let headers = asked.headers.unwrap_or_default();
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone())
    };
    let body = asked.body.filter(|text| !text.is_empty()).map(|text| STANDARD.decode(text)).transpose()?;
    Ok(Request {
        method: asked.method,
        target: asked.uri,
        upgrade: header("upgrade"),
        content_type: header("content-type"),
        body,
    })
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "Allow")]
    allow: bool,
    #[serde(rename = "Msg", skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

/// What the engine is told.
pub fn write(answer: &Answer) -> Vec<u8> {
    let told = match answer {
        Answer::Allow => Told { allow: true, message: "" },
        Answer::Deny(why) => Told { allow: false, message: why },
    };
    // Two plain fields: this does not fail, and nothing at all would be a refusal too.
    serde_json::to_vec(&told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_the_engine_asks() {
        let asked = json!({
            "RequestMethod": "POST", "RequestUri": "/v1.45/containers/create?name=x", "User": "", "UserAuthNMethod": "",
            "RequestBody": STANDARD.encode(b"{\"Image\":\"x\"}"),
            "RequestHeaders": {"Content-Type": "application/json", "Content-Length": "13", "Upgrade": "tcp"},
        });
        let request = read(asked.to_string().as_bytes()).unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/v1.45/containers/create?name=x")
        );
        assert_eq!(request.body.as_deref(), Some(&b"{\"Image\":\"x\"}"[..]));
        assert_eq!(
            (request.upgrade.as_deref(), request.content_type.as_deref()),
            (Some("tcp"), Some("application/json"))
        );
    }

    #[test]
    fn what_is_not_shown_is_absent_and_what_is_broken_is_no_question() {
        for body in [json!(null), json!("")] {
            let asked = json!({"RequestMethod": "GET", "RequestURI": "/info", "RequestBody": body, "RequestHeaders": null});
            let request = read(asked.to_string().as_bytes()).unwrap();
            assert_eq!((request.body, request.content_type), (None, None));
        }
        for broken in [
            "",
            "{}",
            "[]",
            r#"{"RequestMethod":"GET"}"#,
            r#"{"RequestMethod":"GET","RequestURI":"/","RequestBody":"%"}"#,
        ] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn answers_in_the_engines_form() {
        assert_eq!(write(&Answer::Allow), br#"{"Allow":true}"#);
        assert_eq!(write(&Answer::Deny("refused: x".into())), br#"{"Allow":false,"Msg":"refused: x"}"#);
    }
}
