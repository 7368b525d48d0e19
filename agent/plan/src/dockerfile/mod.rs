//! Which images a Dockerfile is made from.
//!
//! **Invariant**: what cannot be told for certain is an error, never a guess: the caller then rebuilds.

mod copied;
mod lines;
mod words;

pub use copied::copied;
use std::collections::{BTreeMap, BTreeSet};
use words::expand;

/// Why it cannot be told which images a Dockerfile is made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileError {
    #[error("line {line}: this build of Wharf cannot tell what {text:?} stands for")]
    Unknown { line: usize, text: String },
    #[error("line {line}: FROM names no image")]
    EmptyFrom { line: usize },
    #[error("line {line}: its heredoc does not end")]
    OpenHeredoc { line: usize },
    #[error("there is no stage {0:?}")]
    NoStage(String),
    #[error("there is no FROM")]
    NoFrom,
}

/// One `FROM` and what follows it.
#[derive(Debug, Default)]
struct Stage {
    name: Option<String>,
    /// What it names: images or other stages.
    uses: Vec<String>,
}

/// The images that the build of `target` (`None`: the last stage) reads, in order, each once.
///
/// `args` are the build's arguments, `contexts` its additional contexts, which can stand for images.
///
/// # Errors
/// What cannot be told for certain.
pub fn from_images(
    text: &str,
    args: &BTreeMap<String, Option<String>>,
    target: Option<&str>,
    contexts: &BTreeMap<String, String>,
) -> Result<Vec<String>, DockerfileError> {
    let stages = read_stages(text, args)?;
    let start = match target.filter(|t| !t.is_empty()) {
        Some(target) => find_stage(&stages, target, stages.len())
            .ok_or_else(|| DockerfileError::NoStage(target.to_owned()))?,
        None => stages.len().checked_sub(1).ok_or(DockerfileError::NoFrom)?,
    };
    let mut needed = BTreeSet::from([start]);
    let mut images: Vec<Vec<String>> = Vec::new();
    // Stages name only earlier ones, so one way back through them reaches all.
    for (index, stage) in stages.iter().enumerate().take(start + 1).rev() {
        if !needed.contains(&index) {
            continue;
        }
        let mut of_stage = Vec::new();
        for used in &stage.uses {
            match resolve(used, index, &stages, contexts) {
                Used::Stage(other) => drop(needed.insert(other)),
                Used::Image(image) => of_stage.push(image),
                Used::Nothing => {}
            }
        }
        images.push(of_stage);
    }
    let mut seen = BTreeSet::new();
    Ok(images.into_iter().rev().flatten().filter(|image| seen.insert(image.clone())).collect())
}

enum Used {
    Stage(usize),
    Image(String),
    Nothing,
}

fn resolve(name: &str, at: usize, stages: &[Stage], contexts: &BTreeMap<String, String>) -> Used {
    if let Some(stage) = find_stage(stages, name, at) {
        return Used::Stage(stage);
    }
    if let Some(context) = contexts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v) {
        return match context.strip_prefix("docker-image://") {
            Some(image) => Used::Image(image.to_owned()),
            None => Used::Nothing,
        };
    }
    if name == "scratch" { Used::Nothing } else { Used::Image(name.to_owned()) }
}

/// The stage of that name or number before `end`; the last of a name wins.
fn find_stage(stages: &[Stage], name: &str, end: usize) -> Option<usize> {
    let named = |stage: &Stage| stage.name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(name));
    let earlier = stages.get(..end)?;
    earlier.iter().rposition(named).or_else(|| name.parse().ok().filter(|index| *index < end))
}

fn read_stages(text: &str, args: &BTreeMap<String, Option<String>>) -> Result<Vec<Stage>, DockerfileError> {
    let instructions = lines::instructions(text).map_err(|line| DockerfileError::OpenHeredoc { line })?;
    let mut globals: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in &instructions {
        let line = instruction.line;
        let unknown = |text: &str| DockerfileError::Unknown { line, text: text.chars().take(100).collect() };
        let rest = &instruction.rest;
        match (instruction.keyword.as_str(), stages.last_mut()) {
            ("FROM", _) => {
                let from = read_from(rest, line, &globals, instruction.escape)?;
                stages.push(from);
            }
            ("ARG", None) => {
                for word in words::split(rest, instruction.escape).ok_or_else(|| unknown(rest))? {
                    let (name, default) =
                        word.split_once('=').map_or((word.as_str(), None), |(n, d)| (n, Some(d)));
                    let default = default
                        .map(|d| expand(d, &globals, instruction.escape).ok_or_else(|| unknown(d)))
                        .transpose()?;
                    let given = args.get(name).cloned().flatten();
                    if let Some(value) = given.or(default) {
                        globals.insert(name.to_owned(), value);
                    }
                }
            }
            ("COPY", Some(stage)) => {
                let flags = rest.split_whitespace().take_while(|word| word.starts_with("--"));
                for from in flags.filter_map(|word| word.strip_prefix("--from=")) {
                    stage.uses.push(plain(from).ok_or_else(|| unknown(from))?);
                }
            }
            ("RUN", Some(stage)) => {
                let flags = rest.split_whitespace().take_while(|word| word.starts_with("--"));
                for mount in flags.filter_map(|word| word.strip_prefix("--mount=")) {
                    for from in mount.split(',').filter_map(|field| field.strip_prefix("from=")) {
                        stage.uses.push(plain(from).ok_or_else(|| unknown(from))?);
                    }
                }
            }
            _ => {}
        }
    }
    if stages.is_empty() { Err(DockerfileError::NoFrom) } else { Ok(stages) }
}

fn read_from(
    rest: &str,
    line: usize,
    globals: &BTreeMap<String, String>,
    escape: char,
) -> Result<Stage, DockerfileError> {
    let unknown = |text: &str| DockerfileError::Unknown { line, text: text.chars().take(100).collect() };
    let words = words::split(rest, escape).ok_or_else(|| unknown(rest))?;
    let mut words = words.iter().skip_while(|word| word.starts_with("--"));
    let image = words.next().ok_or(DockerfileError::EmptyFrom { line })?;
    let image = expand(image, globals, escape).ok_or_else(|| unknown(image))?;
    if image.is_empty() {
        return Err(DockerfileError::EmptyFrom { line });
    }
    let name = match (words.next(), words.next()) {
        (Some(word), Some(name)) if word.eq_ignore_ascii_case("as") => Some(name.clone()),
        _ => None,
    };
    Ok(Stage { name, uses: vec![image] })
}

/// A stage or image named where BuildKit expands nothing.
fn plain(text: &str) -> Option<String> {
    let text = text.trim_matches(['"', '\'']);
    (!text.is_empty() && !text.contains(['$', '"', '\'', '\\'])).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
