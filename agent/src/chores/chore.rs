//! What is done for an app again and again: the one list, with when each is due and what is done then.

use crate::agent::Agent;
use crate::data::{self, Task};
use crate::failures;
use crate::jobs::queue::Rank;
use crate::operate;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;
use wharf_proto::backup::Proof;
use wharf_proto::event::JobKind;
use wharf_proto::{AppSpec, Failure, FailureKind, Outcome};
use wharf_schedule::{DrillFacts, Memory, Schedule, Zone, drill_due, jitter, next_due, retry_at};
use wharf_state::{AppRecord, BackupRecord, ChoreRecord};

/// How often the server's limits are looked at, besides after a release.
const HOUSE_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Newest jobs among which a migration is looked for.
const LOOKED_AT: u32 = 50;

/// One chore. A new one is a variant: the matches below ask for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// A backup by the app's schedule, and retention after it.
    Backup,
    /// What Docker holds is brought back within the server's own limits.
    House,
    /// The newest backup is proven.
    Drill,
}

impl Chore {
    /// In the order of their turn, where several are due.
    pub const ALL: [Self; 3] = [Self::Backup, Self::House, Self::Drill];

    /// As the state remembers it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::House => "house",
            Self::Drill => "drill",
        }
    }

    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Backup => "the scheduled backup",
            Self::House => "keeping Docker's images and build cache in bounds",
            Self::Drill => "the drill of the newest backup",
        }
    }

    pub fn rank(self) -> Rank {
        match self {
            Self::Backup => Rank::Chore,
            Self::House => Rank::House,
            Self::Drill => Rank::OwnDrill,
        }
    }

    /// When it is due next; at or before now: it is due. `None`: it is not on.
    ///
    /// # Errors
    /// The state does not answer.
    pub async fn due(
        self,
        agent: &Agent,
        app: &AppRecord,
        memory: &ChoreRecord,
    ) -> Result<Option<Timestamp>, Failure> {
        match self {
            Self::Backup => backup_due(agent, app, memory).await,
            Self::House => house_due(agent, app, memory).await,
            Self::Drill => newest_drill_due(agent, app, memory).await,
        }
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// The state does not answer.
    pub async fn task(self, agent: &Agent, app: &AppRecord) -> Result<Option<Task>, Failure> {
        Ok(match self {
            Self::Backup => Some(Task::Scheduled),
            Self::House => {
                let beyond = operate::house::is_beyond(agent, app, agent.config.house).await?;
                beyond.then_some(Task::House)
            }
            Self::Drill => newest(agent, app).await?.map(|backup| Task::Drill { backup: backup.id }),
        })
    }
}

/// The schedule of an app that has one.
///
/// # Errors
/// A text that is none. The client and the agent check it before each deploy.
pub fn schedule(spec: &AppSpec) -> Result<Option<Schedule>, Failure> {
    let Some(text) = &spec.backup.schedule else { return Ok(None) };
    Schedule::parse(text, zone(spec)?).map(Some).map_err(|e| {
        Failure::from_error(FailureKind::Config, &e).hint("correct schedule under [backup] in wharf.toml")
    })
}

/// The zone that an app's schedule and retention are read in.
///
/// # Errors
/// A name that is none.
pub fn zone(spec: &AppSpec) -> Result<Zone, Failure> {
    match &spec.backup.timezone {
        Some(name) => Zone::from_str(name).map_err(|e| {
            Failure::from_error(FailureKind::Config, &e).hint("correct timezone under [backup] in wharf.toml")
        }),
        None => Ok(servers_zone()),
    }
}

/// The server's own zone; UTC where it has none that is known.
pub fn servers_zone() -> Zone {
    let system = jiff::tz::TimeZone::system();
    system.iana_name().and_then(|name| name.parse().ok()).unwrap_or(Zone::UTC)
}

async fn backup_due(
    agent: &Agent,
    app: &AppRecord,
    memory: &ChoreRecord,
) -> Result<Option<Timestamp>, Failure> {
    let Some(schedule) = schedule(&app.spec)? else { return Ok(None) };
    // A backup that nobody can open elsewhere is not what a schedule promises.
    if !data::key_is_saved(agent, &app.app).await? {
        return Ok(None);
    }
    let now = agent.clock.now();
    let spread = jitter(app.app.as_str(), &schedule, now);
    Ok(next_due(&schedule, spread, &memory_of(memory), now))
}

/// Once a day, and after each release.
async fn house_due(
    agent: &Agent,
    app: &AppRecord,
    memory: &ChoreRecord,
) -> Result<Option<Timestamp>, Failure> {
    if agent.config.house.is_off() {
        return Ok(None);
    }
    let Some(last) = memory.last_run else { return Ok(Some(agent.clock.now())) };
    let next =
        last.saturating_add(HOUSE_EVERY).map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    if memory.failures > 0 {
        return Ok(Some(next));
    }
    let live = match app.live {
        Some(live) => agent.state.release(&app.app, live).await.map_err(|e| failures::of_state(&e))?,
        None => None,
    };
    Ok(Some(live.map(|live| live.created).filter(|created| *created > last).map_or(next, |at| at.min(next))))
}

async fn newest_drill_due(
    agent: &Agent,
    app: &AppRecord,
    memory: &ChoreRecord,
) -> Result<Option<Timestamp>, Failure> {
    let Some(backup) = newest(agent, app).await?.filter(|backup| backup.proof == Proof::Unproven) else {
        return Ok(None);
    };
    let live = match app.live {
        Some(live) => agent.state.release(&app.app, live).await.map_err(|e| failures::of_state(&e))?,
        None => None,
    };
    let released = live.as_ref().map(|live| live.created);
    let migrated = last_migration(agent, app).await?.filter(|at| released.is_none_or(|live| *at > live));
    let facts = DrillFacts {
        released: migrated.or(released),
        migrated: migrated.is_some() || live.is_some_and(|live| !live.spec.migrate.is_empty()),
        made: backup.at,
        dump_bytes: dump_bytes(&backup),
        last: memory.last_run.unwrap_or(memory.since),
        held: memory.last_run.is_some(),
    };
    let retry = (memory.failures > 0).then(|| retry_at(&memory_of(memory))).flatten();
    Ok(drill_due(app.spec.backup.drill, &facts).map(|due| retry.map_or(due, |retry| due.min(retry))))
}

/// When `wharf migrate up` or `down` last changed the schema.
async fn last_migration(agent: &Agent, app: &AppRecord) -> Result<Option<Timestamp>, Failure> {
    let jobs = agent.state.jobs(Some(&app.app), LOOKED_AT).await.map_err(|e| failures::of_state(&e))?;
    let migrations = jobs.into_iter().filter(|job| {
        matches!(job.kind, JobKind::MigrateUp | JobKind::MigrateDown { .. })
            && matches!(job.outcome, Some(Outcome::Done { .. }))
    });
    Ok(migrations.filter_map(|job| job.finished).next())
}

async fn newest(agent: &Agent, app: &AppRecord) -> Result<Option<BackupRecord>, Failure> {
    agent.state.last_backup(&app.app).await.map_err(|e| failures::of_state(&e))
}

fn dump_bytes(backup: &BackupRecord) -> u64 {
    let report = serde_json::from_value::<wharf_backup::BackupReport>(backup.report.clone());
    report.map_or(0, |report| report.dumps.iter().map(|dump| dump.size_bytes).sum())
}

fn memory_of(record: &ChoreRecord) -> Memory {
    Memory { since: record.since, last_run: record.last_run, failures: record.failures }
}
