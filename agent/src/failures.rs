//! Errors of the domains, as people are told them: the one place where blame is assigned.

use wharf_proto::{Failure, FailureKind, JobId};

/// Runs what touches the disk off the runtime's threads.
///
/// # Errors
/// What `work` failed with, or that it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(Failure::from_error(FailureKind::Internal, &panic)),
    }
}

pub fn of_state(error: &wharf_state::StateError) -> Failure {
    if let wharf_state::StateError::Locked { app, lock } = error {
        return crate::locks::keeps_back(app, lock);
    }
    Failure::from_error(FailureKind::Environment, error)
        .hint("look at the agent's log and the disk of its state folder")
}

pub fn of_blobs(error: &wharf_state::BlobError) -> Failure {
    use wharf_state::BlobError as E;
    let from_client = matches!(
        error,
        E::NotAZip(_)
            | E::PackTooLong(_)
            | E::Unpack { .. }
            | E::Name { .. }
            | E::Unwanted { .. }
            | E::TooLong { .. }
            | E::WrongDigest { .. }
    );
    if from_client {
        return Failure::from_error(FailureKind::Unsupported, error)
            .hint("deploy again; if it comes back, use a wharf and a wharfd of the same version");
    }
    Failure::from_error(FailureKind::Environment, error)
        .hint("deploy again; if it comes back, look at the disk of the agent's state folder")
}

pub fn of_events(error: &wharf_state::EventError, job: JobId) -> Failure {
    match error {
        wharf_state::EventError::NoSuchLog { .. } => no_such_job(job),
        _ => Failure::from_error(FailureKind::Environment, error),
    }
}

pub fn no_such_job(job: JobId) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no job {job}")).hint("list them: wharf jobs")
}

pub fn of_engine(error: &wharf_engine::EngineError) -> Failure {
    Failure::from_error(FailureKind::Environment, error)
        .hint("see whether Docker runs on the server: docker info")
}

/// An error and what lies behind it, a line each. Some errors say their cause themselves: it is not said again.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told += &format!("\n  because: {text}");
        }
        source = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot serve")]
    struct Outer(#[source] wharf_guard::GuardError);

    #[test]
    fn a_cause_is_said_once() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let guard = wharf_guard::GuardError::Connect { path: "/run/docker.sock".into(), source };
        insta::assert_snapshot!(told(&guard), @"cannot reach the Docker engine at /run/docker.sock: no such file; check that it runs");
        insta::assert_snapshot!(told(&Outer(guard)), @r"
        cannot serve
          because: cannot reach the Docker engine at /run/docker.sock: no such file; check that it runs
        ");
    }
}
