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

use crate::agent::Agent;
use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use wharf_engine::{AppLock, Supervisor};
use wharf_proto::{AppName, Failure, FailureKind, JobId};

/// How long a leftover child of a former agent may take to end. They are killed; this bounds how long that can hang.
const CHILDREN_GONE_WITHIN: Duration = Duration::from_secs(60);
/// How long what gives way may take to end once it is told to.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(60);
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
            Self::Chore | Self::Change => false,
        }
    }
}

/// Which apps have a job.
#[derive(Default)]
pub struct Queue {
    apps: Mutex<HashMap<AppName, Arc<tokio::sync::Mutex<()>>>>,
    holders: Mutex<HashMap<AppName, Holder>>,
    /// Changed and read under the lock of `holders`.
    closed: AtomicBool,
    freed: Notify,
}

struct Holder {
    rank: Rank,
    job: Option<JobId>,
    wanted: CancellationToken,
}

/// The right to change one app.
pub struct Seat {
    turn: Option<OwnedMutexGuard<()>>,
    lock: Option<AppLock>,
    /// Starts the job's children, which hold the lock too.
    pub supervisor: Arc<Supervisor>,
    app: AppName,
    wanted: CancellationToken,
    queue: Arc<Queue>,
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
                if holders.is_empty() {
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

    /// How long somebody waits who said `wait_seconds`.
    fn patience(&self, app: &AppName, wait_seconds: u32, rank: Rank) -> Duration {
        let holder = self.holder(app, |holder| holder.rank).filter(|holder| *holder < rank);
        let least = match holder {
            Some(Rank::OwnDrill | Rank::Drill | Rank::House | Rank::Prune) => GIVES_WAY_WITHIN,
            Some(Rank::Chore) => CHORE_ENDS_WITHIN,
            Some(Rank::Change) | None => Duration::ZERO,
        };
        Duration::from_secs(wait_seconds.into()).max(least)
    }

    /// Whether somebody has the app's seat.
    pub fn is_taken(&self, app: &AppName) -> bool {
        self.turn(app).try_lock().is_err()
    }

    fn turn(&self, app: &AppName) -> Arc<tokio::sync::Mutex<()>> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }
}

impl Seat {
    /// Names the job that the seat was taken for.
    pub fn runs(&self, job: JobId) {
        self.queue.holder(&self.app, |holder| holder.job = Some(job));
    }

    /// Cancelled when somebody wants a seat whose holder gives way.
    pub fn wanted(&self) -> CancellationToken {
        self.wanted.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.queue.holders.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.app);
        drop(self.lock.take());
        drop(self.turn.take());
        self.queue.look_again();
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

/// As [`take`], for something of another rank.
///
/// # Errors
/// As for [`take`].
pub async fn take_as(agent: &Agent, app: &AppName, wait_seconds: u32, rank: Rank) -> Result<Seat, Failure> {
    let turn = agent.queue.turn(app);
    let turn = match Arc::clone(&turn).try_lock_owned() {
        Ok(turn) => turn,
        Err(_) => {
            let patience = agent.queue.patience(app, wait_seconds, rank);
            if patience.is_zero() {
                return Err(busy(agent, app, patience));
            }
            let locked = async {
                let mut locked = std::pin::pin!(turn.lock_owned());
                loop {
                    // Again and again, since another drill may have been before us in line.
                    agent.queue.want(app, rank);
                    if let Ok(turn) = tokio::time::timeout(LOOK_EVERY, &mut locked).await {
                        break turn;
                    }
                }
            };
            tokio::time::timeout(patience, locked).await.map_err(|_| busy(agent, app, patience))?
        }
    };
    seat(agent, app, turn, rank).await
}

/// Takes the seat of `app` where nobody has it or waits for it; who gives way is told that it is wanted.
///
/// # Errors
/// The lock's file cannot be made, or a former agent's child still holds it.
pub async fn take_if_free(agent: &Agent, app: &AppName, rank: Rank) -> Result<Option<Seat>, Failure> {
    if agent.queue.is_closed() {
        return Ok(None);
    }
    match agent.queue.turn(app).try_lock_owned() {
        Ok(turn) => seat(agent, app, turn, rank).await.map(Some),
        Err(_) => {
            agent.queue.want(app, rank);
            Ok(None)
        }
    }
}

async fn seat(agent: &Agent, app: &AppName, turn: OwnedMutexGuard<()>, rank: Rank) -> Result<Seat, Failure> {
    let wanted = CancellationToken::new();
    let holder = Holder { rank, job: None, wanted: wanted.clone() };
    if !agent.queue.enter(app, holder) {
        return Err(leaving());
    }
    let made = async {
        let lock = lock_file(agent, app).await?;
        let supervisor = Supervisor::new(agent.program.as_ref(), Some(&lock))
            .map_err(|e| Failure::from_error(FailureKind::Environment, &e))?;
        Ok((lock, supervisor))
    };
    match made.await {
        Ok((lock, supervisor)) => Ok(Seat {
            turn: Some(turn),
            lock: Some(lock),
            supervisor: Arc::new(supervisor),
            app: app.clone(),
            wanted,
            queue: Arc::clone(&agent.queue),
        }),
        Err(failure) => {
            agent.queue.holders.lock().unwrap_or_else(PoisonError::into_inner).remove(app);
            Err(failure)
        }
    }
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
mod tests {
    use super::*;

    fn holder(rank: Rank) -> Holder {
        Holder { rank, job: None, wanted: CancellationToken::new() }
    }

    #[test]
    fn drills_and_prunes_give_way_and_the_agents_own_prune_to_every_app() {
        let (blog, shop): (AppName, AppName) = ("blog".parse().unwrap(), "shop".parse().unwrap());
        for (has, wants, ends) in [
            (Rank::Drill, Rank::House, true),
            (Rank::Drill, Rank::Change, true),
            (Rank::House, Rank::Drill, false),
            (Rank::House, Rank::Chore, true),
            (Rank::House, Rank::Prune, true),
            (Rank::House, Rank::Change, true),
            (Rank::Chore, Rank::Change, false),
            (Rank::Prune, Rank::Chore, false),
            (Rank::Prune, Rank::Prune, false),
            (Rank::Prune, Rank::Change, true),
            (Rank::Change, Rank::Change, false),
        ] {
            let (queue, has_it) = (Queue::default(), holder(has));
            let wanted = has_it.wanted.clone();
            assert!(queue.enter(&blog, has_it));
            queue.want(&blog, wants);
            assert_eq!(wanted.is_cancelled(), ends, "{has:?} has it, {wants:?} wants it");
            let waits = queue.patience(&blog, 0, wants) > Duration::ZERO;
            assert_eq!(waits, has < wants, "{wants:?} waits for {has:?}");
        }
        for (has, begins, ends) in [
            (Rank::House, Rank::Change, true),
            (Rank::House, Rank::Chore, false),
            (Rank::Prune, Rank::Change, false),
            (Rank::Drill, Rank::Change, false),
        ] {
            let (queue, has_it) = (Queue::default(), holder(has));
            let wanted = has_it.wanted.clone();
            assert!(queue.enter(&blog, has_it) && queue.enter(&shop, holder(begins)));
            assert_eq!(wanted.is_cancelled(), ends, "{has:?}, and {begins:?} begins elsewhere");
            assert_eq!(queue.something_changes(), begins == Rank::Change);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_closes_when_nobody_is_in_it_and_opens_again_after_waiting_in_vain() {
        let queue = Queue::default();
        let (blog, shop): (AppName, AppName) = ("blog".parse().unwrap(), "shop".parse().unwrap());
        let drill = holder(Rank::Drill);
        let wanted = drill.wanted.clone();
        assert!(queue.enter(&blog, drill) && queue.enter(&shop, holder(Rank::Change)));
        assert!(!queue.close_when_idle(Duration::from_secs(3)).await);
        assert!(wanted.is_cancelled(), "a drill gives way");
        let closing = queue.close_when_idle(Duration::from_secs(60));
        let leaving = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!queue.enter(&"late".parse().unwrap(), holder(Rank::Change)), "it was closed");
            queue.holders.lock().unwrap().clear();
        };
        assert!(tokio::join!(closing, leaving).0);
        assert!(!queue.enter(&blog, holder(Rank::Change)), "it stays closed");
    }
}
