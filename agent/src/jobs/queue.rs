//! One job at a time an app; different apps side by side.
//!
//! **Invariants**: a [`Seat`] is held from before a job looks at the app until after its last event. It is two locks: one in
//! memory, for which others wait in turn, and one on a file that the agent's children hold too, so that a new agent cannot
//! begin while a child of a killed one still acts.
//!
//! Before the agent leaves, the queue is closed: no new seat is handed out, and nobody who has one is hurried but drills and
//! prunes.
//!
//! A drill holds its seat only while nobody wants to change the app: it is told, ends, and the other has the seat then. So
//! does a prune of images and build cache; and since the engine has one build cache for all, the agent's own also ends where
//! another app is to be changed. A backup by the schedule is waited for.
//!
//! Who only looks ([`take_for`]) ends nothing: it sits down beside a drill or a prune, and whoever changes the app waits
//! until it has left.

use crate::agent::Agent;
use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use wharf_engine::{AppLock, Supervisor};
use wharf_proto::message::JobOptions;
use wharf_proto::{AppName, Failure, FailureKind, JobId, Outcome};

/// How long a leftover child of a former agent may take to end. They are killed; this bounds how long that can hang.
const CHILDREN_GONE_WITHIN: Duration = Duration::from_secs(60);
/// How long what gives way may take to end once it is told to.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(60);
/// How long somebody who only looks is waited for by those who would otherwise not wait.
const LOOK_ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How long a backup by the schedule is waited for by those who would otherwise not wait.
const CHORE_ENDS_WITHIN: Duration = Duration::from_secs(600);
/// Whoever waits looks so often at who holds the seat.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who goes before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A drill of the agent's own.
    OwnDrill,
    /// A drill that somebody asked for.
    Drill,
    /// The agent keeps images and build cache within the server's own limits.
    House,
    /// What plans a change without making it.
    Look,
    /// A chore of the agent's own that is not to be cut short.
    Chore,
    /// A prune of images and build cache that somebody asked for.
    Prune,
    /// Whatever somebody asked for that changes the app or its backups.
    Change,
}

impl Rank {
    /// Whether it ends early for a holder of a higher rank.
    fn gives_way(self) -> bool {
        match self {
            Self::OwnDrill | Self::Drill | Self::House | Self::Prune => true,
            Self::Look | Self::Chore | Self::Change => false,
        }
    }
}

/// Which apps have a job.
#[derive(Default)]
pub struct Queue {
    lines: Mutex<HashMap<AppName, Line>>,
    holders: Mutex<HashMap<AppName, Holder>>,
    /// Changed and read under the lock of `holders`.
    closed: AtomicBool,
    freed: Notify,
}

/// Where people stand in line for an app.
#[derive(Default, Clone)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Held by who looks beside what gives way. Who wants to change the app waits for it once the turn is theirs.
    beside: Arc<tokio::sync::Mutex<()>>,
}

struct Holder {
    rank: Rank,
    job: Option<JobId>,
    wanted: CancellationToken,
}

/// The right to change one app, or to look at one that nobody changes meanwhile.
pub struct Seat {
    /// None for who sits beside another.
    entered: Option<Entered>,
    lock: Option<AppLock>,
    place: Option<Place>,
    /// Starts the job's children, which hold the lock too.
    pub supervisor: Arc<Supervisor>,
    wanted: CancellationToken,
}

/// Known as who holds the seat, until it is dropped.
struct Entered {
    app: AppName,
    queue: Arc<Queue>,
}

enum Place {
    Turn(#[expect(dead_code, reason = "held until it is dropped")] OwnedMutexGuard<()>),
    /// Beside what gives way, which has the turn.
    Beside(#[expect(dead_code, reason = "held until it is dropped")] OwnedMutexGuard<()>),
}

impl Queue {
    /// The job that runs for `app`.
    pub fn running(&self, app: &AppName) -> Option<JobId> {
        self.holder(app, |holder| holder.job).flatten()
    }

    /// Hands out no more seats, and comes back with `true` once none is taken. Where that lasts longer than `within`, seats
    /// are handed out again as before.
    pub async fn close_when_idle(&self, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        loop {
            {
                let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
                self.closed.store(true, Ordering::Release);
                if holders.is_empty() && !self.is_looked_at() {
                    return true;
                }
                holders.values().filter(|holder| holder.rank.gives_way()).for_each(|h| h.wanted.cancel());
                if tokio::time::Instant::now() >= until {
                    self.closed.store(false, Ordering::Release);
                    return false;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether somebody looks at an app beside another.
    fn is_looked_at(&self) -> bool {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.values().any(|line| line.beside.try_lock().is_err())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the queue was open, and so has this holder now.
    fn enter(&self, app: &AppName, holder: Holder) -> bool {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let open = !self.is_closed();
        if open {
            if holder.rank == Rank::Change {
                holders.values().filter(|other| other.rank == Rank::House).for_each(|h| h.wanted.cancel());
            }
            // Nobody changed an app when it looked, and somebody does now.
            if holder.rank == Rank::House && holders.values().any(|other| other.rank == Rank::Change) {
                holder.wanted.cancel();
            }
            holders.insert(app.clone(), holder);
        }
        open
    }

    /// Whether some app is being changed.
    pub fn something_changes(&self) -> bool {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.values().any(|holder| holder.rank == Rank::Change)
    }

    /// Completes when a seat may have become free.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Lets whoever waits for a free seat look again.
    pub fn look_again(&self) {
        self.freed.notify_one();
    }

    fn holder<T>(&self, app: &AppName, look: impl FnOnce(&mut Holder) -> T) -> Option<T> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).get_mut(app).map(look)
    }

    /// Tells whoever gives way that somebody wants the seat.
    fn want(&self, app: &AppName, rank: Rank) {
        self.holder(app, |holder| {
            if holder.rank.gives_way() && holder.rank < rank {
                holder.wanted.cancel();
            }
        });
    }

    /// A place beside a drill or prune that has the seat, where nobody else has it.
    fn beside(&self, app: &AppName) -> Option<OwnedMutexGuard<()>> {
        // Taken before the look at who holds the seat: whoever takes it after that look waits for this.
        let place = self.line(app).beside.try_lock_owned().ok()?;
        let gives_way = self.holder(app, |holder| !self.is_closed() && holder.rank.gives_way());
        gives_way.unwrap_or(false).then_some(place)
    }

    /// How long somebody waits who said `wait_seconds`.
    fn patience(&self, app: &AppName, wait_seconds: u32, rank: Rank) -> Duration {
        let goes_first = |holder: &Rank| *holder < rank || (rank == Rank::Look && *holder != Rank::Change);
        let holder = self.holder(app, |holder| holder.rank).filter(goes_first);
        let least = match holder {
            Some(Rank::OwnDrill | Rank::Drill | Rank::House | Rank::Prune) => GIVES_WAY_WITHIN,
            Some(Rank::Look) => LOOK_ENDS_WITHIN,
            Some(Rank::Chore) => CHORE_ENDS_WITHIN,
            Some(Rank::Change) | None => Duration::ZERO,
        };
        Duration::from_secs(wait_seconds.into()).max(least)
    }

    /// Whether somebody has the app's seat.
    pub fn is_taken(&self, app: &AppName) -> bool {
        self.line(app).turn.try_lock().is_err()
    }

    fn line(&self, app: &AppName) -> Line {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(app.clone()).or_default().clone()
    }
}

impl Seat {
    /// Names the job that the seat was taken for.
    pub fn runs(&self, job: JobId) {
        if let Some(entered) = &self.entered {
            entered.queue.holder(&entered.app, |holder| holder.job = Some(job));
        }
    }

    /// Cancelled when somebody wants a seat whose holder gives way.
    pub fn wanted(&self) -> CancellationToken {
        self.wanted.clone()
    }

    /// How a job of a kind that gives way ended: one that did is postponed, and has not failed.
    pub fn gave_way(&self, outcome: Outcome) -> Outcome {
        postponed_if(self.wanted.is_cancelled(), outcome)
    }
}

fn postponed_if(wanted: bool, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { failure } if wanted => Outcome::Postponed { failure },
        outcome => outcome,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let queue = self.entered.as_ref().map(|entered| Arc::clone(&entered.queue));
        drop(self.entered.take());
        drop(self.lock.take());
        drop(self.place.take());
        if let Some(queue) = queue {
            queue.look_again();
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.queue.holders.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
    }
}

/// Says early that the seat is taken, for those who would not wait for it.
///
/// # Errors
/// [`FailureKind::Busy`].
pub fn check(agent: &Agent, app: &AppName, wait_seconds: u32) -> Result<(), Failure> {
    if agent.queue.is_closed() {
        return Err(leaving());
    }
    let holder = agent.queue.holder(app, |holder| (holder.rank, holder.job));
    if wait_seconds == 0 && matches!(holder, Some((Rank::Change, Some(_)))) {
        return Err(busy(agent, app, Duration::ZERO));
    }
    Ok(())
}

/// Takes the seat of `app` to change it, waiting at most `wait_seconds` for another who does; a drill or prune is ended for it.
///
/// # Errors
/// [`FailureKind::Busy`] where it is still taken then.
pub async fn take(agent: &Agent, app: &AppName, wait_seconds: u32) -> Result<Seat, Failure> {
    take_as(agent, app, wait_seconds, Rank::Change).await
}

/// Takes the seat of `app` to change it, or, for a dry run, a place from which to look at it.
///
/// # Errors
/// As for [`take`].
pub async fn take_for(agent: &Agent, app: &AppName, options: &JobOptions) -> Result<Seat, Failure> {
    let rank = if options.dry_run { Rank::Look } else { Rank::Change };
    take_as(agent, app, options.lock_wait_seconds, rank).await
}

/// As [`take`], for something of another rank.
///
/// # Errors
/// As for [`take`].
pub async fn take_as(agent: &Agent, app: &AppName, wait_seconds: u32, rank: Rank) -> Result<Seat, Failure> {
    let turn = agent.queue.line(app).turn;
    let place = match Arc::clone(&turn).try_lock_owned() {
        Ok(turn) => Place::Turn(turn),
        Err(_) => {
            let patience = agent.queue.patience(app, wait_seconds, rank);
            if patience.is_zero() {
                return Err(busy(agent, app, patience));
            }
            let place = async {
                let mut locked = std::pin::pin!(turn.lock_owned());
                loop {
                    if rank == Rank::Look {
                        if let Some(place) = agent.queue.beside(app) {
                            break Place::Beside(place);
                        }
                    } else {
                        // Again and again, since another drill may have been before us in line.
                        agent.queue.want(app, rank);
                    }
                    if let Ok(turn) = tokio::time::timeout(LOOK_EVERY, &mut locked).await {
                        break Place::Turn(turn);
                    }
                }
            };
            tokio::time::timeout(patience, place).await.map_err(|_| busy(agent, app, patience))?
        }
    };
    seat(agent, app, place, wait_seconds, rank).await
}

/// Takes the seat of `app` where nobody has it or waits for it; who gives way is told that it is wanted.
///
/// # Errors
/// The lock's file cannot be made, or a former agent's child still holds it.
pub async fn take_if_free(agent: &Agent, app: &AppName, rank: Rank) -> Result<Option<Seat>, Failure> {
    if agent.queue.is_closed() {
        return Ok(None);
    }
    match agent.queue.line(app).turn.try_lock_owned() {
        Ok(turn) => seat(agent, app, Place::Turn(turn), 0, rank).await.map(Some),
        Err(_) => {
            agent.queue.want(app, rank);
            Ok(None)
        }
    }
}

async fn seat(
    agent: &Agent,
    app: &AppName,
    place: Place,
    wait_seconds: u32,
    rank: Rank,
) -> Result<Seat, Failure> {
    let wanted = CancellationToken::new();
    let (entered, lock) = match &place {
        // The other has both.
        Place::Beside(_) => (None, None),
        Place::Turn(_) => {
            let holder = Holder { rank, job: None, wanted: wanted.clone() };
            if !agent.queue.enter(app, holder) {
                return Err(leaving());
            }
            let entered = Entered { app: app.clone(), queue: Arc::clone(&agent.queue) };
            if rank >= Rank::Look {
                let left = agent.queue.line(app).beside;
                let patience = LOOK_ENDS_WITHIN.max(Duration::from_secs(wait_seconds.into()));
                let left = tokio::time::timeout(patience, left.lock_owned()).await;
                left.map_err(|_| busy(agent, app, patience))?;
            }
            (Some(entered), Some(lock_file(agent, app).await?))
        }
    };
    let supervisor = Supervisor::new(agent.program.as_ref(), lock.as_ref())
        .map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
    Ok(Seat { entered, lock, place: Some(place), supervisor: Arc::new(supervisor), wanted })
}

async fn lock_file(agent: &Agent, app: &AppName) -> Result<AppLock, Failure> {
    let path = agent.layout.app_lock(app);
    let folder = path.parent().unwrap_or(agent.layout.state()).to_owned();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| {
        Failure::from_error(FailureKind::Environment, &e)
            .hint(format!("look at the folder {}", folder.display()))
    })?;
    AppLock::acquire(&path, CHILDREN_GONE_WITHIN).await.map_err(|e| {
        Failure::from_error(FailureKind::Busy, &e)
            .cause(format!("a process of a former job of {app} still runs"))
            .hint("look for `wharfd internal run` on the server and end it")
    })
}

/// The agent is about to be replaced.
fn leaving() -> Failure {
    Failure::new(FailureKind::Busy, "the agent is being replaced, and begins no new job")
        .cause("`wharf setup` waits on the server until no job runs")
        .hint("run the command again in a minute: nothing was changed, and what was sent is kept")
}

fn busy(agent: &Agent, app: &AppName, waited: Duration) -> Failure {
    let job = agent.queue.running(app).map_or_else(String::new, |job| format!(" (job {job})"));
    let waited =
        if waited.is_zero() { String::new() } else { format!(" after {} seconds", waited.as_secs()) };
    Failure::new(FailureKind::Busy, format!("another deploy of {app} is running{job}{waited}"))
        .cause("one job at a time may change an app")
        .hint("wait for it with --lock-wait SECONDS")
        .hint("watch it with: wharf deploy --attach")
}

#[cfg(test)]
mod tests;
