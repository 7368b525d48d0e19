//! `host` as people write it: `[user@]host[:port]`.

use crate::error::SshError;

/// The parts of a host's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostText {
    pub user: Option<String>,
    /// A name, an address, or an alias of `~/.ssh/config`.
    pub host: String,
    pub port: Option<u16>,
}

impl HostText {
    /// Reads `[user@]host[:port]`, also `[address]:port`, and with `ssh://` in front.
    pub fn parse(text: &str) -> Result<Self, SshError> {
        let wrong = |why| SshError::HostText { text: text.to_owned(), why };
        let rest = text.strip_prefix("ssh://").map_or(text, |rest| rest.trim_end_matches('/'));
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = split_port(place).ok_or(wrong("the port is no number from 1 to 65535"))?;
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        // What `ssh` refuses too: these reach its command line and, by `%h`, commands of its configuration.
        if host.starts_with('-')
            || host
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "'\"`$;&<>|(){}*?!\\,/@".contains(c))
        {
            return Err(wrong("the host has characters that no host name has"));
        }
        match user {
            Some("") => Err(wrong("the user is missing in front of the @")),
            Some(user)
                if user.starts_with('-')
                    || user
                        .chars()
                        .any(|c| c.is_whitespace() || c.is_control() || "'\"`$;&<>|(){}\\".contains(c)) =>
            {
                Err(wrong("the user has characters that no user name has"))
            }
            _ => Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port }),
        }
    }
}

/// Host and port; `None` where the port is wrong.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    if let Some(bracketed) = place.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(read_port(port)?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match place.split_once(':') {
        // Two colons or more: an IPv6 address on its own.
        Some((_, rest)) if rest.contains(':') => Some((place, None)),
        Some((host, port)) => Some((host, Some(read_port(port)?))),
        None => Some((place, None)),
    }
}

fn read_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, user, host, port) in [
            ("home", None, "home", None),
            ("deploy@home.example", Some("deploy"), "home.example", None),
            ("deploy@home.example:2222", Some("deploy"), "home.example", Some(2222)),
            ("10.0.0.1:22", None, "10.0.0.1", Some(22)),
            ("[::1]:2222", None, "::1", Some(2222)),
            ("[::1]", None, "::1", None),
            ("a@fe80::1", Some("a"), "fe80::1", None),
            ("ssh://a@b:1/", Some("a"), "b", Some(1)),
            ("a@corp@b", Some("a@corp"), "b", None),
        ] {
            let parsed = HostText::parse(text).unwrap();
            assert_eq!(
                (parsed.user.as_deref(), parsed.host.as_str(), parsed.port),
                (user, host, port),
                "{text}"
            );
        }
        for text in [
            "",
            "a@",
            "@b",
            "b:0",
            "b:70000",
            "b:x",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "$(x)",
            "[::1",
            "[::1]x",
            "-l@b",
        ] {
            assert!(HostText::parse(text).is_err(), "{text}");
        }
    }
}
