//! The guarded Docker sockets that the agent's own `docker compose` and hooks go through.
//!
//! **Invariant**: the agent does not begin before both are there, and no program but this one gets Docker's own socket.

use crate::layout::Layout;
use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};
use wharf_guard::{GuardError, Guarded, LogLimits, Policy, Socket};
use wharf_plan::Model;
use wharf_proto::{Failure, FailureKind};

/// For the agent's user alone.
const MODE: u32 = 0o600;
/// For its group too, which is that of Docker's own socket.
const MODE_FOR_PEOPLE: u32 = 0o660;

/// Two sockets with two policies, and one for people where the server wants it, served until the last clone is dropped. Volumes stay through either.
#[derive(Debug, Clone)]
pub struct Guards {
    upstream: PathBuf,
    strict: PathBuf,
    root: PathBuf,
    logs: LogLimits,
    _served: Arc<DropGuard>,
}

impl Guards {
    /// Begins to serve them all.
    ///
    /// # Errors
    /// A socket cannot be made in the state folder, or at `people`.
    pub async fn serve(layout: &Layout, upstream: &Path, people: Option<&Path>) -> Result<Self, GuardError> {
        let (strict, root) = (layout.guard_socket(), layout.root_guard_socket());
        let stop = CancellationToken::new();
        let logs = LogLimits::default();
        for (path, allow_root_equivalent) in [(&strict, false), (&root, true)] {
            // Whoever made it is gone: the agent's lock is ours.
            let _ = std::fs::remove_file(path);
            let socket = Socket::bind(path, MODE).await?;
            let guarded = Guarded {
                upstream: upstream.to_owned(),
                policy: Policy { allow_root_equivalent },
                hidden: vec![layout.state().to_owned()],
                logs: logs.clone(),
            };
            tokio::spawn(socket.serve(guarded, stop.clone().cancelled_owned()));
        }
        if let Some(path) = people {
            let socket = socket_for_people(path, upstream).await?;
            // Who may use Docker may have such containers anyhow; what is kept from them is the absent-minded `-v`.
            let policy = Policy { allow_root_equivalent: true };
            let upstream = upstream.to_owned();
            let guarded = Guarded { upstream, policy, hidden: Vec::new(), logs: LogLimits::default() };
            tokio::spawn(socket.serve(guarded, stop.clone().cancelled_owned()));
        }
        let _served = Arc::new(stop.drop_guard());
        Ok(Self { upstream: upstream.to_owned(), strict, root, logs, _served })
    }

    /// What the logs of each project's containers may take that are made through one of the sockets.
    pub fn logs(&self) -> &LogLimits {
        &self.logs
    }

    /// The socket for what is shipped: whether it may ask for what is as good as root is the server's to say.
    pub fn socket(&self, root_equivalent: bool) -> &Path {
        if root_equivalent { &self.root } else { &self.strict }
    }

    /// What the stricter one would refuse of each service, known before anything was changed.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn objections(
        &self,
        layout: &Layout,
        model: &Model,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let guarded = Guarded {
            upstream: self.upstream.clone(),
            policy: Policy::default(),
            hidden: vec![layout.state().to_owned()],
            logs: LogLimits::default(),
        };
        let mut found = BTreeMap::new();
        for service in model.services() {
            let judged = wharf_guard::root_equivalent(&guarded, &model.host_config(service)).await;
            let judged = judged.map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
            found.extend(judged.map(|why| (service.name.clone(), why)));
        }
        Ok(found)
    }
}

/// Whoever may use Docker's own socket may use this one. A live one of somebody else's is left alone, and is an error.
async fn socket_for_people(path: &Path, upstream: &Path) -> Result<Socket, GuardError> {
    let failed = |source| GuardError::Listen { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        // Others must be able to pass through it.
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    }
    let socket = Socket::bind(path, MODE_FOR_PEOPLE).await?;
    let group = std::fs::metadata(upstream).map_err(failed)?.gid();
    if let Err(error) = std::os::unix::fs::lchown(path, None, Some(group)) {
        tracing::warn!(path = %path.display(), %error, "the guard is for the agent's own group: it cannot be given Docker's");
    }
    Ok(socket)
}
