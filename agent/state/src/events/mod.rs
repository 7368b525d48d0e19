//! The events of jobs: one file of JSON lines a job, `<job>.jsonl`, written by one writer, read by any number of followers.
//!
//! **Invariants**
//! - An event is in the file before any follower is given it; all but output are on disk by then.
//! - Events are numbered from 0 without gaps; `Finished` is written once, and nothing after it.
//! - A job has at most one writer. A line that a crash tore is cut off before writing goes on.
//! - A follower holds one piece of the file in memory: a slow one reads later, and nobody waits for it.

mod error;
mod follow;
mod journal;
mod writer;

pub use error::EventError;
pub use follow::Follow;
pub use writer::EventWriter;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use wharf_proto::JobId;

/// How many bytes of output one job keeps; what comes after is dropped, and a note says so.
pub const OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// The event logs of all jobs.
#[derive(Clone, Debug)]
pub struct EventLogs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    output_bytes: u64,
    /// Jobs that are being written or waited for.
    slots: Mutex<HashMap<JobId, Slot>>,
}

#[derive(Debug)]
struct Slot {
    progress: watch::Sender<Progress>,
    written: bool,
}

/// How much of a log may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    bytes: u64,
}

impl EventLogs {
    /// The logs in `dir`, which is made where it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(dir: &Path) -> Result<Self, EventError> {
        Self::with_output_limit(dir, OUTPUT_BYTES)
    }

    fn with_output_limit(dir: &Path, output_bytes: u64) -> Result<Self, EventError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| EventError::Io { act: "create", path: dir.to_owned(), source })?;
        let slots = Mutex::new(HashMap::new());
        Ok(Self { shared: Arc::new(Shared { dir: dir.to_owned(), output_bytes, slots }) })
    }

    /// Starts the log of a new job.
    ///
    /// # Errors
    /// A job that has a log already, or a file that cannot be made.
    pub async fn create(&self, job: JobId) -> Result<EventWriter, EventError> {
        self.write(job, |path| File::options().create_new(true).append(true).mode(0o600).open(path)).await
    }

    /// Goes on with the log of a job that a crash interrupted, after its last whole event. A log that was never made is
    /// begun.
    ///
    /// # Errors
    /// A job that is being written, or a file that cannot be read or mended.
    pub async fn resume(&self, job: JobId) -> Result<EventWriter, EventError> {
        self.write(job, |path| File::options().create(true).append(true).mode(0o600).open(path)).await
    }

    /// The events of `job` from `from_index` on, to its last, as they come.
    ///
    /// # Errors
    /// [`EventError::NoSuchLog`], or a file that cannot be opened.
    pub async fn follow(&self, job: JobId, from_index: u64) -> Result<Follow, EventError> {
        let path = self.path(job);
        let logs = self.clone();
        blocking(move || {
            let file = File::open(&path).map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => EventError::NoSuchLog(job),
                _ => EventError::Io { act: "open", path: path.clone(), source },
            })?;
            let progress = logs.watch(job, &file, &path)?;
            Ok(Follow::new(job, path, file, progress, from_index))
        })
        .await
    }

    /// Removes the log of a job that nobody writes. One that is not there is removed already.
    ///
    /// # Errors
    /// [`EventError::Written`] while the job runs, or a file that cannot be removed.
    pub async fn remove(&self, job: JobId) -> Result<(), EventError> {
        let path = self.path(job);
        let logs = self.clone();
        blocking(move || {
            let mut slots = logs.shared.slots();
            if slots.get(&job).is_some_and(|slot| slot.written) {
                return Err(EventError::Written(job));
            }
            slots.remove(&job);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(EventError::Io { act: "remove", path, source: e })
                }
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    fn path(&self, job: JobId) -> PathBuf {
        self.shared.dir.join(format!("{job}.jsonl"))
    }

    /// Takes the job's one place as writer, opens its file and reads what is in it.
    async fn write(
        &self,
        job: JobId,
        open: impl FnOnce(&Path) -> std::io::Result<File> + Send + 'static,
    ) -> Result<EventWriter, EventError> {
        let place = Place::take(self.shared.clone(), job)?;
        let (dir, path) = (self.shared.dir.clone(), self.path(job));
        let output_bytes = self.shared.output_bytes;
        blocking(move || {
            let file = open(&path).map_err(|source| match source.kind() {
                std::io::ErrorKind::AlreadyExists => EventError::Exists(job),
                _ => EventError::Io { act: "open", path: path.clone(), source },
            })?;
            File::open(&dir).and_then(|dir| dir.sync_all()).map_err(|source| EventError::Io {
                act: "write",
                path: dir,
                source,
            })?;
            let journal = journal::Journal::open(job, path, file, output_bytes)?;
            place.publish(journal.progress());
            Ok(EventWriter::new(journal, place))
        })
        .await
    }

    /// Watches a job's progress; where nobody writes it, that is what is in the file now.
    fn watch(&self, job: JobId, file: &File, path: &Path) -> Result<watch::Receiver<Progress>, EventError> {
        let mut slots = self.shared.slots();
        // Jobs that nobody writes and nobody waits for any more.
        slots.retain(|_, slot| slot.written || slot.progress.receiver_count() > 0);
        if let Some(slot) = slots.get(&job) {
            return Ok(slot.progress.subscribe());
        }
        let bytes = file
            .metadata()
            .map_err(|source| EventError::Io { act: "read", path: path.to_owned(), source })?
            .len();
        let (progress, watcher) = watch::channel(Progress { bytes });
        slots.insert(job, Slot { progress, written: false });
        Ok(watcher)
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<JobId, Slot>> {
        // Nothing panics while it is held, and a map of senders has no state in between.
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A job's one place as writer; free again when it is dropped.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    job: JobId,
}

impl Place {
    fn take(shared: Arc<Shared>, job: JobId) -> Result<Self, EventError> {
        let mut slots = shared.slots();
        let slot = slots
            .entry(job)
            .or_insert_with(|| Slot { progress: watch::Sender::new(Progress { bytes: 0 }), written: false });
        if slot.written {
            return Err(EventError::Written(job));
        }
        slot.written = true;
        drop(slots);
        Ok(Self { shared, job })
    }

    /// Lets followers read on.
    fn publish(&self, progress: Progress) {
        if let Some(slot) = self.shared.slots().get(&self.job) {
            slot.progress.send_replace(progress);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut slots = self.shared.slots();
        if let Some(slot) = slots.get_mut(&self.job) {
            slot.written = false;
            if slot.progress.receiver_count() == 0 {
                slots.remove(&self.job);
            }
        }
    }
}

/// Runs what touches the disk off the runtime's threads. It runs to its end even if the caller goes away.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, EventError> + Send + 'static,
) -> Result<T, EventError> {
    tokio::task::spawn_blocking(act).await.map_err(|_| EventError::Stopped)?
}

#[cfg(test)]
mod tests;
