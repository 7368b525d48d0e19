//! Copies of backups in other places, made in the background: no job, no deploy waits for them.
//!
//! **Invariants**
//! - One copy runs at a time, and what it found is written down before anybody is told.
//! - A place that does not answer harms nothing here: it is warned about, and tried again.
//! - Nothing is dropped there unless its owner said what is to stay, and all that is to be there is.
//! - A place with a schedule is copied to when it says so, once for all the times that were missed.
//! - A copy gives way to retention here, and goes on after it.

use super::thin;
use crate::agent::Agent;
use crate::config::Offsite;
use crate::jobs::backup::child;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wharf_backup::{
    BackupError, CopyReport, CopyRequest, Location, Place, ThinRequest, Update, recovery_key_file,
};
use wharf_proto::{AppName, BackupId, Failure};
use wharf_schedule::{Memory, Schedule, next_due};
use wharf_state::AppRecord;

/// How often places without a schedule are looked at when no backup was made.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// For how long a place may fail before people are warned.
const PATIENCE_SECONDS: i64 = 3600;

/// What is known of one place of one app.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    /// When all backups were there.
    complete: Option<Timestamp>,
    /// The backups that are there, by the ids that they have here.
    there: BTreeSet<BackupId>,
    /// Since when it fails, and why.
    failing: Option<(Timestamp, String)>,
    /// Why what it is not to keep is there still.
    #[serde(default)]
    undropped: Option<String>,
    /// Since when it has a schedule: it owes nothing for the time before.
    #[serde(default)]
    since: Option<Timestamp>,
    /// When the last copy began that came to an end, and how many have failed since one did not.
    #[serde(default)]
    tried: Option<Timestamp>,
    #[serde(default)]
    failures: u32,
}

/// Copies what the places lack: now, after each backup, and every hour; to those with a schedule when it says so. Never
/// returns.
pub async fn keep_up(agent: Agent) {
    let has_schedules = agent.config.offsite.iter().any(|offsite| offsite.schedule.is_some());
    let wait = if has_schedules { agent.clock.look_every() } else { LOOK_EVERY };
    let (mut is_told, mut last) = (true, Instant::now());
    loop {
        let look = is_told || last.elapsed() >= LOOK_EVERY;
        if look {
            last = Instant::now();
        }
        match agent.state.apps().await {
            Ok(apps) => {
                for record in apps {
                    for offsite in &agent.config.offsite {
                        let is_due = match &offsite.schedule {
                            Some(schedule) => is_due(&agent, &record.app, offsite, schedule),
                            None => look,
                        };
                        if is_due {
                            bring(&agent, &record, offsite).await;
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot tell whose backups are to be copied"),
        }
        is_told = tokio::time::timeout(wait, agent.new_backup.notified()).await.is_ok();
    }
}

/// Whether the schedule of a place wants a copy now. One that is new is remembered from now on.
fn is_due(agent: &Agent, app: &AppName, offsite: &Offsite, schedule: &Schedule) -> bool {
    let (file, now) = (file(agent, app, &offsite.name), agent.clock.now());
    if offsite.place_of(app).is_none() || !agent.layout.repository(app).is_dir() {
        return false;
    }
    let known = read(&file);
    let Some(since) = known.since else {
        let known = Known { since: Some(now), tried: None, ..known };
        if let Err(error) = write(&file, &known) {
            tracing::warn!(%app, offsite = offsite.name, %error, "cannot write down when copies are due");
        }
        return false;
    };
    due(&known, since, schedule, now)
}

/// However many copies were missed, one makes up for them; one that failed is tried again sooner.
fn due(known: &Known, since: Timestamp, schedule: &Schedule, now: Timestamp) -> bool {
    let memory = Memory { since, last_run: known.tried, failures: known.failures };
    next_due(schedule, SignedDuration::ZERO, &memory, now).is_some_and(|due| due <= now)
}

/// What `wharf status` says of places that lack backups.
pub fn warnings(agent: &Agent, app: &AppName) -> Vec<String> {
    let now = Timestamp::now();
    let places = agent.config.offsite.iter().filter(|offsite| offsite.place_of(app).is_some());
    places
        .filter_map(|offsite| warning(&offsite.name, &read(&file(agent, app, &offsite.name)), now))
        .collect()
}

fn warning(name: &str, known: &Known, now: Timestamp) -> Option<String> {
    let Some((since, why)) = known.failing.as_ref() else {
        let why = known.undropped.as_ref()?;
        return Some(format!("old backups cannot be dropped at {name}, all new ones are there: {why}"));
    };
    if now.as_second() - since.as_second() < PATIENCE_SECONDS && known.complete.is_some() {
        return None;
    }
    let complete = match known.complete {
        Some(at) => format!("the last complete one is of {at}"),
        None => "none was ever complete".to_owned(),
    };
    Some(format!("backups are not copied to {name} since {since}, {complete}: {why}"))
}

/// Which places have a copy of each backup, by their names.
pub fn copies(agent: &Agent, app: &AppName) -> BTreeMap<BackupId, Vec<String>> {
    let mut copies: BTreeMap<BackupId, Vec<String>> = BTreeMap::new();
    for offsite in agent.config.offsite.iter().filter(|offsite| offsite.place_of(app).is_some()) {
        for id in read(&file(agent, app, &offsite.name)).there {
            copies.entry(id).or_default().push(offsite.name.clone());
        }
    }
    copies
}

async fn bring(agent: &Agent, record: &AppRecord, offsite: &Offsite) {
    let app = &record.app;
    let Some(place) = offsite.place_of(app) else { return };
    if !agent.layout.repository(app).is_dir() {
        return;
    }
    let (mut undropped, begun) = (None, agent.clock.now());
    let result = match brought(agent, record, offsite, place).await {
        Ok((report, problem)) => {
            undropped = problem;
            Ok(report)
        }
        // Something else works on it just now; the next look finds it free.
        Err(Trouble::Busy) => return,
        Err(Trouble::Failed(failure)) => {
            let causes = failure.causes.join("; ");
            tracing::warn!(%app, offsite = offsite.name, %failure, causes, "backups were not copied");
            Err(failure)
        }
    };
    let file = file(agent, app, &offsite.name);
    let mut known = learned(read(&file), result, Timestamp::now());
    known.tried = Some(begun);
    known.undropped = undropped.map(|failure| {
        tracing::warn!(%app, offsite = offsite.name, %failure, "old copies were not dropped");
        failure.message
    });
    if let Err(error) = write(&file, &known) {
        tracing::warn!(%app, offsite = offsite.name, %error, "cannot write down what was copied");
    }
}

/// Why a place is not as it should be.
enum Trouble {
    Busy,
    Failed(Failure),
}

impl From<BackupError> for Trouble {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::RepositoryLocked { .. } => Self::Busy,
            error => Self::Failed(error.failure()),
        }
    }
}

/// Copies what the place lacks and is to have; then, and only if all of that is there, drops what it is not to have.
async fn brought(
    agent: &Agent,
    record: &AppRecord,
    offsite: &Offsite,
    place: Place,
) -> Result<(CopyReport, Option<Failure>), Trouble> {
    let (app, child) = (&record.app, child(agent));
    let whole = request(agent, app, offsite, place);
    let at = whole.to.clone();
    let tell = |update| {
        if let Update::Note { text } = update {
            tracing::info!(%app, offsite = offsite.name, "{text}");
        }
    };
    let (report, dropped) = loop {
        let mut request = whole.clone();
        let mut dropped = Vec::new();
        if let Some(keep) = offsite.keep {
            let wanted = thin::wanted(agent, record, &at, keep).await.map_err(Trouble::Failed)?;
            request.only = wanted.copied;
            dropped = wanted.dropped;
        }
        if let Some(copied) = agent.turns.copy(app, wharf_backup::run(&child, request, tell)).await {
            break (copied?, dropped);
        }
        // What is to be there may have become another meanwhile.
        tracing::info!(%app, offsite = offsite.name, "the copy gave way to retention, and goes on");
    };
    if !dropped.is_empty() {
        let request = ThinRequest { at, ids: dropped, grace_hours: thin::GRACE_HOURS };
        match wharf_backup::run(&child, request, tell).await {
            Ok(gone) => {
                tracing::info!(%app, offsite = offsite.name, backups = gone.removed, "dropped there by its retention");
            }
            // What was copied is there all the same.
            Err(error) => return Ok((report, Some(error.failure()))),
        }
    }
    Ok((report, None))
}

fn request(agent: &Agent, app: &AppName, offsite: &Offsite, place: Place) -> CopyRequest {
    let key_file = agent.layout.repository_key(app);
    let password_file = recovery_key_file(&key_file);
    CopyRequest {
        from: Location {
            place: Place::Folder(agent.layout.repository(app)),
            key_file,
            password_file: password_file.clone(),
            own: true,
        },
        to: Location {
            place,
            key_file: agent.layout.offsite(app).join(format!("{}.key", offsite.name)),
            password_file,
            own: false,
        },
        only: Vec::new(),
        newest: None,
        read_back: offsite.read_back,
    }
}

fn learned(mut known: Known, result: Result<CopyReport, Failure>, now: Timestamp) -> Known {
    match result {
        Ok(report) => {
            known.there = report.copied.into_iter().chain(report.present).map(|copy| copy.id).collect();
            known.complete = Some(now);
            known.failing = None;
            known.failures = 0;
        }
        Err(error) => {
            let since = known.failing.map_or(now, |(since, _)| since);
            let why = error.causes.first().map(|cause| format!(" ({cause})")).unwrap_or_default();
            known.failing = Some((since, error.message + &why));
            known.failures = known.failures.saturating_add(1);
        }
    }
    known
}

fn file(agent: &Agent, app: &AppName, name: &str) -> PathBuf {
    agent.layout.offsite(app).join(format!("{name}.json"))
}

/// One that cannot be read is as one that is not there: the next look makes it anew.
fn read(file: &std::path::Path) -> Known {
    std::fs::read(file).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

fn write(file: &std::path::Path, known: &Known) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = file.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec(known)?)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_place_with_a_schedule_is_copied_to_when_it_says_so() {
        let nightly = Schedule::parse("0 3 * * *", wharf_schedule::Zone::UTC).unwrap();
        let hour = |hour: i64| at(1_790_035_200 + hour * 3600); // 2026-09-22 00:00
        let is_due = |tried: Option<i64>, failures, now| {
            let known = Known { tried: tried.map(hour), failures, ..Known::default() };
            due(&known, hour(1), &nightly, hour(now))
        };
        for (tried, failures, now, expected) in [
            (None, 0, 2, false), // it was named at one o'clock
            (None, 0, 3, true),
            (None, 0, 80, true),
            (Some(80), 0, 81, false), // once for all nights that were missed
            (Some(80), 0, 99, true),
            (Some(3), 0, 26, false),
            (Some(3), 1, 4, true), // a failure is not left until the next night
        ] {
            assert_eq!(is_due(tried, failures, now), expected, "{tried:?} {failures} {now}");
        }
    }

    #[test]
    fn a_place_that_fails_is_warned_about_once_it_is_no_hiccup() {
        let failed = || Err(BackupError::ElsewhereGone { place: "/mnt/d/shop".into() }.failure());
        let report = CopyReport { copied: vec![], present: vec![], added_bytes: 0, duration_ms: 1 };
        let never = learned(Known::default(), failed(), at(10));
        assert!(warning("disk", &never, at(11)).unwrap().contains("none was ever complete"));
        let once = learned(never, Ok(report), at(20));
        assert_eq!(warning("disk", &once, at(21)), None);
        let full = Known { undropped: Some("it may only add files".into()), ..once.clone() };
        assert!(warning("disk", &full, at(21)).unwrap().contains("it may only add files"));
        let again = learned(learned(once, failed(), at(100)), failed(), at(200));
        assert_eq!(warning("disk", &again, at(100 + PATIENCE_SECONDS - 1)), None);
        let told = warning("disk", &again, at(100 + PATIENCE_SECONDS)).unwrap();
        assert!(told.contains("1970-01-01T00:01:40Z") && told.contains("/mnt/d/shop"), "{told}");
    }
}
