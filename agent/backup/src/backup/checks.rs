//! Reading the dumps back, which is done while the snapshot is written: what comes out of the repository goes to the
//! database's own program, which reads it to its end.
//!
//! **Invariants**
//! - A dump is good when it was read back, is the same as its program wrote, and was taken by the program that checks it. No
//!   container is held, and no snapshot let through, before all are.
//! - Nobody waits for a verdict that never comes: what is undecided when the checks end, however they end, has failed.

use super::dumps::StoredDump;
use crate::ledger::Ledger;
use crate::read_back::{Shelf, read_back};
use crate::source::{Entry, Opener};
use crate::{BackupError, Phase, commands, postgres};
use bollard::Docker;
use jiff::Timestamp;
use rustic_core::repofile::Node;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use wharf_proto::database::DatabaseKind;

/// Pieces of a dump under way to who checks it.
const PIECES: usize = 8;

/// What was found out of each dump.
pub(super) struct Checks {
    verdicts: Mutex<Vec<Option<Result<(), BackupError>>>>,
    decided: Condvar,
}

impl Checks {
    fn new(dumps: usize) -> Self {
        Self { verdicts: Mutex::new(vec![None; dumps]), decided: Condvar::new() }
    }

    /// Waits until a dump was checked.
    fn of(&self, dump: usize) -> Result<(), BackupError> {
        let gone = || Err(BackupError::Invalid { what: "a dump that nobody made".to_owned() });
        let undecided = |verdicts: &mut Vec<Option<_>>| matches!(verdicts.get(dump), Some(None));
        let verdicts =
            self.decided.wait_while(self.lock(), undecided).unwrap_or_else(PoisonError::into_inner);
        verdicts.get(dump).cloned().flatten().unwrap_or_else(gone)
    }

    /// Waits until all dumps were checked; the first that is bad is the fault.
    pub(super) fn all(&self) -> Result<(), BackupError> {
        let dumps = self.lock().len();
        (0..dumps).try_for_each(|dump| self.of(dump))
    }

    fn decide(&self, dump: usize, verdict: Result<(), BackupError>) {
        if let Some(slot) = self.lock().get_mut(dump) {
            slot.get_or_insert(verdict);
        }
        self.decided.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Result<(), BackupError>>>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides what is left when it is dropped.
struct Deciding(Arc<Checks>);

impl Drop for Deciding {
    fn drop(&mut self) {
        let dumps = self.0.lock().len();
        let fault = BackupError::Invalid { what: "a dump was not checked".to_owned() };
        (0..dumps).for_each(|dump| self.0.decide(dump, Err(fault.clone())));
    }
}

/// Begins to read the dumps back, one after another. The entries that are returned are theirs.
pub(super) fn begin(
    docker: Option<Docker>,
    shelf: Shelf,
    dumps: Vec<StoredDump>,
    time: Timestamp,
    ledger: &Arc<Ledger>,
) -> Result<(Vec<Entry>, Arc<Checks>), BackupError> {
    if !dumps.is_empty() {
        ledger.begin(Phase::CheckDumps);
    }
    let checks = Arc::new(Checks::new(dumps.len()));
    let (mut entries, mut waiting) = (Vec::new(), Vec::new());
    for (number, mut dump) in dumps.into_iter().enumerate() {
        let path = PathBuf::from(&dump.report.path);
        let open = Opener::Stored { path: path.clone(), ledger: Arc::clone(ledger) };
        entries.push(Entry { path, node: Node { content: None, ..dump.node.clone() }, open: Some(open) });
        if let Some((path, content)) = dump.beside.take() {
            entries.push(Entry::made(&path, content.len() as u64, time, Opener::Bytes(content))?);
        }
        waiting.push((number, dump));
    }
    let deciding = Deciding(Arc::clone(&checks));
    let Some(docker) = docker else { return Ok((entries, checks)) };
    let ledger = Arc::clone(ledger);
    tokio::spawn(async move {
        for (number, dump) in waiting {
            let verdict = check(&docker, &shelf, dump, Arc::clone(&ledger)).await;
            let fault = verdict.as_ref().err().cloned();
            if let Some(fault) = &fault {
                ledger.fail(fault.clone());
            }
            deciding.0.decide(number, verdict);
            if fault.is_some() {
                break;
            }
        }
    });
    Ok((entries, checks))
}

/// Tells how much of a dump was read.
fn telling(ledger: Arc<Ledger>) -> impl FnMut(u64) + Send + 'static {
    let mut told = 0;
    move |bytes| {
        ledger.read(usize::try_from(bytes - told).unwrap_or_default());
        told = bytes;
    }
}

/// Reads a dump back, which must be what its program wrote, and has it checked.
async fn check(
    docker: &Docker,
    shelf: &Shelf,
    dump: StoredDump,
    ledger: Arc<Ledger>,
) -> Result<(), BackupError> {
    let unchecked = |cause: String| BackupError::DumpUnchecked {
        label: dump.report.label.clone(),
        cause: dump.instance.redact(&cause),
    };
    let (sender, mut pieces) = mpsc::channel(PIECES);
    let reading = read_back(shelf.clone(), dump.node, vec![sender], telling(ledger));
    let checking = async {
        let checked = match (dump.report.kind, &dump.report.commands) {
            (DatabaseKind::Postgres, _) => {
                postgres::check_dump(docker, &dump.instance, dump.checker, &mut pieces).await
            }
            (DatabaseKind::Commands, Some(spec)) => {
                commands::check_dump(docker, &dump.instance, spec, &mut pieces).await
            }
            // No program checks a dump of MySQL without running it, and that of Redis was checked before.
            _ => {
                while pieces.recv().await.is_some() {}
                Ok(())
            }
        };
        // A program that ended early takes nothing more, and who reads for it must not wait for it.
        pieces.close();
        checked
    };
    let (read, checked) = tokio::join!(reading, checking);
    let read = read?;
    checked.map_err(unchecked)?;
    if read.as_ref() != Some(&dump.dumped) {
        return Err(unchecked(format!("what was read back is not what {} wrote", dump.program)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_waited_for() {
        let checks = Arc::new(Checks::new(2));
        let waiting = std::thread::spawn({
            let checks = Arc::clone(&checks);
            move || checks.all()
        });
        checks.decide(1, Ok(()));
        checks.decide(0, Ok(()));
        assert_eq!(waiting.join().unwrap(), Ok(()));
    }

    #[test]
    fn what_was_not_decided_has_failed() {
        let checks = Arc::new(Checks::new(2));
        let deciding = Deciding(Arc::clone(&checks));
        deciding.0.decide(0, Ok(()));
        drop(deciding);
        assert_eq!(checks.of(0), Ok(()));
        checks.of(1).unwrap_err();
        checks.all().unwrap_err();
        checks.of(2).unwrap_err();
    }
}
