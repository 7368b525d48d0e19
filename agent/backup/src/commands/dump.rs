//! Dumping by a command, and checking a dump by another.

use super::count::Counting;
use crate::dump::{Held, Pending};
use crate::exec::Program;
use crate::instance::Instance;
use crate::stream::{DumpProgram, DumpResult, Watch};
use crate::{BackupError, DumpRequest, TableRows};
use bollard::Docker;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use wharf_proto::spec::DumpSpec;

/// How long a command may write or take nothing: it may make a file first.
const WRITES_WITHIN: Duration = Duration::from_secs(1800);

/// Looks whether anything passes: more is not known of such a dump.
#[derive(Default)]
struct Something(bool);

impl Watch for Something {
    fn see(&mut self, piece: &[u8]) {
        self.0 |= !piece.is_empty();
    }

    fn verdict(&mut self) -> Result<Vec<TableRows>, String> {
        if self.0 {
            Ok(Vec::new())
        } else {
            Err("it wrote nothing, and no database has an empty dump".to_owned())
        }
    }
}

/// Counts, where there is a command for that, and says how the dump is written.
pub(crate) async fn prepare(docker: &Docker, request: &DumpRequest) -> Result<Pending, BackupError> {
    let spec = request.commands.clone().unwrap_or_default();
    if spec.dump.is_empty() {
        let what = format!("there is no command that dumps {}", request.label);
        return Err(BackupError::Invalid { what });
    }
    let at = find(docker, request).await?;
    let counting = Counting::begin(docker, &at, spec.clone()).await?;
    Ok(Pending {
        path: format!("/dumps/{}.dump", at.label),
        beside: None,
        watch: || -> Box<dyn Watch> { Box::new(Something::default()) },
        size_bytes: 0,
        waiting: None,
        result: DumpResult::default(),
        user: String::new(),
        database: spec.called().to_owned(),
        server_version: String::new(),
        others: Vec::new(),
        program: DumpProgram { arguments: spec.dump, environment: Vec::new(), patience: WRITES_WITHIN },
        held: Held::Commands(counting),
        instance: at,
    })
}

/// The container, and what of its environment must not be told.
pub(super) async fn find(docker: &Docker, request: &DumpRequest) -> Result<Instance, BackupError> {
    let (at, environment) = Instance::find(docker, &request.label, &request.container).await?;
    Ok(Instance { secrets: environment.secrets().await, ..at })
}

/// Has the project's command read a dump that was read back.
pub(crate) async fn check_dump(
    docker: &Docker,
    at: &Instance,
    spec: &DumpSpec,
    pieces: &mut Receiver<Bytes>,
) -> Result<(), String> {
    if !spec.check.is_empty() {
        feed(docker, at, &spec.check, pieces, WRITES_WITHIN).await?;
    }
    rest(pieces).await;
    Ok(())
}

/// Gives a dump to a command, which must end with 0. One that knows before the dump's end ends earlier, and is not blamed.
pub(super) async fn feed(
    docker: &Docker,
    at: &Instance,
    command: &[String],
    pieces: &mut Receiver<Bytes>,
    patience: Duration,
) -> Result<(), String> {
    let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    let program =
        Program { container: &at.container, arguments: &arguments, environment: Vec::new(), input: true };
    let ended = program.feed(docker, pieces, patience).await?;
    if ended.exit == Some(0) {
        return Ok(());
    }
    let code = ended.exit.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
    let name = arguments.first().copied().unwrap_or_default();
    Err(format!("{name} ended with {code}: {}", ended.said()))
}

/// What nobody wants any more is read all the same, since it is compared.
pub(super) async fn rest(pieces: &mut Receiver<Bytes>) {
    while pieces.recv().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_dump_is_none() {
        let mut watch = Something::default();
        watch.see(b"");
        assert!(watch.verdict().unwrap_err().contains("wrote nothing"));
        watch.see(b"x");
        assert_eq!(watch.verdict(), Ok(Vec::new()));
    }
}
