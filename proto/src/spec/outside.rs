//! A PostgreSQL that is no service of the stack.

use super::SpecProblem;
use serde::{Deserialize, Serialize};

/// The longest name of a key, an image or a network.
const NAME_BYTES: usize = 255;

/// Where it is, and with which programs it is asked: a managed one, one of the server's own, one of another project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideSpec {
    /// The key of the env file whose value is the database's URL.
    pub url_env: String,
    /// The image whose programs dump and restore it; at least as new as the server.
    pub image: String,
    /// The Docker network that its host is reached from; `None`: the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl OutsideSpec {
    /// What is wrong with the names, if anything is.
    pub fn problem(&self) -> Option<SpecProblem> {
        let Self { url_env, image, network } = self;
        let word = |text: &str, more: &[u8]| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || more.contains(&b);
            let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
            begins && text.len() <= NAME_BYTES && text.bytes().all(allowed)
        };
        let is_key = word(url_env, b"") && !url_env.starts_with(|c: char| c.is_ascii_digit());
        let problem = |key, text: &str, what: &str, instead| {
            Some(SpecProblem { key, message: format!("{text:?} is not {what}"), instead })
        };
        if !is_key {
            // What stands there may be the URL itself: it is not said again.
            let message = "it is not the name of a key of the env file".to_owned();
            let instead =
                "write the key, and the URL to the env file on the server: url_env = \"DATABASE_URL\"";
            return Some(SpecProblem { key: "postgres.url_env", message, instead });
        }
        if !word(image, b".-/:@") {
            return problem(
                "postgres.image",
                image,
                "an image",
                "write for example: image = \"postgres:17\"",
            );
        }
        // These are Docker's own words, for what an app's database is not reached through.
        let network_is_one =
            |name: &String| word(name, b".-") && !matches!(name.as_str(), "none" | "host" | "default");
        match network {
            Some(network) if !network_is_one(network) => problem(
                "postgres.network",
                network,
                "a Docker network of a name",
                "write one of `docker network ls`, or leave it out for the server's own network",
            ),
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        let of = |url_env: &str, image: &str, network: Option<&str>| {
            let network = network.map(str::to_owned);
            OutsideSpec { url_env: url_env.into(), image: image.into(), network }.problem()
        };
        for image in ["postgres:17", "registry.example:5000/pg/postgres@sha256:abc", "pgvector/pgvector:pg17"]
        {
            assert_eq!(of("DATABASE_URL", image, None), None);
        }
        assert_eq!(of("_u1", "p", Some("other_default")), None);
        for (url_env, image, network, key) in [
            ("postgres://a:hunter2@h/d", "p", None, "postgres.url_env"),
            ("1A", "p", None, "postgres.url_env"),
            ("", "p", None, "postgres.url_env"),
            ("A", "", None, "postgres.image"),
            ("A", "--privileged", None, "postgres.image"),
            ("A", "p q", None, "postgres.image"),
            ("A", "p", Some("host"), "postgres.network"),
            ("A", "p", Some("container:x"), "postgres.network"),
            ("A", "p", Some(""), "postgres.network"),
        ] {
            let problem = of(url_env, image, network).expect(key);
            assert_eq!(problem.key, key);
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }
}
