//! Logins to registries: those that the agent keeps, and those that `docker login` left its user.
//!
//! The agent's own are in its state folder, and not in the `~/.docker/config.json` of its user: that file is a person's, may
//! lead to a credential store that answers only that person, and may be on a disk that the agent must not write to.
//!
//! **Invariants**
//! - No login is printed, and none is on a command line: children get a folder that only root can read.
//! - Files are replaced whole, for their owner alone, by one at a time.
//! - `config.json` holds no login that `logins.json` does not: it is removed before one is dropped.

mod docker_config;
mod file;
mod verify;

pub use file::RegistryError;
pub use verify::LoginError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The key under which `docker login` keeps Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How an image's name calls it.
const HUB: &str = "docker.io";

/// A login. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
    pub identity_token: Option<String>,
}

/// Where logins are looked for.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    folder: Option<Arc<PathBuf>>,
    /// Who reads the logins to write something after them has them for itself.
    turn: Arc<Mutex<()>>,
}

impl Logins {
    /// The agent's own in `folder`, before those of `docker login`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: Some(Arc::new(folder.to_owned())), turn: Arc::default() }
    }

    /// The login for a registry's host (`docker.io`, `registry.example:5000`), where there is one.
    pub(crate) fn find(&self, host: &str) -> Option<Login> {
        let own = self.own().ok().and_then(|own| login_in(&own, host));
        own.or_else(|| login_in(&file::read(&users_config()?).ok()??, host))
    }

    /// The hosts that the agent itself has a login for, with the users' names.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn list(&self) -> Result<Vec<(String, String)>, RegistryError> {
        let own = self.own()?;
        let auths = own.get("auths").and_then(Value::as_object);
        let entries = auths.into_iter().flatten();
        Ok(entries
            .map(|(key, entry)| {
                let host = if key == HUB_KEY { HUB } else { key };
                (host.to_owned(), login_of(entry).map(|login| login.username).unwrap_or_default())
            })
            .collect())
    }

    /// Keeps a login, in place of the one that was there for the host.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn keep(&self, host: &str, login: &Login) -> Result<(), RegistryError> {
        let _turn = self.turn();
        let mut own = self.own()?;
        let mut entry = json!({ "auth": STANDARD.encode(format!("{}:{}", login.username, login.password)) });
        if let (Some(token), Some(entry)) = (&login.identity_token, entry.as_object_mut()) {
            entry.insert("auth".into(), STANDARD.encode(format!("{}:", login.username)).into());
            entry.insert("identitytoken".into(), token.clone().into());
        }
        if let Some(auths) = auths_of(&mut own) {
            auths.insert(key(host).to_owned(), entry);
        }
        self.replace(&own)
    }

    /// Drops a login; the name of its user, where there was one.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn drop_login(&self, host: &str) -> Result<Option<String>, RegistryError> {
        let _turn = self.turn();
        let mut own = self.own()?;
        let gone = auths_of(&mut own).and_then(|auths| auths.remove(key(host)));
        let Some(gone) = gone else { return Ok(None) };
        self.replace(&own)?;
        Ok(Some(login_of(&gone).map(|login| login.username).unwrap_or_default()))
    }

    /// The folder that a child of the agent's is to take as Docker's configuration: what the agent's user has there, with
    /// the agent's own logins. `None` where the agent has none: then the user's own holds.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn docker_config(&self) -> Result<Option<PathBuf>, RegistryError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let _turn = self.turn();
        let own = self.own()?;
        let config = folder.join("config.json");
        if own.get("auths").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
            // One that was written while there were logins would keep them for whoever reads the folder.
            file::remove(&config)?;
            return Ok(None);
        }
        let users = users_config();
        let theirs = users.as_deref().map(file::read).transpose().ok().flatten().flatten();
        let home = users.as_deref().and_then(Path::parent);
        let merged = docker_config::merged(theirs.unwrap_or_else(|| json!({})), &own, home);
        file::replace(&config, &merged)?;
        Ok(Some(folder.as_path().to_owned()))
    }

    fn own(&self) -> Result<Value, RegistryError> {
        let Some(folder) = &self.folder else { return Ok(json!({})) };
        Ok(file::read(&folder.join("logins.json"))?.unwrap_or_else(|| json!({})))
    }

    fn replace(&self, own: &Value) -> Result<(), RegistryError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        // What children read of it goes first: a crash in between leaves no login behind that is dropped.
        file::remove(&folder.join("config.json"))?;
        file::replace(&folder.join("logins.json"), own)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // It guards files, each of which is replaced whole.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn auths_of(config: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let auths = config.as_object_mut()?.entry("auths").or_insert_with(|| json!({}));
    auths.as_object_mut()
}

/// The registry of an image's name.
pub(crate) fn host_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

fn is_hub(host: &str) -> bool {
    matches!(host, HUB | "registry-1.docker.io" | "index.docker.io")
}

/// Under which a login for the host is kept.
fn key(host: &str) -> &str {
    if is_hub(host) { HUB_KEY } else { host }
}

fn users_config() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/config.json"))
}

fn login_in(config: &Value, host: &str) -> Option<Login> {
    let auths = config.get("auths")?.as_object()?;
    let entry = auths.iter().find(|(name, _)| {
        let bare = name.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        if is_hub(host) { name.as_str() == HUB_KEY } else { bare == host }
    });
    login_of(entry?.1)
}

fn login_of(entry: &Value) -> Option<Login> {
    let text = |key: &str| entry.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let decoded = text("auth").and_then(|auth| STANDARD.decode(auth).ok());
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
        let config = json!({"auths": {
            "https://index.docker.io/v1/": {"auth": "YTpiOmM="},
            "reg.example:5000": {"auth": "dTpw"},
        }});
        let found = |host| login_in(&config, host).map(|login| (login.username, login.password));
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

    #[test]
    fn a_login_is_kept_for_its_owner_alone_and_dropped() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("docker");
        let logins = Logins::in_folder(&folder);
        assert_eq!((logins.list().unwrap(), logins.docker_config().unwrap()), (vec![], None));
        let login = |password: &str, token: Option<&str>| Login {
            username: "ada".into(),
            password: password.into(),
            identity_token: token.map(str::to_owned),
        };
        logins.keep("reg.example:5000", &login("p:ä", None)).unwrap();
        logins.keep("docker.io", &login("unused", Some("token"))).unwrap();
        logins.keep("reg.example:5000", &login("other", None)).unwrap();
        let listed = [("docker.io", "ada"), ("reg.example:5000", "ada")];
        let listed = listed.map(|(host, user)| (host.to_owned(), user.to_owned()));
        assert_eq!(logins.list().unwrap(), listed);
        assert!(logins.find("reg.example:5000") == Some(login("other", None)));
        let hub = logins.find("index.docker.io").unwrap();
        assert_eq!((hub.password.as_str(), hub.identity_token.as_deref()), ("", Some("token")));
        assert_eq!(logins.docker_config().unwrap(), Some(folder.clone()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("logins.json"))), (0o700, 0o600));
        assert_eq!(mode(&folder.join("config.json")), 0o600);
        assert_eq!(logins.drop_login("nowhere.example").unwrap(), None);
        assert_eq!(logins.drop_login("docker.io").unwrap(), Some("ada".into()));
        assert!(!folder.join("config.json").exists(), "what children read goes with it");
        assert_eq!(logins.drop_login("reg.example:5000").unwrap(), Some("ada".into()));
        std::fs::write(folder.join("config.json"), "{}").unwrap();
        assert_eq!(logins.docker_config().unwrap(), None);
        assert!(!folder.join("config.json").exists(), "what an earlier agent left goes too");
    }

    #[test]
    fn logins_that_are_kept_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let logins = Logins::in_folder(&dir.path().join("docker"));
        let login = Login { username: "ada".into(), password: "p".into(), identity_token: None };
        std::thread::scope(|threads| {
            for host in 0..8 {
                let (logins, login) = (logins.clone(), &login);
                threads.spawn(move || logins.keep(&format!("r{host}.example"), login).unwrap());
            }
        });
        assert_eq!(logins.list().unwrap().len(), 8);
    }
}
