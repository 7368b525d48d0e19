//! The one who writes a job's events.

use super::journal::Journal;
use super::{EventError, Place, blocking};
use std::sync::Arc;
use tokio::sync::Mutex;
use wharf_proto::{Event, EventBody, JobId, Outcome};

/// Writes the events of one job. Clones write the same log; with the last of them the job's place as writer is free.
#[derive(Debug, Clone)]
pub struct EventWriter {
    job: JobId,
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    journal: Journal,
    place: Place,
}

impl EventWriter {
    pub(super) fn new(journal: Journal, place: Place) -> Self {
        Self { job: place.job, log: Arc::new(Mutex::new(Log { journal, place })) }
    }

    pub fn job(&self) -> JobId {
        self.job
    }

    /// How the job ended, where its last event says so already: a crash may come between that event and the
    /// database's record of it.
    pub async fn outcome(&self) -> Option<Outcome> {
        self.log.lock().await.journal.outcome().cloned()
    }

    /// Numbers and writes an event; then followers are given it. All but output is on disk when this returns. Output
    /// beyond [`super::OUTPUT_BYTES`] is dropped (`None`), after a note that says so.
    ///
    /// It happens wholly even if the caller goes away meanwhile.
    ///
    /// # Errors
    /// [`EventError::Finished`] after the last event, and files that cannot be written.
    pub async fn append(&self, body: EventBody) -> Result<Option<Event>, EventError> {
        let mut log = self.log.clone().lock_owned().await;
        // Output goes to the page cache alone: no reason to change threads for each line.
        if matches!(body, EventBody::Output { .. }) {
            log.append(body)
        } else {
            blocking(move || log.append(body)).await
        }
    }
}

impl Log {
    fn append(&mut self, body: EventBody) -> Result<Option<Event>, EventError> {
        let event = self.journal.append(body)?;
        self.place.publish(self.journal.progress());
        Ok(event)
    }
}
