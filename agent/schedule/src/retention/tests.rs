use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(number: usize) -> BackupId {
    BackupId(format!("{number:08x}"))
}

fn good(number: usize, time: Timestamp) -> Candidate {
    Candidate { id: id(number), time, good: true, known: true }
}

fn backups(times: &[&str]) -> Vec<Candidate> {
    times.iter().enumerate().map(|(number, time)| good(number, at(time))).collect()
}

fn numbers(plan: &Plan) -> Vec<usize> {
    let mut kept: Vec<usize> =
        plan.keep.iter().map(|(id, _)| usize::from_str_radix(&id.0, 16).unwrap()).collect();
    kept.sort_unstable();
    kept
}

fn kept(times: &[&str], keep: KeepSpec) -> Vec<usize> {
    let now = at("2026-12-31T23:59:59Z");
    numbers(&plan(&backups(times), Some(&keep), &Floor::default(), &Kept::default(), Zone::UTC, now))
}

#[test]
fn each_rule_keeps_the_newest_of_its_spans() {
    let times = [
        "2024-06-01T00:00:00Z", // 0
        "2025-12-31T22:00:00Z", // 1
        "2026-10-05T03:00:00Z", // 2
        "2026-11-29T03:00:00Z", // 3, a Sunday
        "2026-11-30T03:00:00Z", // 4, a Monday
        "2026-12-01T03:00:00Z", // 5
        "2026-12-01T04:00:00Z", // 6
        "2026-12-01T04:30:00Z", // 7
    ];
    let none = KeepSpec::default();
    for (rule, expected) in [
        (KeepSpec { last: 3, ..none }, vec![5, 6, 7]),
        (KeepSpec { hourly: 2, ..none }, vec![5, 7]),
        (KeepSpec { daily: 2, ..none }, vec![4, 7]),
        (KeepSpec { weekly: 2, ..none }, vec![3, 7]),
        (KeepSpec { monthly: 3, ..none }, vec![2, 4, 7]),
        (KeepSpec { yearly: 2, ..none }, vec![1, 7]),
        (KeepSpec { yearly: 9, ..none }, vec![0, 1, 7]),
        (KeepSpec { daily: 2, yearly: 2, ..none }, vec![1, 4, 7]),
        // No rule keeps anything, but the newest never goes.
        (none, vec![7]),
    ] {
        assert_eq!(kept(&times, rule), expected, "{rule:?}");
    }
}

#[test]
fn days_are_the_zones() {
    // In Berlin the second one is of the next day.
    let times = backups(&["2026-07-01T20:00:00Z", "2026-07-01T22:30:00Z"]);
    let daily = KeepSpec { daily: 7, ..KeepSpec::default() };
    let of = |zone: &str| {
        let (floor, none, zone) = (Floor::default(), Kept::default(), zone.parse().unwrap());
        numbers(&plan(&times, Some(&daily), &floor, &none, zone, at("2026-07-02T00:00:00Z")))
    };
    assert_eq!(of("UTC"), [1]);
    assert_eq!(of("Europe/Berlin"), [0, 1]);
}

#[test]
fn what_has_a_reason_of_its_own_stays_and_says_why() {
    let mut all = backups(&[
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
        "2026-01-04T00:00:00Z",
        "2026-01-05T00:00:00Z",
        "2026-01-06T00:00:00Z",
        "2031-01-01T00:00:00Z",
    ]);
    all[2].known = false;
    all[5].good = false;
    let special = Kept { releases: [id(0)].into(), pinned: [id(1)].into() };
    let keep = KeepSpec { last: 1, ..KeepSpec::default() };
    let plan = plan(&all, Some(&keep), &Floor::default(), &special, Zone::UTC, at("2026-02-01T00:00:00Z"));
    assert_eq!(
        plan.keep,
        [
            (id(6), vec![Why::Ahead]),
            // Bad, but the newest; the newest good one stays beside it, and fills the rule.
            (id(5), vec![Why::Newest]),
            (id(4), vec![Why::Newest, Why::Last]),
            (id(2), vec![Why::Foreign]),
            (id(1), vec![Why::Pinned]),
            (id(0), vec![Why::Release]),
        ]
    );
    assert_eq!(plan.forget, [id(3)]);
}

#[test]
fn without_a_rule_nothing_goes() {
    let all = backups(&["2020-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
    let plan = plan(&all, None, &Floor::default(), &Kept::default(), Zone::UTC, at("2026-02-01T00:00:00Z"));
    assert_eq!(plan.forget, []);
}

#[test]
fn the_floor_only_lengthens() {
    let times = ["2026-01-25T00:00:00Z", "2026-01-28T00:00:00Z", "2026-01-30T00:00:00Z"];
    let now = at("2026-02-01T00:00:00Z");
    let with = |floor: Floor, last: u32| {
        let keep = KeepSpec { last, ..KeepSpec::default() };
        numbers(&plan(&backups(&times), Some(&keep), &floor, &Kept::default(), Zone::UTC, now))
    };
    let none = Floor::default();
    assert_eq!(with(none, 1), [2]);
    assert_eq!(with(Floor { days: 5, ..none }, 1), [1, 2]);
    let daily = KeepSpec { daily: 3, ..KeepSpec::default() };
    assert_eq!(with(Floor { keep: daily, ..none }, 1), [0, 1, 2]);
    assert_eq!(with(Floor { days: 1, ..none }, 3), [0, 1, 2]);
}

/// Show 7: a year of hourly backups, forgotten after each one, with a release a week of which eight stay listed.
#[test]
fn a_year_of_hourly_backups() {
    let start = at("2026-01-01T00:00:00Z");
    let keep = KeepSpec { last: 2, hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 3 };
    let (floor, pinned) = (Floor { days: 2, ..Floor::default() }, id(100));
    let mut held: Vec<Candidate> = Vec::new();
    let mut releases: Vec<BackupId> = Vec::new();
    let mut most = 0;
    let hours = 365 * 24;
    for hour in 0..hours {
        let time = start + SignedDuration::from_hours(hour);
        let backup = good(usize::try_from(hour).unwrap(), time);
        if hour % (7 * 24) == 11 {
            releases.push(backup.id.clone());
        }
        held.push(backup);
        let listed = releases.iter().rev().take(8).cloned().collect();
        let special = Kept { releases: listed, pinned: [pinned.clone()].into() };
        let plan = plan(&held, Some(&keep), &floor, &special, Zone::UTC, time);
        held.retain(|backup| !plan.forget.contains(&backup.id));
        for release in &special.releases {
            assert!(held.iter().any(|backup| backup.id == *release), "{release} is gone in hour {hour}");
        }
        most = most.max(held.len());
    }
    // Written down by hand, not by the rules' own code.
    let last = hours - 1;
    let mut expected: BTreeSet<i64> = (last - 47..=last).collect(); // two days whole
    let end_of_day = |day: i64| day * 24 + 23;
    expected.extend((358..365).map(end_of_day)); // seven days
    // 1 January 2026 is a Thursday: Sundays are days 3, 10, …; the last week, from 28 December, is not over.
    expected.extend([360, 353, 346, 364].map(end_of_day));
    expected.extend([211, 242, 272, 303, 333, 364].map(end_of_day)); // 31 July to 31 December
    expected.insert(100);
    expected.extend((45..53).map(|week| week * 168 + 11)); // eight releases
    let found: BTreeSet<i64> =
        held.iter().map(|backup| i64::from_str_radix(&backup.id.0, 16).unwrap()).collect();
    assert_eq!(found, expected);
    assert!(most <= 48 + 7 + 4 + 6 + 3 + 8 + 1, "never more than the rules allow: {most}");
}

fn any_keep() -> impl Strategy<Value = KeepSpec> {
    (0u32..5, 0u32..30, 0u32..10, 0u32..6, 0u32..6, 0u32..3).prop_map(
        |(last, hourly, daily, weekly, monthly, yearly)| KeepSpec {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
        },
    )
}

fn any_backups() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (1_700_000_000i64..1_800_000_000, any::<bool>(), prop::bool::weighted(0.9));
    proptest::collection::vec(one, 0..60).prop_map(|times| {
        let candidate = |(number, (second, good, known))| Candidate {
            id: id(number),
            time: Timestamp::from_second(second).unwrap(),
            good,
            known,
        };
        times.into_iter().enumerate().map(candidate).collect()
    })
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

proptest! {
    #[test]
    fn each_backup_is_decided_once_and_the_protected_stay(
        all in any_backups(), keep in any_keep(), releases in 0usize..60, pinned in 0usize..60,
    ) {
        let special = Kept { releases: [id(releases)].into(), pinned: [id(pinned)].into() };
        let zone = "Europe/Berlin".parse().unwrap();
        let plan = plan(&all, Some(&keep), &Floor::default(), &special, zone, now());
        prop_assert_eq!(plan.keep.len() + plan.forget.len(), all.len());
        prop_assert!(plan.keep.iter().all(|(_, why)| !why.is_empty()));
        for id in &plan.forget {
            let backup = all.iter().find(|backup| backup.id == *id).unwrap();
            prop_assert!(backup.known && backup.time <= now());
            prop_assert!(!special.releases.contains(id) && !special.pinned.contains(id));
        }
        let past = all.iter().filter(|backup| backup.time <= now());
        let newest = past.clone().max_by_key(|backup| (backup.time, backup.id.clone()));
        let newest_good =
            past.filter(|c| c.good && c.known).max_by_key(|backup| (backup.time, backup.id.clone()));
        for backup in newest.into_iter().chain(newest_good) {
            prop_assert!(!plan.forget.contains(&backup.id));
        }
    }

    #[test]
    fn a_floor_keeps_at_least_what_was_kept_without(
        all in any_backups(), keep in any_keep(), floor in any_keep(), days in 0u32..400,
    ) {
        let with = |floor: &Floor| {
            let plan = plan(&all, Some(&keep), floor, &Kept::default(), Zone::UTC, now());
            plan.keep.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>()
        };
        let floor = Floor { keep: floor, days };
        prop_assert!(with(&floor).is_superset(&with(&Floor::default())));
        // Nor can a project get below what the floor alone keeps.
        let alone = plan(&all, Some(&floor.keep), &Floor { days, ..Floor::default() }, &Kept::default(), Zone::UTC, now());
        let alone: BTreeSet<_> = alone.keep.into_iter().map(|(id, _)| id).collect();
        prop_assert!(with(&floor).is_superset(&alone));
    }

    #[test]
    fn forgetting_after_each_backup_is_forgetting_once(
        steps in proptest::collection::vec(60i64..200_000, 1..120), keep in any_keep(),
    ) {
        let mut time = 1_700_000_000;
        let (mut held, mut all) = (Vec::new(), Vec::new());
        let decide = |backups: &[Candidate], now: i64| {
            let now = Timestamp::from_second(now).unwrap();
            plan(backups, Some(&keep), &Floor::default(), &Kept::default(), Zone::UTC, now)
        };
        for (number, step) in steps.into_iter().enumerate() {
            time += step;
            let backup = good(number, Timestamp::from_second(time).unwrap());
            all.push(backup.clone());
            held.push(backup);
            let plan = decide(&held, time);
            held.retain(|backup: &Candidate| !plan.forget.contains(&backup.id));
        }
        let once = decide(&all, time);
        let held: BTreeSet<_> = held.into_iter().map(|backup| backup.id).collect();
        prop_assert_eq!(held, once.keep.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>());
    }
}
