//! What a job tells: its events, written before anyone sees them.

use super::last_lines::LastLines;
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc};
use wharf_proto::event::{EventBody, Level};
use wharf_proto::{Failure, Step};
use wharf_state::EventWriter;

/// Lines that may wait to be written. A program that writes faster than the disk takes it loses lines, and a note says how
/// many: its output must never slow a deploy down.
const WAITING_LINES: usize = 4096;

/// The last lines of a step that its failure is explained by.
const TAIL_LINES: usize = 200;

/// A job's event log. Cheap to clone.
#[derive(Clone)]
pub struct Record {
    log: Arc<Mutex<EventWriter>>,
    tail: Arc<LastLines>,
    began: Timestamp,
}

impl Record {
    pub fn new(log: EventWriter) -> Self {
        Self {
            log: Arc::new(Mutex::new(log)),
            tail: Arc::new(LastLines::new(TAIL_LINES)),
            began: Timestamp::now(),
        }
    }

    /// When the job, or what goes on of it after a crash, began to tell.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The last lines that programs of the present step wrote.
    pub fn last_lines(&self) -> Vec<String> {
        self.tail.read()
    }

    /// Writes an event. A log that cannot be written is the agent's log's matter: the job must go on to its end.
    pub async fn say(&self, body: EventBody) {
        let log = self.log.lock().await;
        if let Err(error) = log.append(body).await {
            tracing::error!(job = %log.job(), %error, "cannot write an event");
        }
    }

    pub async fn note(&self, text: impl Into<String>) {
        self.say(EventBody::Note { level: Level::Info, text: text.into() }).await;
    }

    pub async fn warn(&self, text: impl Into<String>) {
        self.say(EventBody::Note { level: Level::Warning, text: text.into() }).await;
    }

    /// Does a step and tells of it. The step's crash points are `<step>.before` and `<step>.after`.
    ///
    /// # Errors
    /// What the step failed with.
    pub async fn step<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        crate::crash::point(&format!("{}.before", name(step)));
        self.tail.clear();
        self.say(EventBody::StepStarted { step }).await;
        let began = Instant::now();
        // On the heap: the steps' futures are large, and those of a job lie within one another on a thread's stack.
        let result = Box::pin(work).await;
        let body = match &result {
            Ok(_) => {
                let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                EventBody::StepFinished { step, duration_ms }
            }
            Err(failure) => EventBody::StepFailed { step, failure: failure.clone() },
        };
        self.say(body).await;
        crate::crash::point(&format!("{}.after", name(step)));
        result
    }

    /// Does `work`, which hands the lines that a program writes to the function it is given.
    pub async fn with_output<T, F, W>(&self, step: Step, service: Option<&str>, work: W) -> T
    where
        F: Future<Output = T>,
        W: FnOnce(Lines) -> F,
    {
        let (sender, mut waiting) = mpsc::channel::<String>(WAITING_LINES);
        let (record, service) = (self.clone(), service.map(str::to_owned));
        let writer = tokio::spawn(async move {
            while let Some(line) = waiting.recv().await {
                record.say(EventBody::Output { step, service: service.clone(), line }).await;
            }
        });
        let result = work(Lines { sender, tail: Arc::clone(&self.tail) }).await;
        let _ = writer.await;
        result
    }
}

/// Where a program's lines go.
#[derive(Clone)]
pub struct Lines {
    sender: mpsc::Sender<String>,
    tail: Arc<LastLines>,
}

impl Lines {
    pub fn push(&self, line: impl Into<String>) {
        let line = line.into();
        self.tail.push(&line);
        let _ = self.sender.try_send(line);
    }
}

fn name(step: Step) -> String {
    step.title().replace(' ', "_")
}
