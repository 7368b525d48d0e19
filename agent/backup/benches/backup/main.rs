//! Wharf's backups against restic, and against `pg_dump | zstd` with `cp -r`: time, peak memory and bytes added, all
//! from one run on one machine. `scripts/bench backup` runs it; `docs/BENCHMARKS.md` keeps a run.
//!
//! Every tool backs up the same files and the same database, ten times, while both change between the rounds. The
//! numbers of a run mean something beside each other only, so the report is ratios.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark stops where something fails")]

mod measure;
mod report;
mod subject;
mod tools;
mod tree;

// Its database and its repository are those of the tests.
#[path = "../../tests/scene/mod.rs"]
mod scene;

use measure::Sample;
use report::Round;
use subject::Subject;
use tools::{Plain, Restic, Tool, Wharf};

/// Backups of each tool; the first is into an empty repository.
const ROUNDS: usize = 10;
/// Of about a kilobyte each: a dump of some 300 MB.
const ROWS: u32 = 300_000;
/// How often the small project is backed up; the quickest counts.
const TRIES: usize = 5;

fn main() {
    // `cargo test --benches` runs this too, with this flag missing, and must not take minutes.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = large();
    let small = small();
    print!("{}", report::markdown(&rounds, &small));
}

/// Ten backups of 20,000 files and a large database by each tool, one after another, then one where only rows changed.
fn large() -> Vec<Round> {
    let mut subject = Subject::new(tree::FILES, ROWS);
    let mut tools: Vec<Box<dyn Tool>> =
        vec![Box::new(Wharf::new(&subject)), Box::new(Restic::new(&subject)), Box::new(Plain::new(&subject))];
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        if number > 1 {
            subject.change_files();
            subject.change_rows();
        }
        rounds.push(Round::new(format!("backup {number}"), run_all(&mut tools, &subject)));
    }
    subject.change_rows();
    rounds.push(Round::new("rows alone changed".to_owned(), run_all(&mut tools, &subject)));
    rounds
}

fn run_all(tools: &mut [Box<dyn Tool>], subject: &Subject) -> Vec<Sample> {
    tools.iter_mut().map(|tool| tool.back_up(subject)).collect()
}

/// What a deploy waits for where nothing changed: a small project and a small database, beside `pg_dump` alone.
fn small() -> report::Small {
    let subject = Subject::new(20, 1_000);
    let mut wharf = Wharf::new(&subject);
    wharf.back_up(&subject);
    let best = |mut sample: Box<dyn FnMut() -> Sample + '_>| {
        (0..TRIES).map(|_| sample()).min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap()
    };
    let dump = best(Box::new(|| subject.dump_alone()));
    let backup = best(Box::new(|| wharf.back_up(&subject)));
    report::Small { dump, backup }
}
