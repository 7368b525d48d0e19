//! Registry logins, as `docker login` keeps them in `~/.docker/config.json`.

use base64::Engine as _;
use std::path::{Path, PathBuf};

/// A config file is small; a larger one is not read.
const CONFIG_BYTES: u64 = 1024 * 1024;
/// The key under which `docker login` keeps Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// A login. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub username: String,
    pub password: String,
    pub identity_token: Option<String>,
}

/// The login for a registry's host (`docker.io`, `registry.example:5000`), where there is one.
pub(crate) fn login(host: &str) -> Option<Login> {
    login_in(&config_file()?, host)
}

/// The registry of an image's name.
pub(crate) fn host_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

fn config_file() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/config.json"))
}

fn login_in(file: &Path, host: &str) -> Option<Login> {
    if std::fs::metadata(file).ok()?.len() > CONFIG_BYTES {
        return None;
    }
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let auths = config.get("auths")?.as_object()?;
    let is_hub = matches!(host, "docker.io" | "registry-1.docker.io" | "index.docker.io");
    let entry = auths.iter().find(|(key, _)| {
        let bare = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        if is_hub { key.as_str() == HUB_KEY } else { bare == host }
    });
    let entry = entry?.1;
    let text = |key: &str| entry.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let decoded = text("auth").and_then(|auth| base64::engine::general_purpose::STANDARD.decode(auth).ok());
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = pair
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map(|(name, password)| (name.to_owned(), password.trim_end_matches('\0').to_owned()))
        .or_else(|| text("username").zip(text("password")))
        .unwrap_or_default();
    let identity_token = text("identitytoken").filter(|token| !token.is_empty());
    (!username.is_empty() || identity_token.is_some()).then_some(Login { username, password, identity_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_its_registry() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        std::fs::write(
            &file,
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpiOmM="},"reg.example:5000":{"auth":"dTpw"}}}"#,
        )
        .unwrap();
        let found = |host| login_in(&file, host).map(|login| (login.username, login.password));
        assert_eq!(found("docker.io"), Some(("a".into(), "b:c".into())));
        assert_eq!(found("registry-1.docker.io"), found("docker.io"));
        assert_eq!(found("reg.example:5000"), Some(("u".into(), "p".into())));
        assert_eq!(found("reg.example"), None);
    }

    #[test]
    fn the_registry_is_part_of_the_name() {
        assert_eq!(host_of("postgres:17"), "docker.io");
        assert_eq!(host_of("team/app:1"), "docker.io");
        assert_eq!(host_of("localhost/app"), "localhost");
        assert_eq!(host_of("reg.example:5000/a/b"), "reg.example:5000");
    }
}
