//! Headers: what belongs to one connection stays on it.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

use crate::request::Upgrade;

/// The client's headers as they go to the engine. Framing is hyper's, made from the body.
pub fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = headers.clone();
    strip(&mut forwarded);
    for name in [CONTENT_LENGTH, EXPECT] {
        forwarded.remove(name);
    }
    forwarded.insert(HOST, HeaderValue::from_static("docker"));
    forwarded
}

/// Takes away what concerns one connection, also what `Connection` names.
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];
    for name in named.into_iter().chain(fixed) {
        // `Connection: content-length` must not take the length of a HEAD's answer, nor the type of a body.
        if name != CONTENT_LENGTH && !name.as_str().starts_with("content-") {
            headers.remove(name);
        }
    }
}

/// Asks the engine to switch.
pub fn ask_for_upgrade(headers: &mut HeaderMap, upgrade: Upgrade) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(upgrade.as_str()));
}
