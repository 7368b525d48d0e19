//! Loading a dump into a server of its own, in a container that waits for it.
//!
//! Such a server takes itself for a replica of one that does not answer: a replica keeps keys that have expired meanwhile, so
//! that all keys of the dump can be counted whenever it is loaded.

use super::server::{Server, field, told_as};
use crate::exec::{Program, SILENCE};
use crate::instance::Instance;
use crate::{BackupError, DumpReport, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// The folder of a throwaway container that a dump is written to.
pub const DRILL_FOLDER: &str = "/wharf-drill";
/// How long a server may take to read its dump.
const LOADS_WITHIN: Duration = Duration::from_secs(1800);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What a throwaway container runs in place of its image's own program: it waits until the dump is there, and serves it.
pub fn drill_command() -> Vec<String> {
    let script = format!(
        "cd {DRILL_FOLDER} || exit 1\n\
         until [ -e dump.rdb ]; do sleep 0.2 || exit 1; done\n\
         server=redis-server\n\
         command -v $server >/dev/null || server=valkey-server\n\
         exec $server --dir {DRILL_FOLDER} --dbfilename dump.rdb --port 0 --unixsocket {DRILL_FOLDER}/socket \
         --save '' --appendonly no --replicaof 127.0.0.1 1"
    );
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

/// A dump that is to be loaded.
pub(crate) struct Load {
    at: Instance,
}

impl Load {
    pub(crate) async fn begin(docker: &Docker, request: &DumpRequest) -> Result<Self, BackupError> {
        let (at, _) = Instance::find(docker, &request.label, &request.container).await?;
        Ok(Self { at })
    }

    /// Writes the dump to where the container waits for it.
    pub(crate) async fn run(&self, docker: &Docker, mut pieces: Receiver<Bytes>) -> Result<(), BackupError> {
        let script = format!("cat >{DRILL_FOLDER}/part && mv {DRILL_FOLDER}/part {DRILL_FOLDER}/dump.rdb");
        let program = Program {
            container: &self.at.container,
            arguments: &["sh", "-c", &script],
            environment: Vec::new(),
            input: true,
        };
        let ended =
            program.feed(docker, &mut pieces, SILENCE).await.map_err(|cause| self.not_restored(cause))?;
        if ended.exit == Some(0) {
            return Ok(());
        }
        Err(self.not_restored(format!("the dump could not be written: {}", ended.said())))
    }

    /// The keys of each database, once the server has read the dump, told as `dump` tells them.
    pub(crate) async fn count(
        &self,
        docker: &Docker,
        dump: &DumpReport,
    ) -> Result<Vec<TableRows>, BackupError> {
        let until = Instant::now() + LOADS_WITHIN;
        let socket = format!("{DRILL_FOLDER}/socket");
        loop {
            let (at, _) = Instance::find(docker, &self.at.label, &self.at.container)
                .await
                .map_err(|error| self.ended(&error))?;
            let server = Server::on_socket(docker, at, &socket).await?;
            // It does not listen yet, or answers while it still reads.
            let loaded = match server.ask(docker, &["INFO", "persistence"]).await {
                Ok(info) if field(&info, "loading") == Some("0") => server.keys(docker).await.map(Some),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            };
            match loaded {
                Ok(Some(keys)) => return Ok(told_as(&dump.tables, keys)),
                Ok(None) if Instant::now() >= until => {
                    return Err(self.not_restored("the server still reads the dump".to_owned()));
                }
                Err(error) if Instant::now() >= until => return Err(self.ended(&error)),
                Ok(None) | Err(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    fn ended(&self, error: &BackupError) -> BackupError {
        let said = match error {
            BackupError::DumpFailed { stderr, .. } => stderr.clone(),
            other => other.to_string(),
        };
        self.not_restored(format!("the server did not take the dump: {said}"))
    }

    fn not_restored(&self, cause: String) -> BackupError {
        BackupError::DumpNotRestored { label: self.at.label.clone(), cause }
    }
}
