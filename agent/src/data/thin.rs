//! Which backups are to be at a place elsewhere, where its owner does not want all of them there.
//!
//! **Invariants**: what is not a copy of this agent's is never dropped; nor is anything that retention keeps here for a
//! reason of its own: the newest, restore points of listed releases, pinned ones, the server's floor.

use super::{known, prune};
use crate::agent::Agent;
use crate::chores::zone;
use crate::config::Retention;
use crate::jobs::backup::child;
use std::collections::{BTreeMap, BTreeSet};
use wharf_backup::{BackupError, BackupInfo, Location, LookRequest};
use wharf_proto::{BackupId, Failure};
use wharf_schedule::{Candidate, Floor, Kept, Zone};
use wharf_state::AppRecord;

/// For how long packs stay at a place that nothing there needs any more: a recovery on another machine may be reading
/// them.
pub const GRACE_HOURS: u32 = 23;

/// What retention wants of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The backups that are here and are to be there; none only where there is none here.
    pub copied: Vec<BackupId>,
    /// The copies that are there and are not to be, by their own ids.
    pub dropped: Vec<BackupId>,
}

/// Looks at both sides, and decides.
///
/// # Errors
/// The repository, the place or the state does not answer.
pub async fn wanted(
    agent: &Agent,
    record: &AppRecord,
    at: &Location,
    keep: Retention,
) -> Result<Wanted, Failure> {
    let here = known::listed(agent, &record.app).await?;
    let mut there = match wharf_backup::run(&child(agent), LookRequest { from: at.clone() }, |_| ()).await {
        Ok(report) => report.backups,
        // It was never copied to. One that is there no more, the copy tells of.
        Err(BackupError::RepositoryMissing { .. }) => Vec::new(),
        Err(error) => return Err(error.failure()),
    };
    as_known_here(&mut there, here.iter().map(|backup| (backup.original.as_ref(), &backup.id)));
    let kept = prune::kept(agent, &record.app, &here).await?;
    let here: Vec<Candidate> = here.iter().map(prune::candidate).collect();
    let now = agent.clock.now();
    Ok(decide(&here, &there, keep, agent.config.retention, &kept, zone(&record.spec)?, now))
}

/// Gives copies the names that their backups have here: one that came back from a copy has another id here than the one
/// that it was made with, which is the one that its copies name.
fn as_known_here<'a>(
    there: &mut [BackupInfo],
    here: impl Iterator<Item = (Option<&'a BackupId>, &'a BackupId)>,
) {
    let names: BTreeMap<&BackupId, &BackupId> =
        here.filter_map(|(original, id)| Some((original?, id))).collect();
    for copy in there {
        if let Some(id) = copy.original.as_ref().and_then(|original| names.get(original)) {
            copy.original = Some((*id).clone());
        }
    }
}

fn decide(
    here: &[Candidate],
    there: &[BackupInfo],
    keep: Retention,
    floor: Retention,
    kept: &Kept,
    zone: Zone,
    now: jiff::Timestamp,
) -> Wanted {
    let ours: BTreeSet<&BackupId> = here.iter().map(|backup| &backup.id).collect();
    // Those that only the place still has were good when they were copied, or they would not be there.
    let elsewhere = there.iter().filter_map(|copy| {
        let id = copy.original.clone().filter(|id| !ours.contains(id))?;
        Some(Candidate { id, time: copy.time, good: true, known: true })
    });
    let all: Vec<Candidate> = here.iter().cloned().chain(elsewhere).collect();
    let floor = Floor { days: floor.days.max(keep.days), ..floor.floor() };
    let plan = wharf_schedule::plan(&all, Some(&keep.floor().keep), &floor, kept, zone, now);
    let gone: BTreeSet<&BackupId> = plan.forget.iter().collect();
    let copies = there.iter().filter(|copy| copy.original.as_ref().is_some_and(|id| gone.contains(id)));
    // The newest that is here goes there, also where the place has something newer of a server that was before this one.
    let newest = here.iter().max_by_key(|backup| backup.time).map(|backup| &backup.id);
    Wanted {
        copied: ours.into_iter().filter(|id| !gone.contains(id) || Some(*id) == newest).cloned().collect(),
        dropped: copies.map(|copy| copy.id.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, ToSpan};

    fn id(text: &str) -> BackupId {
        BackupId(text.to_owned())
    }

    fn day(number: i64) -> Timestamp {
        "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap() + (number * 24).hours()
    }

    fn here(name: &str, on: i64) -> Candidate {
        Candidate { id: id(name), time: day(on), good: true, known: true }
    }

    fn copy(name: &str, of: Option<&str>, on: i64) -> BackupInfo {
        BackupInfo {
            id: id(name),
            original: of.map(id),
            time: day(on),
            host: "home".into(),
            tags: vec![],
            files: 1,
            size_bytes: 1,
            dumps: vec![],
            volumes: vec![],
            cold: vec![],
            recoverable: true,
        }
    }

    fn daily(daily: u32) -> Retention {
        Retention { daily, ..Retention::default() }
    }

    fn decided(
        here: &[Candidate],
        there: &[BackupInfo],
        keep: Retention,
        floor: Retention,
        kept: &Kept,
    ) -> Wanted {
        decide(here, there, keep, floor, kept, Zone::UTC, day(10))
    }

    #[test]
    fn a_place_keeps_its_own_number_of_days() {
        let there = [copy("c1", Some("b1"), 1), copy("c2", Some("b2"), 2), copy("c3", Some("b3"), 3)];
        let now = [here("b3", 3), here("b4", 4)];
        let none = Retention::default();
        // The two oldest are here no more: it is the place that has them for longer.
        let wanted = decided(&now, &there, daily(3), none, &Kept::default());
        assert_eq!(wanted, Wanted { copied: vec![id("b3"), id("b4")], dropped: vec![id("c1")] });
        // And one that has left by its rule is not sent there again.
        let wanted = decided(&now, &there, daily(1), none, &Kept::default());
        assert_eq!(wanted, Wanted { copied: vec![id("b4")], dropped: vec![id("c1"), id("c2"), id("c3")] });
        let newer = [copy("c8", Some("b8"), 8)];
        let wanted = decided(&now, &newer, daily(1), none, &Kept::default());
        assert_eq!(wanted, Wanted { copied: vec![id("b4")], dropped: vec![] });
    }

    #[test]
    fn what_came_back_by_a_recovery_is_the_same_backup_as_its_copy() {
        // Here it is x1 and x2; they were made as b1 and b2.
        let now = [here("x1", 1), here("x2", 2)];
        let names = [(Some(id("b1")), id("x1")), (Some(id("b2")), id("x2")), (None, id("b3"))];
        let mut there = [copy("c1", Some("b1"), 1), copy("c2", Some("b2"), 2), copy("c3", Some("b3"), 3)];
        as_known_here(&mut there, names.iter().map(|(original, id)| (original.as_ref(), id)));
        let pinned = Kept { pinned: [id("x1")].into(), ..Kept::default() };
        let last = Retention { last: 2, ..Retention::default() };
        let wanted = decided(&now, &there, last, Retention::default(), &pinned);
        assert_eq!(wanted, Wanted { copied: vec![id("x1"), id("x2")], dropped: vec![] });
    }

    #[test]
    fn what_has_a_reason_of_its_own_stays() {
        let there = [copy("c1", Some("b1"), 1), copy("x", None, 1), copy("c2", Some("b2"), 2)];
        let now = [here("b2", 2), here("b9", 9)];
        let none = Retention::default();
        let pinned = Kept { pinned: [id("b2")].into(), releases: [id("b1")].into() };
        let wanted = decided(&now, &there, daily(1), none, &pinned);
        assert_eq!(wanted, Wanted { copied: vec![id("b2"), id("b9")], dropped: vec![] });
        // What somebody else put there is not looked at, whatever the rule is.
        let wanted = decided(&now, &there, daily(1), none, &Kept::default());
        assert_eq!(wanted.dropped, [id("c1"), id("c2")]);
        // The server's floor holds there too, and so do days of the place's own.
        let floor = Retention { days: 9, ..none };
        assert_eq!(decided(&now, &there, daily(1), floor, &Kept::default()).dropped, [id("c1")]);
        let keep = Retention { days: 9, ..daily(1) };
        assert_eq!(decided(&now, &there, keep, none, &Kept::default()).dropped, [id("c1")]);
    }
}
