//! Whether a front end that changed carries a version that was never used.

use crate::refusal::Refusal;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use wharf_proto::plan::VersionChange;
use wharf_proto::spec::BumpRule;
use wharf_proto::{Manifest, RelPath};

/// A glob of the project's that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[[bump]] {file}: {why}")]
pub struct BumpError {
    pub file: RelPath,
    pub why: String,
}

/// What is known of versions.
pub struct BumpFacts<'a> {
    pub rules: &'a [BumpRule],
    /// The live release's files; `None` on a first deploy and where what runs was adopted.
    pub live: Option<&'a Manifest>,
    pub next: &'a Manifest,
    /// The live release's versions, by the rule's file.
    pub live_versions: &'a BTreeMap<RelPath, String>,
    /// The highest versions ever started on this server.
    pub highest: &'a BTreeMap<RelPath, String>,
    /// The versions that are shipped.
    pub shipped: &'a BTreeMap<RelPath, String>,
}

/// The versions' changes, and a refusal for each front end that changed under a version that was used before.
///
/// # Errors
/// A glob that cannot be read.
pub fn bump_check(facts: &BumpFacts<'_>) -> Result<(Vec<VersionChange>, Vec<Refusal>), BumpError> {
    let (mut changes, mut refusals) = (Vec::new(), Vec::new());
    for rule in facts.rules {
        let shipped = facts.shipped.get(&rule.file);
        let live = facts.live_versions.get(&rule.file);
        if let Some(to) = shipped
            && live != Some(to)
        {
            changes.push(VersionChange { file: rule.file.clone(), from: live.cloned(), to: to.clone() });
        }
        let used = [live, facts.highest.get(&rule.file)].into_iter().flatten().max_by(|a, b| compare(a, b));
        let raised = used.is_none_or(|used| shipped.is_some_and(|s| compare(s, used) == Ordering::Greater));
        if !raised && has_changed(facts, rule)? {
            refusals.push(Refusal::VersionNotRaised {
                file: rule.file.clone(),
                live: used.cloned().unwrap_or_default(),
                shipped: shipped.cloned(),
            });
        }
    }
    Ok((changes, refusals))
}

fn has_changed(facts: &BumpFacts<'_>, rule: &BumpRule) -> Result<bool, BumpError> {
    let matcher = rule.matcher().map_err(|e| BumpError { file: rule.file.clone(), why: e.to_string() })?;
    let Some(live) = facts.live else { return Ok(false) };
    Ok(live.tree_digest(&matcher) != facts.next.tree_digest(&matcher))
}

/// Versions by their numbers: 1.0.10 is above 1.0.9, 1.0 is 1.0.0, and 1.1.0 is above 1.1.0-rc.1.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((a, a_pre), (b, b_pre)) = (parts(a), parts(b));
    for index in 0..a.len().max(b.len()) {
        let at = |numbers: &[u64]| numbers.get(index).copied().unwrap_or(0);
        match at(&a).cmp(&at(&b)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    match (a_pre, b_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_pre(a, b),
    }
}

/// The numbers, and what follows a `-`. A build's `+…` does not count; what is no number counts as 0.
fn parts(version: &str) -> (Vec<u64>, Option<&str>) {
    let version = version.trim().trim_start_matches('v');
    let version = version.split_once('+').map_or(version, |(version, _)| version);
    let (numbers, pre) = version.split_once('-').map_or((version, None), |(n, pre)| (n, Some(pre)));
    (numbers.split('.').map(|n| n.parse().unwrap_or(0)).collect(), pre)
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let mut left = a.split('.');
    let mut right = b.split('.');
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::{Digest, Entry, EntryKind, manifest::Chunk};

    #[test]
    fn versions_compare_by_number() {
        for (a, b, expected) in [
            ("1.0.10", "1.0.9", Ordering::Greater),
            ("1.0", "1.0.0", Ordering::Equal),
            ("1.1.0", "1.1.0-rc.1", Ordering::Greater),
            ("1.1.0-rc.2", "1.1.0-rc.10", Ordering::Less),
            ("2.0.0", "10.0.0", Ordering::Less),
            ("1.0.0+7", "1.0.0+8", Ordering::Equal),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        }
    }

    fn tree(app: &str, backend: &str) -> Manifest {
        let file = |path: &str, content: &str| {
            let chunk = Chunk { digest: Digest::of(content.as_bytes()), size_bytes: 1 };
            let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 1, chunks: vec![chunk] };
            Entry { path: path.parse().unwrap(), kind }
        };
        Manifest::new(vec![file("mobile/App.js", app), file("backend/app.py", backend)]).unwrap()
    }

    #[test]
    fn a_changed_front_end_needs_a_version_never_used() {
        let file: RelPath = "mobile/app.json".parse().unwrap();
        let rules = [BumpRule { file: file.clone(), when_changed: vec!["mobile/**".into()] }];
        let of = |version: &str| BTreeMap::from([(file.clone(), version.to_owned())]);
        let live = tree("1", "1");
        for (next, shipped, highest, good) in [
            (tree("2", "1"), Some("1.0.2"), "1.0.1", true),
            (tree("2", "1"), Some("1.0.1"), "1.0.1", false),
            (tree("2", "1"), Some("1.0.0"), "1.0.1", false),
            (tree("2", "1"), None, "1.0.1", false),
            // Rolled back: 1.0.2 was seen by clients already.
            (tree("2", "1"), Some("1.0.2"), "1.0.2", false),
            (tree("2", "1"), Some("1.0.3"), "1.0.2", true),
            (tree("1", "2"), Some("1.0.1"), "1.0.1", true),
            (tree("1", "1"), None, "1.0.1", true),
        ] {
            let shipped = shipped.map(of).unwrap_or_default();
            let facts = BumpFacts {
                rules: &rules,
                live: Some(&live),
                next: &next,
                live_versions: &of("1.0.1"),
                highest: &of(highest),
                shipped: &shipped,
            };
            let (_, refusals) = bump_check(&facts).unwrap();
            assert_eq!(refusals.is_empty(), good, "{shipped:?}");
        }
    }

    #[test]
    fn a_first_deploy_starts_with_any_version() {
        let file: RelPath = "mobile/app.json".parse().unwrap();
        let rules = [BumpRule { file: file.clone(), when_changed: vec!["mobile/**".into()] }];
        let shipped = BTreeMap::from([(file, "1.0.0".to_owned())]);
        let none = BTreeMap::new();
        let next = tree("1", "1");
        let facts = BumpFacts {
            rules: &rules,
            live: None,
            next: &next,
            live_versions: &none,
            highest: &none,
            shipped: &shipped,
        };
        let (changes, refusals) = bump_check(&facts).unwrap();
        assert_eq!((changes.len(), refusals.len()), (1, 0));
    }
}
