//! Logins to registries, kept by the agent.

use crate::secret::SecretValue;
use serde::{Deserialize, Serialize};

/// The longest name of a registry's host, with its port.
pub const HOST_BYTES: usize = 260;
/// The longest password or token: the keys of some clouds are a few thousand bytes.
pub const PASSWORD_BYTES: usize = 16 * 1024;
/// The longest name of a user.
pub const USER_BYTES: usize = 255;

/// A login that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryLogin {
    /// As the names of its images begin: `registry.example:5000`; Docker Hub: `docker.io`.
    pub host: String,
    pub user: String,
    /// Or a token in its place.
    pub password: SecretValue,
}

/// A login that the agent has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryInfo {
    pub host: String,
    pub user: String,
}

/// The host as it is kept; `None` for what no image's name begins with.
pub fn host(text: &str) -> Option<String> {
    let host = text.to_ascii_lowercase();
    if matches!(host.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        return Some("docker.io".to_owned());
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) => port.parse::<u16>().ok().filter(|port| *port > 0).map(|_| name)?,
        None => host.as_str(),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let named = !name.is_empty() && name.chars().all(plain) && !name.starts_with(['.', '-']);
    // Without one of these, Docker reads it as the first part of a name on Docker Hub.
    let is_host = host.contains(['.', ':']) || host == "localhost";
    (named && is_host && host.len() <= HOST_BYTES).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_an_images_name_can_begin_with() {
        for (text, expected) in [
            ("registry.example", Some("registry.example")),
            ("Registry.Example:5000", Some("registry.example:5000")),
            ("localhost", Some("localhost")),
            ("myserver:5000", Some("myserver:5000")),
            ("127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("index.docker.io", Some("docker.io")),
            ("docker.io", Some("docker.io")),
            ("myserver", None),
            ("https://registry.example", None),
            ("registry.example/team", None),
            ("registry.example:", None),
            ("registry.example:0", None),
            ("registry.example:70000", None),
            ("user@registry.example", None),
            (":5000", None),
            ("-x.example", None),
            ("a b.example", None),
            ("", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(host(&format!("{}.example", "a".repeat(HOST_BYTES))), None);
    }
}
