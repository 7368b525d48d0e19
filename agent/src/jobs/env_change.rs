//! A change of the env file as part of a job: planned beside it, put in its place by `apply`, put back with the rest.
//!
//! **Invariant**: the new content lies in the job's own folder (mode 0700) and in the app directory, and nowhere else; it
//! is in no record, event or error.

use super::files;
use super::run::Job;
use super::undo::Undo;
use crate::failures;
use crate::layout::Beside;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wharf_plan::env_file::EnvFile;
use wharf_proto::{AppSpec, Failure, FailureKind, RelPath};

/// What the env file is to hold.
#[derive(Debug, Clone)]
pub struct EnvChange {
    /// Below the app directory.
    pub path: RelPath,
    pub file: EnvFile,
    /// The keys whose values are others now, or that are gone.
    pub changed: BTreeSet<String>,
}

/// Where a job plans with the env file from: the changed one, where the job changes it.
pub fn env_file_of(spec: &AppSpec, beside: &Beside) -> Option<PathBuf> {
    let path = spec.compose.env_file.as_ref()?;
    let next = beside.next_env();
    Some(if next.is_file() { next } else { path.below(Path::new(&spec.path)) })
}

/// Writes the changed file beside the app directory, for the plan and for [`replace`].
///
/// # Errors
/// No space, no rights.
pub fn stage(change: &EnvChange, beside: &Beside) -> std::io::Result<()> {
    write_private(&beside.next_env(), &change.file)
}

/// Puts the changed file in its place, with the mode and the owner of the one that it replaces.
///
/// # Errors
/// No file to replace; no space, no rights. What was done is in the journal.
pub async fn replace(job: &Job, change: &EnvChange) -> Result<(), Failure> {
    let environment = |error: files::FilesError| Failure::from_error(FailureKind::Environment, &error);
    let (path, beside) = (change.path.clone(), job.beside.clone());
    let keep = move || files::keep_single(&path, &beside).map_err(environment);
    let undo = failures::blocking(keep).await?;
    job.agent.state.record_undo(job.id, [Undo::File(undo)]).await.map_err(|e| failures::of_state(&e))?;
    let (path, beside) = (change.path.clone(), job.beside.clone());
    let put = move || files::replace_single(&path, &beside.next_env(), &beside).map_err(environment);
    failures::blocking(put).await
}

/// Writes the file where nothing runs that would have to be made anew: whole or not at all, mode 0600.
///
/// # Errors
/// No space, no rights.
pub fn write_in_place(app_dir: &Path, path: &RelPath, file: &EnvFile) -> Result<(), Failure> {
    let place = path.below(app_dir);
    let fresh = place.with_file_name(format!(".wharf-env-{}", std::process::id()));
    let written = std::fs::create_dir_all(place.parent().unwrap_or(app_dir))
        .and_then(|()| write_private(&fresh, file))
        .and_then(|()| files::take_after(&fresh, &place))
        .and_then(|()| std::fs::rename(&fresh, &place))
        .and_then(|()| std::fs::File::open(place.parent().unwrap_or(app_dir))?.sync_all());
    written.map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        Failure::new(FailureKind::Environment, format!("cannot write {}", place.display()))
            .cause(error.to_string())
            .hint("look at the free space and the rights of that folder on the server")
    })
}

fn write_private(path: &Path, file: &EnvFile) -> std::io::Result<()> {
    // A leftover of an agent that was killed.
    let _ = std::fs::remove_file(path);
    let mut out = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    out.write_all(file.text().as_bytes())?;
    out.sync_all()
}
