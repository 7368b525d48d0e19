//! Restoring a dump by a command, into a server that is there for it alone.

use super::count::count;
use super::dump::{check_dump, feed, find, rest};
use crate::exec::RESTORES_WITHIN;
use crate::instance::Instance;
use crate::read_back::{Shelf, read_back};
use crate::{BackupError, DumpReport, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use rustic_core::repofile::Node;
use tokio::sync::mpsc::{self, Receiver};
use wharf_proto::spec::DumpSpec;

/// Pieces under way to who checks a dump.
const PIECES: usize = 8;

/// A dump that is to be restored by the commands that it was made with.
pub(crate) struct Load {
    at: Instance,
    spec: DumpSpec,
}

impl Load {
    pub(crate) async fn begin(
        docker: &Docker,
        request: &DumpRequest,
        dump: &DumpReport,
    ) -> Result<Self, BackupError> {
        let spec = dump.commands.clone().unwrap_or_default();
        if spec.restore.is_empty() || request.database.is_some() {
            let what = format!("no command restores {} there", request.label);
            return Err(BackupError::Invalid { what });
        }
        Ok(Self { at: find(docker, request).await?, spec })
    }

    /// Has the project's other command read the dump first, where there is one.
    pub(crate) async fn check(&self, docker: &Docker, shelf: Shelf, node: Node) -> Result<(), BackupError> {
        if self.spec.check.is_empty() {
            return Ok(());
        }
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let reading = read_back(shelf, node, vec![sender], |_| {});
        let checking = async {
            let checked = check_dump(docker, &self.at, &self.spec, &mut pieces).await;
            // A program that ended early takes nothing more, and who reads for it must not wait for it.
            pieces.close();
            checked
        };
        let (read, checked) = tokio::join!(reading, checking);
        read?;
        checked.map_err(|cause| BackupError::DumpUnchecked {
            label: self.at.label.clone(),
            cause: self.at.redact(&cause),
        })
    }

    pub(crate) async fn run(&self, docker: &Docker, mut pieces: Receiver<Bytes>) -> Result<(), BackupError> {
        let fed = feed(docker, &self.at, &self.spec.restore, &mut pieces, RESTORES_WITHIN).await;
        fed.map_err(|cause| self.not_restored(&cause))?;
        rest(&mut pieces).await;
        Ok(())
    }

    /// What came, as the command counts it.
    pub(crate) async fn count(&self, docker: &Docker) -> Result<Vec<TableRows>, BackupError> {
        count(docker, &self.at, &self.spec).await.map_err(|(exit, text)| {
            let code = exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
            self.not_restored(&format!("what came back could not be counted: {code}: {text}"))
        })
    }

    fn not_restored(&self, cause: &str) -> BackupError {
        BackupError::DumpNotRestored { label: self.at.label.clone(), cause: self.at.redact(cause) }
    }
}
