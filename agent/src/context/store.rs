//! Our context as Docker stores it, with the note of what was before.

use super::error::ContextError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The key in a context's metadata by which we know our own.
const OURS: &str = "WharfGuard";
/// What a note may name as made by us, within Docker's folder; folders before what is in them.
const MAKEABLE: [&str; 4] = ["", "contexts", "contexts/meta", CONFIG];
pub const CONFIG: &str = "config.json";

/// What was there before the guard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// The current context; `None` is Docker's default.
    pub current: Option<String>,
    /// What of [`MAKEABLE`] was not there.
    pub made: Vec<&'static str>,
}

/// A context of the name that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    Ours {
        socket: String,
        before: Before,
    },
    /// Somebody else's, or one that cannot be read.
    Foreign,
}

/// Where Docker keeps a context of that name.
pub fn folder(docker: &Path, name: &str) -> PathBuf {
    docker.join("contexts/meta").join(hex::encode(Sha256::digest(name)))
}

/// What of [`MAKEABLE`] is not there yet.
pub fn missing(docker: &Path) -> Vec<&'static str> {
    MAKEABLE.into_iter().filter(|path| docker.join(path).symlink_metadata().is_err()).collect()
}

pub fn read(text: &str) -> Stored {
    ours(text).unwrap_or(Stored::Foreign)
}

fn ours(text: &str) -> Option<Stored> {
    let meta: Value = serde_json::from_str(text).ok()?;
    let note = meta.get("Metadata")?.get(OURS)?;
    let socket = meta.get("Endpoints")?.get("docker")?.get("Host")?.as_str()?.strip_prefix("unix://")?;
    let made = note.get("made").and_then(Value::as_array).cloned().unwrap_or_default();
    let made = MAKEABLE.into_iter().filter(|path| made.iter().any(|said| said == path)).collect();
    let current = note.get("before").and_then(Value::as_str).map(str::to_owned);
    Some(Stored::Ours { socket: socket.to_owned(), before: Before { current, made } })
}

pub fn write(name: &str, socket: &Path, before: &Before) -> Result<String, ContextError> {
    let Some(path) = socket.to_str().filter(|_| socket.is_absolute()) else {
        return Err(ContextError::Socket { path: socket.to_owned() });
    };
    let meta = json!({
        "Name": name,
        "Metadata": {
            "Description": "Docker behind Wharf's guard: everything but what deletes volumes",
            OURS: { "before": before.current, "made": before.made },
        },
        "Endpoints": { "docker": { "Host": format!("unix://{path}"), "SkipTLSVerify": false } },
    });
    Ok(meta.to_string())
}

/// As Docker has it, but for `default`, which is nobody's.
pub fn check_name(name: &str) -> Result<(), ContextError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let good = first && name.len() >= 2 && name.len() <= 128 && name.chars().all(fits) && name != "default";
    if good { Ok(()) } else { Err(ContextError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_known_again_and_nothing_else_is() {
        let before = Before { current: Some("desk".into()), made: vec!["contexts", CONFIG] };
        let text = write("wharf-guard", Path::new("/run/wharf/docker.sock"), &before).unwrap();
        assert_eq!(read(&text), Stored::Ours { socket: "/run/wharf/docker.sock".into(), before });
        for foreign in [
            "",
            "{}",
            r#"{"Name":"wharf-guard","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/wharf/docker.sock"}}}"#,
            &text.replace("unix://", "tcp://"),
        ] {
            assert_eq!(read(foreign), Stored::Foreign, "{foreign}");
        }
        let made = text.replace("\"contexts\"", "\"../..\"");
        assert!(matches!(read(&made), Stored::Ours { before, .. } if before.made == [CONFIG]));
        assert!(write("wharf-guard", Path::new("docker.sock"), &Before::default()).is_err());
    }

    #[test]
    fn names_are_dockers() {
        for good in ["wharf-guard", "a1", "A.b_c+d"] {
            check_name(good).unwrap();
        }
        for bad in ["", "a", "default", "-a", "a/b", "a b", "é1"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
