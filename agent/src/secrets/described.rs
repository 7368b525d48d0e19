//! How an app is described that has secrets and was not deployed yet, so that they can be listed.
//!
//! **Invariant**: what is kept comes from who may change the app's secrets: whoever may only look names no file.

use crate::agent::Agent;
use crate::answers::no_such_app;
use crate::failures;
use std::path::Path;
use wharf_access::Permit;
use wharf_proto::{AppName, AppSpec, Failure, FailureKind};

/// The largest description that is read.
const DESCRIPTION_BYTES: u64 = 4 * 1024 * 1024;

/// An app of which secrets are listed.
#[derive(Debug)]
pub struct Described {
    pub spec: AppSpec,
    pub path: String,
    /// Of the Compose files; the app's name, where there is none yet.
    pub project: String,
}

/// The app as it was deployed, or else as it was described when its secrets were set.
///
/// # Errors
/// It is neither, or the permit is not for it.
pub async fn of(agent: &Agent, permit: &Permit, app: &AppName) -> Result<Described, Failure> {
    if !permit.covers(app) {
        return Err(no_such_app(app));
    }
    if let Some(record) = agent.state.app(app).await.map_err(|e| failures::of_state(&e))? {
        return Ok(Described { spec: record.spec, path: record.path, project: record.project });
    }
    let file = agent.layout.before_first_deploy(app);
    let spec = failures::blocking(move || read(&file))
        .await?
        .ok_or_else(|| no_such_app(app).hint("or set its secrets before that: wharf secrets set KEY"))?;
    Ok(Described { path: spec.path.clone(), project: app.to_string(), spec })
}

/// `None`: there is none.
fn read(file: &Path) -> Result<Option<AppSpec>, Failure> {
    let text = match std::fs::metadata(file) {
        Ok(found) if found.len() > DESCRIPTION_BYTES => Err(std::io::ErrorKind::FileTooLarge.into()),
        Ok(_) => std::fs::read(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
    };
    let spec = text.and_then(|text| Ok(serde_json::from_slice(&text)?));
    spec.map(Some).map_err(|error| {
        Failure::new(FailureKind::Environment, format!("cannot read {}", file.display()))
            .cause(error.to_string())
            .hint("look at its rights; or have it written anew by setting a secret: wharf secrets set KEY")
    })
}

/// Keeps the description of an app, where it was not deployed yet.
///
/// # Errors
/// The state folder cannot be written to.
pub async fn keep(agent: &Agent, spec: &AppSpec) -> Result<(), Failure> {
    if agent.state.app(&spec.app).await.map_err(|e| failures::of_state(&e))?.is_some() {
        return Ok(());
    }
    let file = agent.layout.before_first_deploy(&spec.app);
    let text = serde_json::to_vec(spec).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    failures::blocking(move || {
        crate::recovery::replace(&file, &text).map_err(|error| {
            Failure::new(FailureKind::Environment, format!("cannot write {}", file.display()))
                .cause(error.to_string())
                .hint("look at the free space and the rights of the agent's state folder")
        })
    })
    .await
}

/// Drops the description of an app that is live: its release says how it is.
pub async fn forget(agent: &Agent, app: &AppName) {
    let file = agent.layout.before_first_deploy(app);
    match tokio::fs::remove_file(&file).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(file = %file.display(), %error, "what nobody reads any more is left");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_cannot_be_read_is_none_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("before-first-deploy.json");
        assert_eq!(read(&file), Ok(None));
        std::fs::write(&file, "{}").unwrap();
        assert_eq!(read(&file).unwrap_err().kind, FailureKind::Environment);
        std::fs::File::create(&file).unwrap().set_len(DESCRIPTION_BYTES + 1).unwrap();
        assert_eq!(read(&file).unwrap_err().kind, FailureKind::Environment);
    }
}
