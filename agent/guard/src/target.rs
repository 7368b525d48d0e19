//! The request's target: path and query, in the one spelling that is let through.
//!
//! **Invariants**
//! - A path is taken only if every byte of it means itself: no percent-encoding, no empty, `.` or `..` segment, no absolute form, at
//!   most one `/vN.NN` in front. So the guard and the engine cannot read two different paths.
//! - A query is decoded once and encoded anew; a key given twice is refused unless the API means it to be a list.

use std::fmt;

/// More of either is not a Docker client.
const SEGMENTS_MAX: usize = 32;
const PAIRS_MAX: usize = 256;

/// Keys that clients do repeat. Nothing that decides about a deletion is among them.
const LISTS: [&str; 8] = ["t", "names", "changes", "type", "securityopt", "extrahosts", "platform", "fields"];

/// The oldest version whose rules the guard knows; older engines let `start` rewrite a container.
const VERSION_MIN: (u32, u32) = (1, 24);

/// A path and a query that were understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    version: Option<(u32, u32)>,
    segments: Vec<String>,
    query: Query,
}

/// Why a target was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Uncanonical(pub String);

impl Target {
    /// Reads `/v1.45/containers/json?all=1`.
    pub fn parse(raw: &str) -> Result<Self, Uncanonical> {
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, query),
            None => (raw, ""),
        };
        let Some(path) = path.strip_prefix('/') else {
            return Err(Uncanonical("the address is not a plain path that begins with /".to_owned()));
        };
        let mut segments: Vec<&str> = path.split('/').collect();
        if segments.len() > SEGMENTS_MAX {
            return Err(Uncanonical("the path has too many parts".to_owned()));
        }
        segments.iter().try_for_each(|segment| check_segment(segment))?;
        let version = segments.first().and_then(|first| version(first)).transpose()?;
        if version.is_some() {
            segments.remove(0);
        }
        if segments.first().is_some_and(|first| version_like(first)) {
            return Err(Uncanonical(
                "the path names the API version twice, or in a way that is not vN.NN".to_owned(),
            ));
        }
        if segments.is_empty() {
            return Err(Uncanonical("the path is empty".to_owned()));
        }
        let segments = segments.into_iter().map(str::to_owned).collect();
        Ok(Self { version, segments, query: Query::parse(query)? })
    }

    /// The path's parts, without the version.
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Replaces one part, to pin a name to what it meant when it was looked at.
    pub fn pin(&mut self, index: usize, id: &str) {
        if let Some(segment) = self.segments.get_mut(index) {
            id.clone_into(segment);
        }
    }

    /// What follows the `?`.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The same, to change it.
    pub fn query_mut(&mut self) -> &mut Query {
        &mut self.query
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((major, minor)) = self.version {
            write!(formatter, "/v{major}.{minor}")?;
        }
        for segment in &self.segments {
            write!(formatter, "/{segment}")?;
        }
        self.query.fmt(formatter)
    }
}

/// A decoded query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    fn parse(raw: &str) -> Result<Self, Uncanonical> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            if !LISTS.contains(&key.as_str()) && pairs.iter().any(|(other, _)| *other == key) {
                return Err(Uncanonical(format!("the query gives {key:?} twice")));
            }
            pairs.push((key, value));
            if pairs.len() > PAIRS_MAX {
                return Err(Uncanonical("the query has too many parts".to_owned()));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether the engine takes this key for true: anything but nothing, `0`, `no`, `false`, `none`.
    pub fn truthy(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| {
            !matches!(value.trim().to_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// Gives a key the one value it has from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.remove(key);
        self.0.push((key.to_owned(), value.to_owned()));
    }
}

impl fmt::Display for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            formatter.write_str(if index == 0 { "?" } else { "&" })?;
            encode(key, formatter)?;
            formatter.write_str("=")?;
            encode(value, formatter)?;
        }
        Ok(())
    }
}

fn check_segment(segment: &str) -> Result<(), Uncanonical> {
    if segment.is_empty() || segment == "." || segment == ".." {
        return Err(Uncanonical("the path has an empty part, or one that is . or ..".to_owned()));
    }
    if segment.contains('%') {
        return Err(Uncanonical("the path is percent-encoded; name the object by its ID".to_owned()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@+".contains(&byte);
    match segment.bytes().all(plain) {
        true => Ok(()),
        false => Err(Uncanonical(
            "the path has characters that no Docker name has; name the object by its ID".to_owned(),
        )),
    }
}

/// The router takes any `v` with digits and dots for a version.
fn version_like(segment: &str) -> bool {
    segment.strip_prefix(['v', 'V']).is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

fn version(segment: &str) -> Option<Result<(u32, u32), Uncanonical>> {
    if !version_like(segment) {
        return None;
    }
    let number = |digits: &str| match digits.len() {
        1..=3 if digits == "0" || !digits.starts_with('0') => digits.parse::<u32>().ok(),
        _ => None,
    };
    let parsed = segment
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    Some(match parsed {
        Some(found) if found >= VERSION_MIN => Ok(found),
        Some((major, minor)) => Err(Uncanonical(format!(
            "API version {major}.{minor} is older than the oldest that the guard knows (1.24)"
        ))),
        None => Err(Uncanonical("the API version is not written as vN.NN".to_owned())),
    })
}

fn decode(raw: &str) -> Result<String, Uncanonical> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = rest.next().and_then(hex).zip(rest.next().and_then(hex));
                let (high, low) = digits
                    .ok_or_else(|| Uncanonical("the query has a broken percent-encoding".to_owned()))?;
                high << 4 | low
            }
            b';' | b'#' => return Err(Uncanonical("the query has a bare ; or #".to_owned())),
            b'!'..=b'~' => byte,
            _ => return Err(Uncanonical("the query has bytes that must be percent-encoded".to_owned())),
        });
    }
    String::from_utf8(bytes).map_err(|_| Uncanonical("the query is not UTF-8".to_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn encode(text: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                write!(formatter, "{}", char::from(byte))?
            }
            byte => write!(formatter, "%{byte:02X}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_clients_send() {
        for (raw, again) in [
            ("/_ping", "/_ping"),
            ("/v1.45/containers/json?all=1", "/v1.45/containers/json?all=1"),
            ("/images/wharf-base/busybox:1/json", "/images/wharf-base/busybox:1/json"),
            ("/v1.24/images/a@sha256:00/json", "/v1.24/images/a@sha256:00/json"),
            (
                "/build?t=a&t=b&buildargs=%7B%22A%22%3A%22b+c%22%7D",
                "/build?t=a&t=b&buildargs=%7B%22A%22%3A%22b%20c%22%7D",
            ),
            ("/events?until&filters={\"a\":1}", "/events?until=&filters=%7B%22a%22%3A1%7D"),
        ] {
            assert_eq!(Target::parse(raw).unwrap().to_string(), again);
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for raw in [
            "",
            "*",
            "volumes/x",
            "http://docker/volumes/x",
            "//volumes/x",
            "/volumes//x",
            "/volumes/x/",
            "/volumes/./x",
            "/a/../volumes/x",
            "/%76olumes/x",
            "/volumes%2Fx",
            "/volumes/x%00",
            "/volumes/x\\y",
            "/volumes/ü",
            "/volumes/x y",
            "/volumes/x;a",
            "/v1.45",
            "/",
            "/v1.45/v1.45/volumes/x",
            "/v1.45/v1.44/info",
            "/V1.45/info",
            "/v1/info",
            "/v01.45/info",
            "/v1.045/info",
            "/v1.45.1/info",
            "/v1.23/info",
            "/v1.9999/info",
            "/v./info",
            "/info?v=1&v=0",
            "/info?%76=1&v=0",
            "/info?v=%",
            "/info?v=%4",
            "/info?v=%zz",
            "/info?a;v=1",
            "/info?v=%ff",
            "/info?a=\u{e9}",
            "/info?v=1#x",
        ] {
            assert!(Target::parse(raw).is_err(), "{raw}");
        }
        assert!(Target::parse(&"/a".repeat(40)).is_err());
    }

    #[test]
    fn knows_what_the_engine_takes_for_true() {
        for (value, expected) in [
            ("1", true),
            ("yes", true),
            ("f", true),
            ("-", true),
            ("%31", true),
            ("True", true),
            ("", false),
            ("0", false),
            ("NO", false),
            ("+none+", false),
            ("False", false),
        ] {
            assert_eq!(
                Target::parse(&format!("/x?v={value}")).unwrap().query().truthy("v"),
                expected,
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_a_fixed_point(raw in "(/[a-zA-Z0-9.%_-]{0,6}){0,5}(\\?[ -~]{0,30})?") {
            if let Ok(target) = Target::parse(&raw) {
                let again = target.to_string();
                prop_assert_eq!(Target::parse(&again).unwrap().to_string(), again);
            }
        }

        #[test]
        fn any_text_is_answered(raw in any::<String>()) {
            let _ = Target::parse(&raw);
        }
    }
}
