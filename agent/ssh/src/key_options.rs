//! The options in front of a key in `authorized_keys`.
//!
//! **Invariant**: an option that is not known here makes its line unusable. Ignoring it could let in whom its writer meant
//! to keep out.
//!
//! What options do here:
//! - `from="…"` and `expiry-time="…"` are honoured;
//! - `command="…"` is handed on (it is never run), see [`crate::Peer::key_command`];
//! - `restrict`, `no-…`, `pty`, `port-forwarding`, `agent-forwarding`, `x11-forwarding`, `user-rc`, `permitopen`,
//!   `permitlisten`, `environment` and `tunnel` speak of things that are never served: they are accepted without effect;
//! - `cert-authority` and `principals` belong to certificates, which are not accepted: the line lets nobody in;
//! - everything else, and an option said twice that may be said once, makes the line unusable.

use crate::address_pattern;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::net::IpAddr;

/// The options of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyOptions {
    pub command: Option<String>,
    from: Option<String>,
    expires: Option<Timestamp>,
    pub certificate_authority: bool,
}

/// Why a line lets nobody in, or not this one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyOptionError {
    #[error("the option `{0}` is not known")]
    Unknown(String),
    #[error("the option `{0}` is given twice")]
    Twice(&'static str),
    #[error("the option `{0}` needs a value in double quotes")]
    Value(String),
    #[error("a quote in its options is not closed")]
    Unclosed,
    #[error("`expiry-time=\"{0}\"` is no time of the form YYYYMMDD[HHMM[SS]][Z]")]
    Time(String),
    #[error("its `from` does not allow {0}")]
    From(IpAddr),
    #[error("it expired")]
    Expired,
}

impl KeyOptions {
    /// Reads options as they stand in front of a key, without the blank after them.
    pub fn parse(text: &str) -> Result<Self, KeyOptionError> {
        let mut options = Self::default();
        for option in split(text)? {
            options.add(option)?;
        }
        Ok(options)
    }

    /// The addresses that it may be used from.
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether the line lets in who comes from `address` at `now`.
    pub fn admit(&self, address: IpAddr, now: Timestamp) -> Result<(), KeyOptionError> {
        if self.expires.is_some_and(|end| now >= end) {
            return Err(KeyOptionError::Expired);
        }
        match &self.from {
            Some(list) if !address_pattern::allows(list, address) => Err(KeyOptionError::From(address)),
            _ => Ok(()),
        }
    }

    fn add(&mut self, option: &str) -> Result<(), KeyOptionError> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(unquote(name, value)?)),
            None => (option, None),
        };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("from", Some(list)) => once("from", &mut self.from, list),
            ("command", Some(command)) => once("command", &mut self.command, command),
            ("expiry-time", Some(time)) => once("expiry-time", &mut self.expires, moment(&time)?),
            ("cert-authority", None) => {
                self.certificate_authority = true;
                Ok(())
            }
            (
                "restrict" | "pty" | "port-forwarding" | "agent-forwarding" | "x11-forwarding" | "user-rc",
                None,
            )
            | (
                "no-pty" | "no-port-forwarding" | "no-agent-forwarding" | "no-x11-forwarding" | "no-user-rc",
                None,
            )
            | ("permitopen" | "permitlisten" | "environment" | "tunnel" | "principals", Some(_)) => Ok(()),
            ("from" | "command" | "expiry-time", None) => Err(KeyOptionError::Value(name.to_owned())),
            _ => Err(KeyOptionError::Unknown(name.to_owned())),
        }
    }
}

/// The length of the options that `line` begins with: up to the first blank outside of quotes.
pub fn options_length(line: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return Some(at),
            _ => {}
        }
        escaped = false;
    }
    None
}

fn split(text: &str) -> Result<Vec<&str>, KeyOptionError> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    if quoted {
        return Err(KeyOptionError::Unclosed);
    }
    parts.extend(text.get(start..));
    Ok(parts)
}

/// The text between quotes; `\"` stands for a quote, and every other backslash for itself, as in OpenSSH.
fn unquote(name: &str, value: &str) -> Result<String, KeyOptionError> {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => Ok(inner.replace("\\\"", "\"")),
        None => Err(KeyOptionError::Value(name.to_owned())),
    }
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), KeyOptionError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(KeyOptionError::Twice(name)),
    }
}

/// `YYYYMMDD[HHMM[SS]]` in the server's zone, or in UTC with a `Z`.
fn moment(text: &str) -> Result<Timestamp, KeyOptionError> {
    let wrong = || KeyOptionError::Time(text.to_owned());
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong());
    }
    let whole = format!("{digits:0<14}");
    let time = DateTime::strptime("%Y%m%d%H%M%S", &whole).map_err(|_| wrong())?;
    Ok(time.to_zoned(zone).map_err(|_| wrong())?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_options_are_read() {
        let options =
            KeyOptions::parse(r#"restrict,command="wharfd connect --app \"a,b\"",from="10.0.0.0/8",No-Pty"#)
                .unwrap();
        assert_eq!(options.command.as_deref(), Some(r#"wharfd connect --app "a,b""#));
        assert_eq!(options.admit("10.1.2.3".parse().unwrap(), Timestamp::UNIX_EPOCH), Ok(()));
        assert!(matches!(
            options.admit("9.1.2.3".parse().unwrap(), Timestamp::UNIX_EPOCH),
            Err(KeyOptionError::From(_))
        ));
    }

    #[test]
    fn what_is_not_understood_lets_nobody_in() {
        for text in [
            "verify-required",
            "restrict,shiny",
            "no-shiny",
            "command",
            "command=x",
            r#"from="a",from="b""#,
            r#"command="open"#,
            r#"expiry-time="tomorrow""#,
            r#"expiry-time="20261340""#,
            "restrict,,pty",
            r#"restrict="yes""#,
        ] {
            assert!(KeyOptions::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_expires() {
        let options = KeyOptions::parse(r#"expiry-time="20260102Z""#).unwrap();
        let end: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let anywhere = "::1".parse().unwrap();
        assert_eq!(options.admit(anywhere, end), Err(KeyOptionError::Expired));
        assert_eq!(options.admit(anywhere, end - jiff::SignedDuration::from_secs(1)), Ok(()));
    }

    #[test]
    fn options_end_at_the_first_blank_outside_quotes() {
        let line = r#"command="a b \" c",pty ssh-ed25519 AAAA"#;
        assert_eq!(options_length(line).map(|end| &line[..end]), Some(r#"command="a b \" c",pty"#));
        assert_eq!(options_length("alone"), None);
    }
}
