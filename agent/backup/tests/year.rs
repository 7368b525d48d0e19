//! Backups and retention through a year, on a real repository: exactly the expected ones remain. Show 7 of the data issue.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod scene;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use scene::{Scene, ask, random_file};
use std::collections::BTreeSet;
use wharf_backup::{ForgetRequest, RestoreRequest};
use wharf_proto::BackupId;
use wharf_proto::spec::KeepSpec;
use wharf_schedule::{Candidate, Floor, Kept, Zone, plan};

const KEEP: KeepSpec = KeepSpec { last: 3, hourly: 0, daily: 7, weekly: 4, monthly: 6, yearly: 1 };
/// How many releases are listed, of one a week.
const RELEASES: usize = 8;
const CHANGING_BYTES: usize = 20_000;

/// Each hour of a year with `WHARF_TEST_LONG`, else each twelfth of six weeks.
#[tokio::test]
async fn a_year_of_backups_leaves_exactly_the_expected_ones() {
    let is_long = std::env::var_os("WHARF_TEST_LONG").is_some();
    let (days, step) = if is_long { (365, 1) } else { (42, 12) };
    let start: Timestamp = "2026-01-15T00:30:00Z".parse().unwrap();
    let scene = Scene::new();
    let mut made: Vec<(BackupId, Timestamp, u64)> = Vec::new();
    let mut releases: Vec<BackupId> = Vec::new();
    for hour in (0..days * 24).step_by(step) {
        let seed = hour as u64;
        scene.random_file("changing", CHANGING_BYTES, seed);
        let time = start + SignedDuration::from_hours(i64::try_from(hour).unwrap());
        let mut request = scene.backup(vec![]);
        request.time = time;
        let id = ask(request).await.unwrap().id;
        if hour % (7 * 24) == 0 {
            releases.push(id.clone());
        }
        made.push((id, time, seed));
        // Each day's last backup is followed by retention.
        if hour % 24 + step == 24 {
            retain(&scene, &releases, time).await;
        }
    }
    let listed: BTreeSet<BackupId> = scene.list().await.backups.into_iter().map(|backup| backup.id).collect();
    assert_eq!(listed, expected(&made, &releases));
    scene.restic(&["check", "--read-data"]);
    for (id, _, seed) in made.iter().filter(|(id, ..)| listed.contains(id)) {
        let to = tempfile::tempdir().unwrap();
        let restore = RestoreRequest {
            repo: scene.repo.clone(),
            key_file: scene.key_file.clone(),
            snapshot: id.clone(),
            path: "/project/changing".to_owned(),
            to: to.path().to_owned(),
        };
        ask(restore).await.unwrap();
        random_file(&to.path().join("expected"), CHANGING_BYTES, *seed);
        let read = |name: &str| std::fs::read(to.path().join(name)).unwrap();
        assert!(read("changing") == read("expected"), "{id}");
    }
}

/// The restore points of the releases that are still listed.
fn listed(releases: &[BackupId]) -> BTreeSet<BackupId> {
    releases.iter().rev().take(RELEASES).cloned().collect()
}

async fn retain(scene: &Scene, releases: &[BackupId], now: Timestamp) {
    let candidate = |backup: wharf_backup::BackupInfo| Candidate {
        id: backup.id,
        time: backup.time,
        good: true,
        known: true,
    };
    let all: Vec<Candidate> = scene.list().await.backups.into_iter().map(candidate).collect();
    let special = Kept { releases: listed(releases), pinned: BTreeSet::new() };
    let plan = plan(&all, Some(&KEEP), &Floor::default(), &special, Zone::UTC, now);
    if !plan.forget.is_empty() {
        let (repo, key_file) = (scene.repo.clone(), scene.key_file.clone());
        ask(ForgetRequest { repo, key_file, ids: plan.forget, prune: true }).await.unwrap();
    }
}

/// By the words of docs/BACKUPS.md, from all that were ever made: the newest of each of the newest spans that have one.
fn expected(made: &[(BackupId, Timestamp, u64)], releases: &[BackupId]) -> BTreeSet<BackupId> {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let week = |at: Timestamp| {
        let since_monday = i64::from(day(at).weekday().to_monday_zero_offset());
        day(at - SignedDuration::from_hours(since_monday * 24)).to_string()
    };
    let rules: [(u32, &dyn Fn(Timestamp) -> String); 5] = [
        (KEEP.last, &|at| at.to_string()),
        (KEEP.daily, &|at| day(at).to_string()),
        (KEEP.weekly, &week),
        (KEEP.monthly, &|at| day(at).strftime("%Y-%m").to_string()),
        (KEEP.yearly, &|at| day(at).strftime("%Y").to_string()),
    ];
    let mut kept = listed(releases);
    for (count, span) in rules {
        let mut spans = BTreeSet::new();
        for (id, at, _) in made.iter().rev() {
            if spans.len() < count as usize && spans.insert(span(*at)) {
                kept.insert(id.clone());
            }
        }
    }
    kept
}
