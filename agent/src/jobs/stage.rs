//! The next tree, whole, beside the app directory: what Compose resolves and images are built from.

use super::env_change::{self, EnvChange};
use super::files::Owner;
use crate::failures;
use crate::layout::Beside;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use wharf_proto::{Failure, FailureKind, Manifest};
use wharf_state::BlobStore;

/// Writes the stage out of the content store. Env files that only the server has are linked into it, since Compose looks
/// for a service's `env_file` beside the Compose file.
///
/// # Errors
/// No space, no rights, content that is missing.
pub async fn make(
    blobs: &BlobStore,
    manifest: &Manifest,
    env: Option<&EnvChange>,
    beside: &Beside,
) -> Result<(), Failure> {
    clear(beside).await?;
    let (blobs, manifest, env, beside) = (blobs.clone(), manifest.clone(), env.cloned(), beside.clone());
    failures::blocking(move || {
        check_app_dir(&beside.app_dir)?;
        let stage = beside.stage();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(beside.own())
            .map_err(|e| cannot("make", beside.own(), &e))?;
        blobs.materialise(&manifest, &stage, None).map_err(|e| failures::of_blobs(&e))?;
        if let Some(change) = &env {
            // First, so that the one that is in place is not linked instead.
            env_change::stage(change, &beside)
                .and_then(|()| link_changed(change, &beside, &stage))
                .map_err(|e| cannot("write the env file beside", &beside.app_dir, &e))?;
        }
        link_env_files(&stage, &beside.app_dir).map_err(|e| cannot("link the env files into", &stage, &e))
    })
    .await
}

/// Removes everything that a job has beside the app directory.
///
/// # Errors
/// Something in there cannot be removed.
pub async fn clear(beside: &Beside) -> Result<(), Failure> {
    let beside = beside.clone();
    failures::blocking(move || {
        for folder in beside.folders() {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(cannot("remove", folder, &error));
                }
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

fn check_app_dir(app_dir: &Path) -> Result<(), Failure> {
    let parent = app_dir.parent().unwrap_or(app_dir);
    if !parent.is_dir() {
        let text = format!("the folder {} does not exist on the server", parent.display());
        return Err(Failure::new(FailureKind::Config, text)
            .hint(format!("make it: mkdir -p {}", parent.display()))
            .hint("or set another path under [server] in wharf.toml"));
    }
    if fs::symlink_metadata(app_dir).is_ok_and(|found| !found.is_dir()) {
        let text = format!("{} is not a folder on the server", app_dir.display());
        return Err(Failure::new(FailureKind::Config, text)
            .hint("set path under [server] in wharf.toml to the app directory itself, not to a link"));
    }
    Owner::of(app_dir).map(|_| ()).map_err(|e| Failure::from_error(FailureKind::Environment, &e))
}

fn link_env_files(stage: &Path, app_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(stage)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            link_env_files(&entry.path(), &app_dir.join(entry.file_name()))?;
        }
    }
    let Ok(there) = fs::read_dir(app_dir) else { return Ok(()) };
    for entry in there {
        let entry = entry?;
        let name = entry.file_name();
        let staged = stage.join(&name);
        if is_env_file(&name.to_string_lossy())
            && entry.path().is_file()
            && fs::symlink_metadata(&staged).is_err()
        {
            std::os::unix::fs::symlink(entry.path(), staged)?;
        }
    }
    Ok(())
}

/// Links the changed env file to where the one in place would be, unless the release ships a file there.
fn link_changed(change: &EnvChange, beside: &Beside, stage: &Path) -> io::Result<()> {
    let staged = change.path.below(stage);
    if let Some(folder) = staged.parent() {
        fs::create_dir_all(folder)?;
    }
    match std::os::unix::fs::symlink(beside.next_env(), staged) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn is_env_file(name: &str) -> bool {
    name == ".env" || name.starts_with(".env.") || name.ends_with(".env")
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Environment, format!("cannot {verb} {}", path.display()))
        .cause(error.to_string())
        .hint("look at the free space and the rights of that folder on the server")
}
