//! Who may connect on the agent's own socket, besides root and the agent's user: `[[socket]]`.

use crate::passwd;
use serde::Deserialize;
use wharf_access::Grant;
use wharf_proto::{AppName, Apps, Role};

/// The most that a user of the server may do on the agent's socket, and so the keys that come in through that user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketRule {
    /// By name, by number, or by both; then both must agree.
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    uid: Option<u32>,
    role: Role,
    /// `["*"]`: all.
    apps: Vec<AppOrAll>,
}

/// A name, or `*`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum AppOrAll {
    App(AppName),
    All(Star),
}

/// `*`.
#[derive(Debug, Clone, Deserialize)]
enum Star {
    #[serde(rename = "*")]
    Star,
}

impl SocketRule {
    /// Whether it is about the user `uid`.
    pub fn is_for(&self, uid: u32) -> bool {
        let named = self.user.as_deref().and_then(passwd::by_name).map(|user| user.uid);
        match (self.uid, &self.user) {
            (Some(number), None) => number == uid,
            (None, Some(_)) => named == Some(uid),
            (Some(number), Some(_)) => number == uid && named == Some(uid),
            (None, None) => false,
        }
    }

    /// What it allows.
    pub fn grant(&self) -> Grant {
        let name = |app: &AppOrAll| match app {
            AppOrAll::App(name) => Some(name.clone()),
            AppOrAll::All(Star::Star) => None,
        };
        let apps = self.apps.iter().map(name).collect::<Option<_>>().map_or(Apps::All, Apps::Named);
        Grant { role: self.role, apps }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use wharf_access::Grant;
    use wharf_proto::{Apps, Role};

    #[test]
    fn the_socket_is_for_root_and_whom_the_file_names() {
        let text = "[[socket]]\nuid = 4242\nrole = \"deploy\"\napps = [\"blog\"]\n\
            [[socket]]\nuid = 4242\nrole = \"admin\"\napps = [\"*\"]\n\
            [[socket]]\nuid = 4343\nrole = \"admin\"\napps = [\"*\"]\n\
            [[socket]]\nuser = \"nobody-of-that-name\"\nuid = 4444\nrole = \"admin\"\napps = [\"*\"]\n\
            [[socket]]\nrole = \"admin\"\napps = []\n";
        let config: Config = toml::from_str(text).unwrap();
        let blog = Grant { role: Role::Deploy, apps: Apps::one("blog".parse().unwrap()) };
        assert_eq!(config.most_of(0), Some(Grant::everything()));
        assert_eq!(config.most_of(4242), Some(blog));
        assert_eq!(config.most_of(4343), Some(Grant::everything()));
        assert_eq!((config.most_of(4444), config.most_of(4545)), (None, None));
        for wrong in ["role = \"root\"\napps = []", "role = \"read\"", "role = \"read\"\napps = [\"../x\"]"] {
            let text = format!("[[socket]]\nuid = 1\n{wrong}\n");
            assert!(toml::from_str::<Config>(&text).is_err(), "{wrong}");
        }
    }
}
