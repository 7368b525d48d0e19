//! Front ends' versions: which go up, by how much, and back again when nothing of the new ones went live.
//!
//! **Invariant**: what was written is taken back only where it is certain that no release with it is live.

use crate::config::Config;
use std::collections::BTreeMap;
use wharf_pack::bump::{self, Bump, BumpError, Bumped, Decision, Restored, Restorer, Version, VersionFile};
use wharf_proto::{Failure, FailureKind, Manifest, RelPath, release::FrontEnd, spec::BumpRule};

/// One front end's version, decided.
#[derive(Debug)]
pub struct Choice {
    pub file: RelPath,
    pub from: Version,
    /// The same where it is kept.
    pub to: Version,
    /// In a person's words, where it is kept.
    pub kept: Option<String>,
    bumped: Option<Bumped>,
}

/// What the server said of a front end, where it said anything.
fn known<'a>(front_ends: &'a [FrontEnd], rule: &BumpRule) -> Option<&'a FrontEnd> {
    front_ends.iter().find(|front_end| front_end.file == rule.file)
}

/// Decides every front end's version. Nothing is written.
///
/// `bump` is what the person asked for; without it, a version goes up by a patch where its front end changed.
///
/// # Errors
/// A file without a readable version, or a version that cannot be used.
pub fn choose(
    config: &Config,
    manifest: &Manifest,
    front_ends: &[FrontEnd],
    bump: Option<Bump>,
) -> Result<Vec<Choice>, Failure> {
    let choice = |rule| choose_one(config, manifest, rule, known(front_ends, rule), bump);
    config.spec.bump.iter().map(choice).collect()
}

fn choose_one(
    config: &Config,
    manifest: &Manifest,
    rule: &BumpRule,
    server: Option<&FrontEnd>,
    bump: Option<Bump>,
) -> Result<Choice, Failure> {
    if manifest.get(&rule.file).is_none() {
        let failure = Failure::new(
            FailureKind::Config,
            format!("{} is not shipped, so its version cannot rise", rule.file),
        );
        return Err(failure.hint("an ignore rule takes it: name it under `include` in [pack] of wharf.toml"));
    }
    let file = VersionFile::read(&rule.file.below(&config.root)).map_err(|error| failure(&error))?;
    let from = file.version();
    let keep =
        |why: String| Choice { file: rule.file.clone(), from, to: from, kept: Some(why), bumped: None };
    let matcher = rule.matcher().map_err(|error| Failure::from_error(FailureKind::Config, &error))?;
    let tree = manifest.tree_digest(matcher);
    let unchanged = server.is_some_and(|server| server.live_tree == Some(tree));
    if unchanged && bump.is_none() {
        return Ok(keep("its front end did not change".into()));
    }
    // A version that an older Wharf or another tool wrote may not be one of ours: it then bounds nothing.
    let of = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Version>().ok());
    let (live, highest) = server.map_or((None, None), |s| (of(&s.live_version), of(&s.highest_version)));
    match bump::next(from, live, highest, bump.unwrap_or_default()).map_err(|error| failure(&error))? {
        Decision::Keep(why) => Ok(keep(why.to_string())),
        Decision::Raise(to) => {
            Ok(Choice { file: rule.file.clone(), from, to, kept: None, bumped: Some(file.raised_to(to)) })
        }
    }
}

/// The versions that the shipped files will carry.
pub fn carried(choices: &[Choice]) -> BTreeMap<RelPath, String> {
    choices.iter().map(|choice| (choice.file.clone(), choice.to.to_string())).collect()
}

/// The new contents, without writing them.
pub fn contents(choices: &[Choice]) -> Vec<(RelPath, Vec<u8>)> {
    let content = |choice: &Choice| Some((choice.file.clone(), choice.bumped.as_ref()?.content().to_vec()));
    choices.iter().filter_map(content).collect()
}

/// Versions that were written, and how to take them back.
#[derive(Debug, Default)]
#[must_use = "a deploy that fails puts them back"]
pub struct Written {
    restorers: Vec<(RelPath, Restorer)>,
}

/// Writes every version that goes up.
///
/// # Errors
/// A file that cannot be written; those written before it are put back.
pub fn write(choices: Vec<Choice>) -> Result<Written, Failure> {
    let mut written = Written::default();
    for choice in choices {
        let Some(bumped) = choice.bumped else { continue };
        match bumped.write() {
            Ok(restorer) => written.restorers.push((choice.file, restorer)),
            Err(error) => {
                let mut failure = failure(&error);
                for remark in written.take_back() {
                    failure = failure.cause(remark);
                }
                return Err(failure);
            }
        }
    }
    Ok(written)
}

impl Written {
    pub fn is_empty(&self) -> bool {
        self.restorers.is_empty()
    }

    /// Puts the old bytes back; says for each file what came of it.
    pub fn take_back(self) -> Vec<String> {
        let restore = |(file, restorer): (RelPath, Restorer)| match restorer.restore() {
            Ok(Restored::PutBack) => format!("{file} has its old version again"),
            Ok(Restored::LeftAlone) => format!("{file} was edited meanwhile and is left as it is"),
            Err(error) => format!("{file} keeps the new version, which was never live: {error}"),
        };
        self.restorers.into_iter().map(restore).collect()
    }
}

fn failure(error: &BumpError) -> Failure {
    let kind = match error {
        BumpError::Read { .. } | BumpError::Write { .. } | BumpError::Changed { .. } => {
            FailureKind::Environment
        }
        _ => FailureKind::Config,
    };
    Failure::from_error(kind, error).hint(error.hint())
}
