//! Where the server is: `[server]`'s host, as one writes it for ssh, with an optional port.

use std::path::PathBuf;

/// How the server is reached. What is not said here, `~/.ssh/config` may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    pub user: Option<String>,
    /// A name, an address, or a `Host` of `~/.ssh/config`.
    pub host: String,
    pub port: Option<u16>,
    /// The private key to use, and no other.
    pub identity: Option<PathBuf>,
    /// The agent on this machine, by its own socket: nothing else here counts then.
    pub is_here: bool,
}

impl ServerAddress {
    /// Reads `user@host:port`; user and port may be missing, and an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err(format!("{text:?} is an address with a scheme"));
        }
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = split_port(rest)?;
        for (what, name) in [("user", user.unwrap_or("x")), ("host", host)] {
            // A leading '-' would be an option to the ssh that reads the configuration.
            if name.is_empty() || name.starts_with('-') || name.chars().any(unfit) {
                return Err(format!("{name:?} is not a {what}"));
            }
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            identity: None,
            is_here: false,
        })
    }

    /// The agent on this machine.
    pub fn this_machine() -> Self {
        Self { user: None, host: "this machine".to_owned(), port: None, identity: None, is_here: true }
    }
}

fn unfit(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "/\\'\"`$;|&<>(){}[]".contains(c)
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
        match after.strip_prefix(':') {
            None if after.is_empty() => (host, None),
            None => return Err(format!("{after:?} after the bracket is not a port")),
            port => (host, port),
        }
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    match port.map(|port| (port, port.parse::<u16>())) {
        None => Ok((host, None)),
        Some((_, Ok(number))) if number > 0 => Ok((host, Some(number))),
        Some((port, _)) => Err(format!("{port:?} is not a port")),
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_read_as_ssh_reads_them() {
        for (text, user, host, port) in [
            ("home.example", None, "home.example", None),
            ("deploy@home.example", Some("deploy"), "home.example", None),
            ("deploy@127.0.0.1:2222", Some("deploy"), "127.0.0.1", Some(2222)),
            ("[::1]:22", None, "::1", Some(22)),
            ("::1", None, "::1", None),
            ("a@b@host", Some("a@b"), "host", None),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!((address.user.as_deref(), address.host.as_str(), address.port), (user, host, port));
        }
        for bad in [
            "",
            "@host",
            "user@",
            "host:",
            "host:0",
            "host:99999",
            "-oProxyCommand=x",
            "a b",
            "[::1",
            "ssh://host",
        ] {
            assert!(ServerAddress::parse(bad).is_err(), "{bad:?}");
        }
    }
}
