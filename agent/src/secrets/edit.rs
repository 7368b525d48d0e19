//! The new content of an env file, proven by Compose before anything is replaced.
//!
//! **Invariant**: every key that was to be set is read back as exactly its value, or the change is refused.

use super::scratch::Scratch;
use crate::agent::Agent;
use crate::jobs::compose;
use crate::jobs::env_change::EnvChange;
use crate::jobs::queue::Seat;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wharf_engine::Supervisor;
use wharf_plan::env_file::{EnvFile, EnvFileError};
use wharf_proto::secret::SecretChange;
use wharf_proto::{AppSpec, Failure, FailureKind};

/// The largest env file, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// An edited env file.
pub struct Edited {
    pub change: EnvChange,
    /// What Compose reads in it. Secrets.
    pub values: BTreeMap<String, String>,
    /// Whether there was a file before.
    pub was_there: bool,
}

/// Makes the changes on a copy.
///
/// # Errors
/// No env file is configured; a file, a name or a value that cannot be read or written so that Compose reads it exactly.
pub async fn edit(
    agent: &Agent,
    spec: &AppSpec,
    request: &SecretChange,
    seat: &Seat,
) -> Result<Edited, Failure> {
    let path = spec.compose.env_file.clone().ok_or_else(no_env_file)?;
    let place = path.below(Path::new(&spec.path));
    let before = read(&place)?;
    let scratch = Scratch::make(&agent.layout.app(&spec.app))?;
    let reader = Reader { agent, spec, seat, scratch: &scratch };
    let values_before = match &before {
        Some(file) => reader.values(file).await?,
        None => BTreeMap::new(),
    };
    let wanted = wanted(&reader, request).await?;
    let mut file = before.clone().map_or_else(|| EnvFile::parse(""), Ok).map_err(|e| refused(&e))?;
    for (key, value) in &wanted {
        // One that has the value already keeps the way that it is written in.
        if values_before.get(key) != Some(value) {
            file.set(key, value).map_err(|e| refused(&e))?;
        }
    }
    for key in &request.unset {
        if !file.unset(key) && !values_before.contains_key(key) {
            return Err(Failure::new(FailureKind::NotFound, format!("{key} is not in {}", place.display()))
                .hint("see what is: wharf secrets list"));
        }
    }
    let values = reader.values(&file).await?;
    for (key, value) in &wanted {
        if values.get(key) != Some(value) {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("the value of {key} cannot be kept exactly"),
            )
            .cause("Compose would read another value from the env file than the one that was given")
            .hint("choose a value of letters, digits and simple punctuation"));
        }
    }
    let changed = changed(&values_before, &values);
    Ok(Edited { change: EnvChange { path, file, changed }, values, was_there: before.is_some() })
}

/// What Compose reads in the env file as it is.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn values_in_place(
    agent: &Agent,
    spec: &AppSpec,
    seat: &Seat,
) -> Result<BTreeMap<String, String>, Failure> {
    values(agent, spec, Some(&seat.supervisor)).await
}

/// As [`values_in_place`], also for who has no seat.
///
/// # Errors
/// As there.
pub async fn values(
    agent: &Agent,
    spec: &AppSpec,
    supervisor: Option<&Arc<Supervisor>>,
) -> Result<BTreeMap<String, String>, Failure> {
    let path = spec.compose.env_file.clone().ok_or_else(no_env_file)?;
    let scratch = Scratch::make(&agent.layout.app(&spec.app))?;
    let place = path.below(Path::new(&spec.path));
    compose::read_env(agent, spec, &place, scratch.path(), supervisor).await
}

/// What every key that is set, one by one or by a whole file, is to be.
async fn wanted(reader: &Reader<'_>, request: &SecretChange) -> Result<BTreeMap<String, String>, Failure> {
    let mut wanted = BTreeMap::new();
    if let Some(import) = &request.import {
        let file = EnvFile::parse(import.expose()).map_err(|e| refused(&e))?;
        let keys = file.keys();
        let mut values = reader.values(&file).await?;
        // Compose adds nothing of its own, but what it were to add is not the file's.
        values.retain(|key, _| keys.contains(key));
        wanted.extend(values);
    }
    wanted.extend(request.set.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())));
    Ok(wanted)
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeSet<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// Has Compose read texts.
struct Reader<'a> {
    agent: &'a Agent,
    spec: &'a AppSpec,
    seat: &'a Seat,
    scratch: &'a Scratch,
}

impl Reader<'_> {
    async fn values(&self, file: &EnvFile) -> Result<BTreeMap<String, String>, Failure> {
        let path: PathBuf = self.scratch.path().join("env");
        std::fs::write(&path, file.text()).map_err(|error| {
            Failure::new(FailureKind::Environment, format!("cannot write {}", path.display()))
                .cause(error.to_string())
                .hint("look at the free space of the agent's state folder")
        })?;
        let supervisor = Some(&self.seat.supervisor);
        compose::read_env(self.agent, self.spec, &path, self.scratch.path(), supervisor).await
    }
}

/// The file in its place; `None`: there is none yet.
fn read(place: &Path) -> Result<Option<EnvFile>, Failure> {
    let cannot = |cause: String| {
        Failure::new(FailureKind::Environment, format!("cannot edit {}", place.display())).cause(cause)
    };
    let found = match std::fs::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error.to_string())),
        Ok(found) => found,
    };
    if !found.is_file() {
        return Err(cannot("it is a link or something else than a file".into())
            .hint("edit what it leads to by hand, or put a file in its place"));
    }
    if found.len() > FILE_BYTES {
        return Err(cannot(format!("it is larger than {FILE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(place).map_err(|error| cannot(error.to_string()))?;
    EnvFile::parse(text)
        .map(Some)
        .map_err(|error| cannot(error.to_string()).hint("correct that line by hand"))
}

fn no_env_file() -> Failure {
    Failure::new(FailureKind::Config, "the app has no env file to keep secrets in")
        .hint("set env_file under [compose] in wharf.toml, for example env_file = \".env.prod\"")
}

fn refused(error: &EnvFileError) -> Failure {
    let kind = match error {
        EnvFileError::Name { .. } | EnvFileError::Line { .. } => FailureKind::Config,
        EnvFileError::Value { .. } => FailureKind::Refused,
    };
    Failure::from_error(kind, error).hint("nothing was changed")
}
