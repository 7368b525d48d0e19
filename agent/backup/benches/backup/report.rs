//! The report: ratios, in Markdown, with what was expected of them.

use crate::measure::Sample;
use std::fmt::Write;

/// One backup by each tool: Wharf, restic, by hand.
pub struct Round {
    name: String,
    wharf: Sample,
    restic: Sample,
    plain: Sample,
}

impl Round {
    pub fn new(name: String, samples: Vec<Sample>) -> Self {
        let [wharf, restic, plain] = samples[..] else { panic!("three tools, and not {samples:?}") };
        Self { name, wharf, restic, plain }
    }
}

/// The backup before a deploy where nothing changed.
pub struct Small {
    /// `pg_dump` alone.
    pub dump: Sample,
    pub backup: Sample,
}

pub fn markdown(rounds: &[Round], small: &Small) -> String {
    let mut text = String::new();
    text.push_str(
        "| | time | of restic's | of by hand | peak memory | restic's | added | of restic's | of by hand |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for round in rounds {
        let Round { name, wharf, restic, plain } = round;
        writeln!(
            text,
            "| {name} | {:.2} s | {:.2} | {:.2} | {} | {} | {} | {:.2} | {:.3} |",
            wharf.seconds,
            wharf.seconds / restic.seconds,
            wharf.seconds / plain.seconds,
            mib(wharf.peak_bytes),
            mib(restic.peak_bytes),
            mib(wharf.added_bytes),
            wharf.added_bytes as f64 / restic.added_bytes as f64,
            wharf.added_bytes as f64 / plain.added_bytes as f64,
        )
        .unwrap();
    }
    text.push('\n');
    expectations(&mut text, rounds, small);
    text
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Each expectation, what came, and whether it holds.
fn expectations(text: &mut String, rounds: &[Round], small: &Small) {
    let [first, later @ .., rows] = rounds else { panic!("too few rounds") };
    let times = |round: &Round| round.wharf.seconds / round.restic.seconds;
    let worst = later.iter().map(times).fold(0.0, f64::max);
    let mut sorted: Vec<f64> = later.iter().map(times).collect();
    sorted.sort_by(f64::total_cmp);
    let peak = rounds.iter().map(|round| round.wharf.peak_bytes).max().unwrap_or_default();
    let beside = (small.backup.seconds - small.dump.seconds) * 1000.0;
    let added = rows.wharf.added_bytes as f64 / rows.restic.added_bytes as f64;
    let lines = [
        ("first backup, of restic's time", "≤ 1.5", format!("{:.2}", times(first)), times(first) <= 1.5),
        (
            "later backups, of restic's time: median (worst)",
            "≤ 1",
            format!("{:.2} ({worst:.2})", sorted[sorted.len() / 2]),
            worst <= 1.0,
        ),
        (
            "a dump with 1 % of its rows changed adds, of restic's",
            "≤ 0.25",
            format!("{added:.2}"),
            added <= 0.25,
        ),
        (
            "unchanged small project, beside `pg_dump` itself",
            "< 100 ms",
            format!("{beside:.0} ms"),
            beside < 100.0,
        ),
        (
            "peak memory: small database, large database",
            "< 150 MB",
            format!("{}, {}", mib(small.backup.peak_bytes), mib(peak)),
            peak < 150_000_000,
        ),
    ];
    text.push_str("| expected | | came | |\n|---|---|---|---|\n");
    for (what, wanted, came, holds) in lines {
        let verdict = if holds { "holds" } else { "**does not hold**" };
        writeln!(text, "| {what} | {wanted} | {came} | {verdict} |").unwrap();
    }
}
