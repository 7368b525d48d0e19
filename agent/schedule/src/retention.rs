//! Which backups stay.
//!
//! A rule such as `daily = 7` keeps the newest good backup of each of the seven newest days that have one. Days without a
//! backup do not count, so that a server that was off for a month loses nothing by it. Forgetting after each backup and
//! forgetting once at the end leave the same.

use crate::Zone;
use chrono::Datelike;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::BackupId;
use wharf_proto::spec::KeepSpec;

const SECONDS_A_DAY: i64 = 86_400;

/// A backup that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: BackupId,
    pub time: Timestamp,
    /// Whether it was checked when it was made, and no drill has found it bad since.
    pub good: bool,
    /// Whether the agent has it in its state; what is not may be anybody's.
    pub known: bool,
}

/// What the server keeps, whatever a project says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floor {
    pub keep: KeepSpec,
    /// Everything younger than so many days stays.
    pub days: u32,
}

/// What stays for a reason of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The restore points of the releases that are listed.
    pub releases: BTreeSet<BackupId>,
    /// What an owner pinned.
    pub pinned: BTreeSet<BackupId>,
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    Release,
    Pinned,
    Newest,
    /// It is not in the agent's state.
    Foreign,
    /// Its time has not come yet: one of the clocks is wrong.
    Ahead,
    /// The project has no rule, so nothing goes.
    NoRule,
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
    Floor,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Release => "restore point of a release",
            Self::Pinned => "pinned",
            Self::Newest => "newest",
            Self::Foreign => "not made by this agent",
            Self::Ahead => "its time lies ahead",
            Self::NoRule => "no rule",
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::Floor => "the server's floor",
        })
    }
}

/// What stays, with every reason, and what goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Newest first.
    pub keep: Vec<(BackupId, Vec<Why>)>,
    /// Oldest first.
    pub forget: Vec<BackupId>,
}

/// Decides about every backup. `keep` is the project's; `None`: nothing goes.
pub fn plan(
    backups: &[Candidate],
    keep: Option<&KeepSpec>,
    floor: &Floor,
    kept: &Kept,
    zone: Zone,
    now: Timestamp,
) -> Plan {
    let mut sorted: Vec<&Candidate> = backups.iter().collect();
    // Of two of the same moment the order is that of their identities: the same whenever it is asked for.
    sorted.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    let mut reasons = special(&sorted, kept, now);
    // A bad backup must not take the place of a good one, nor must one from a future that may never come.
    let good: Vec<&Candidate> =
        sorted.iter().copied().filter(|c| c.good && c.known && c.time <= now).collect();
    match keep {
        None => sorted.iter().for_each(|backup| because(&mut reasons, backup, Why::NoRule)),
        Some(keep) => {
            for (id, why) in by_rules(&good, keep, zone) {
                reasons.entry(id).or_default().insert(why);
            }
        }
    }
    for (id, _) in by_rules(&good, &floor.keep, zone) {
        reasons.entry(id).or_default().insert(Why::Floor);
    }
    let floor_second = now.as_second().saturating_sub(i64::from(floor.days) * SECONDS_A_DAY);
    for backup in sorted.iter().filter(|c| c.time <= now && c.time.as_second() > floor_second) {
        because(&mut reasons, backup, Why::Floor);
    }
    let mut plan = Plan::default();
    for backup in sorted {
        match reasons.get(&backup.id) {
            Some(why) => plan.keep.push((backup.id.clone(), why.iter().copied().collect())),
            None => plan.forget.push(backup.id.clone()),
        }
    }
    plan.forget.reverse();
    plan
}

type Reasons = BTreeMap<BackupId, BTreeSet<Why>>;

fn because(reasons: &mut Reasons, backup: &Candidate, why: Why) {
    reasons.entry(backup.id.clone()).or_default().insert(why);
}

/// What stays whatever the rules say.
fn special(sorted: &[&Candidate], kept: &Kept, now: Timestamp) -> Reasons {
    let mut reasons = Reasons::new();
    for backup in sorted {
        let found = [
            (kept.releases.contains(&backup.id), Why::Release),
            (kept.pinned.contains(&backup.id), Why::Pinned),
            (!backup.known, Why::Foreign),
            (backup.time > now, Why::Ahead),
        ];
        for (_, why) in found.into_iter().filter(|(holds, _)| *holds) {
            because(&mut reasons, backup, why);
        }
    }
    let newest = sorted.iter().find(|backup| backup.time <= now);
    let newest_good = sorted.iter().find(|backup| backup.time <= now && backup.good && backup.known);
    for backup in newest.into_iter().chain(newest_good) {
        because(&mut reasons, backup, Why::Newest);
    }
    reasons
}

/// Which hour, day, week, month or year a moment lies in, as a number.
type Span = fn(Zone, Timestamp) -> i64;

/// What the rules keep of good backups, newest first.
fn by_rules(good: &[&Candidate], keep: &KeepSpec, zone: Zone) -> Vec<(BackupId, Why)> {
    let last = good.iter().take(keep.last as usize).map(|backup| (backup.id.clone(), Why::Last));
    let mut found: Vec<_> = last.collect();
    let rules: [(u32, Why, Span); 5] = [
        (keep.hourly, Why::Hourly, |_, at| at.as_second().div_euclid(3600)),
        (keep.daily, Why::Daily, |zone, at| day(zone, at)),
        // Weeks begin on Monday, as day 1 of the common era did.
        (keep.weekly, Why::Weekly, |zone, at| (day(zone, at) - 1).div_euclid(7)),
        (keep.monthly, Why::Monthly, |zone, at| {
            let date = zone.local(at).date();
            i64::from(date.year()) * 12 + i64::from(date.month0())
        }),
        (keep.yearly, Why::Yearly, |zone, at| i64::from(zone.local(at).date().year())),
    ];
    for (count, why, span) in rules {
        let mut last = None;
        let mut left = count;
        for backup in good {
            let this = Some(span(zone, backup.time));
            if left == 0 {
                break;
            }
            if this != last {
                found.push((backup.id.clone(), why));
                last = this;
                left -= 1;
            }
        }
    }
    found
}

fn day(zone: Zone, at: Timestamp) -> i64 {
    i64::from(zone.local(at).date().num_days_from_ce())
}

#[cfg(test)]
mod tests;
