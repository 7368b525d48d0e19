//! The lines of several containers as one, over containers that go and come.
//!
//! **Invariant**: of one container at most one log is read at a time, and reading goes on after the last line that was
//! read, so that none comes twice and none is left out when it is restarted.

use super::tail::Tail;
use super::wanted::Wanted;
use super::{CONTAINERS, Source, projects};
use crate::agent::Agent;
use crate::failures;
use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wharf_access::Permit;
use wharf_engine::{EngineError, LogLine, LogOptions, Start};
use wharf_plan::facts::ContainerState;
use wharf_proto::{AppName, Failure, FailureKind};

/// What all the [`Tail`]s of one conversation may take together.
const TAILS_BYTES: usize = 32 * 1024 * 1024;

/// A line, and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub app: AppName,
    pub service: String,
    pub line: String,
}

/// One container.
struct Track {
    source: Source,
    /// When its last line was written.
    last: Option<Timestamp>,
    /// Whether its log is being read.
    reading: bool,
    /// Whether it started anew meanwhile.
    again: bool,
    /// What was written before now is read to its end first, since only the last lines that match are wanted of it.
    tail: Option<Tail>,
}

/// What is heard of the container with this ID. `None`: its log has ended.
type Heard = (Arc<str>, Option<Result<LogLine, EngineError>>);

pub(super) struct Lines<'a> {
    agent: &'a Agent,
    permit: &'a Permit,
    wanted: Wanted,
    projects: BTreeMap<String, AppName>,
    /// Where the logs are followed.
    starts: Option<BoxStream<'static, Result<Start, EngineError>>>,
    tracks: HashMap<Arc<str>, Track>,
    logs: SelectAll<BoxStream<'static, Heard>>,
    ready: VecDeque<Said>,
    began: Timestamp,
    deadline: Option<Instant>,
}

impl<'a> Lines<'a> {
    pub fn new(
        agent: &'a Agent,
        permit: &'a Permit,
        wanted: Wanted,
        projects: BTreeMap<String, AppName>,
        starts: Option<impl Stream<Item = Result<Start, EngineError>> + Send + 'static>,
    ) -> Self {
        let began = Timestamp::now();
        let left = wanted.until.map(|until| i64::from(until).saturating_sub(began.as_second()));
        let left = left.filter(|_| starts.is_some()).and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            agent,
            permit,
            wanted,
            projects,
            starts: starts.map(StreamExt::boxed),
            tracks: HashMap::new(),
            logs: SelectAll::new(),
            ready: VecDeque::new(),
            began,
            deadline: left.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
        }
    }

    /// Reads the containers that were there when the logs were asked for.
    pub fn begin(&mut self, sources: Vec<Source>) {
        let share = TAILS_BYTES / sources.len().max(1);
        for source in sources {
            match (&self.wanted.grep, self.wanted.lines) {
                (Some(_), Some(lines)) => self.track(source, Some(Tail::new(lines, share)), None),
                (_, lines) => self.track(source, None, lines),
            }
        }
    }

    fn track(&mut self, source: Source, last_matches: Option<Tail>, last_lines: Option<u32>) {
        let container: Arc<str> = source.container.as_str().into();
        let options = LogOptions {
            follow: self.starts.is_some() && last_matches.is_none(),
            tail: last_lines,
            since: self.wanted.since,
            until: self.wanted.until,
            after: None,
        };
        let track = Track { source, last: None, reading: false, again: false, tail: last_matches };
        self.tracks.insert(container.clone(), track);
        self.read(container, options);
    }

    fn read(&mut self, container: Arc<str>, options: LogOptions) {
        let Some(track) = self.tracks.get_mut(&container) else { return };
        track.reading = true;
        track.again = false;
        let log = self.agent.engine.logs(&container, &options);
        let end = stream::iter([(container.clone(), None)]);
        self.logs.push(log.map(move |line| (container.clone(), Some(line))).chain(end).boxed());
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// The engine does not answer any more.
    pub async fn next(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return Ok(Some(said));
            }
            if self.logs.is_empty() && self.starts.is_none() {
                return Ok(None);
            }
            let (deadline, starts) = (self.deadline, &mut self.starts);
            tokio::select! {
                // None once the last one has ended: then this is looked at again above.
                heard = self.logs.next(), if !self.logs.is_empty() => {
                    if let Some(heard) = heard {
                        self.hear(heard).await?;
                    }
                }
                start = next_start(starts) => match start {
                    Some(start) => self.started(start.map_err(|e| failures::of_engine(&e))?).await?,
                    None => return Err(engine_left()),
                },
                () = at(deadline) => return Ok(None),
            }
        }
    }

    async fn hear(&mut self, (container, heard): Heard) -> Result<(), Failure> {
        match heard {
            Some(Ok(line)) => self.line(&container, line),
            Some(Err(error)) => broken(self.agent, &container, &error).await?,
            None => self.ended(&container),
        }
        Ok(())
    }

    fn line(&mut self, container: &str, line: LogLine) {
        let Some(track) = self.tracks.get_mut(container) else { return };
        track.last = line.at.max(track.last);
        if !self.wanted.takes(&line.text) {
            return;
        }
        match &mut track.tail {
            Some(tail) => tail.push(line.text),
            None => self.ready.push_back(track.source.says(line.text)),
        }
    }

    fn ended(&mut self, container: &Arc<str>) {
        let follow = self.starts.is_some();
        let Some(track) = self.tracks.get_mut(container) else { return };
        track.reading = false;
        let caught_up = track.tail.take();
        let go_on = follow && (track.again || caught_up.is_some());
        if let Some(tail) = caught_up {
            let said = tail.into_lines().into_iter().map(|line| track.source.says(line));
            self.ready.extend(said);
        }
        if go_on {
            self.go_on(container);
        }
    }

    /// Reads on after the last line that was read.
    fn go_on(&mut self, container: &Arc<str>) {
        let last = self.tracks.get(container).and_then(|track| track.last);
        let after = Some(last.unwrap_or(self.began));
        let Wanted { since, until, .. } = self.wanted;
        self.read(container.clone(), LogOptions { follow: true, tail: None, since, until, after });
    }

    async fn started(&mut self, start: Start) -> Result<(), Failure> {
        if !self.wanted.has(&start.service) {
            return Ok(());
        }
        let container: Arc<str> = start.container.as_str().into();
        if let Some(track) = self.tracks.get_mut(&container) {
            track.again = true;
            if !track.reading {
                self.go_on(&container);
            }
            return Ok(());
        }
        if !self.projects.contains_key(&start.project) {
            // Where all apps are wanted this is one that is new, or somebody else's.
            self.projects = projects(self.agent, self.permit, None).await?;
        }
        if self.tracks.len() >= CONTAINERS {
            // A container whose log has ended is most often gone for good.
            self.tracks.retain(|_, track| track.reading);
        }
        let app = self.projects.get(&start.project).filter(|_| self.tracks.len() < CONTAINERS);
        if let Some(app) = app.cloned() {
            // What is new is wanted whole.
            self.track(Source { app, service: start.service, container: start.container }, None, None);
        }
        Ok(())
    }
}

impl Source {
    fn says(&self, line: String) -> Said {
        Said { app: self.app.clone(), service: self.service.clone(), line }
    }
}

/// The log of a container that is being removed cannot be read, and need not be.
async fn broken(agent: &Agent, container: &str, error: &EngineError) -> Result<(), Failure> {
    let leaving = |state| matches!(state, ContainerState::Removing | ContainerState::Dead);
    let gone = match agent.engine.container(container).await {
        Ok(found) => found.is_none_or(|container| leaving(container.state)),
        Err(_) => false,
    };
    if gone { Ok(()) } else { Err(failures::of_engine(error)) }
}

/// The next start; never where nothing is followed.
async fn next_start(
    starts: &mut Option<BoxStream<'static, Result<Start, EngineError>>>,
) -> Option<Result<Start, EngineError>> {
    match starts {
        Some(starts) => starts.next().await,
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn engine_left() -> Failure {
    Failure::new(FailureKind::Environment, "the Docker engine stopped telling of its containers")
        .hint("see whether it was restarted (`systemctl status docker`), then run the command again")
}
