//! What the table in the database says, held against the folder.

use serde::{Deserialize, Serialize};

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub name: String,
    pub checksum: String,
    /// Seconds since 1970; `None`: it was begun outside of a transaction, and nobody knows how far it came.
    #[serde(default)]
    pub at_seconds: Option<i64>,
    /// The release that applied it: `v7`.
    #[serde(default)]
    pub release: String,
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The database's own name.
    pub database: String,
    /// Where the table is, or is going to be made.
    pub schema: String,
    /// By the bytes of their names.
    pub applied: Vec<Applied>,
}

/// What is to be done, and what stands in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// To be applied, in this order.
    pub pending: Vec<String>,
    /// Applied, and another file now.
    pub edited: Vec<String>,
    /// Begun outside of a transaction, and not known to have ended.
    pub unfinished: Vec<String>,
    /// Applied, and not in the folder any more.
    pub missing: Vec<String>,
    /// Pending, though a later one is applied.
    pub early: Vec<String>,
}

impl Judged {
    /// What people should know although nothing is refused for it.
    pub fn warnings(&self, folder: &str) -> Vec<String> {
        let missing = self.missing.iter().map(|name| {
            format!("{name} is applied, and {folder} does not have it: another release, or another branch, applied it")
        });
        let early = self.early.iter().map(|name| {
            format!("{name} is applied now although a later one of {folder} is applied already: see that they do not depend on each other")
        });
        missing.chain(early).collect()
    }
}

/// Holds the files of a folder (names and checksums, sorted) against what is applied.
pub fn judge(scripts: &[(String, String)], applied: &[Applied]) -> Judged {
    let mut judged = Judged::default();
    let last = applied.iter().map(|one| one.name.as_str()).max();
    for (name, checksum) in scripts {
        match applied.iter().find(|one| one.name == *name) {
            None => {
                if last.is_some_and(|last| name.as_str() < last) {
                    judged.early.push(name.clone());
                }
                judged.pending.push(name.clone());
            }
            Some(one) if one.at_seconds.is_none() => judged.unfinished.push(name.clone()),
            Some(one) if one.checksum != *checksum => judged.edited.push(name.clone()),
            Some(_) => {}
        }
    }
    for one in applied.iter().filter(|one| !scripts.iter().any(|(name, _)| *name == one.name)) {
        match one.at_seconds {
            Some(_) => judged.missing.push(one.name.clone()),
            None => judged.unfinished.push(one.name.clone()),
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(name: &str, checksum: &str, at_seconds: Option<i64>) -> Applied {
        Applied { name: name.into(), checksum: checksum.into(), at_seconds, release: "v1".into() }
    }

    #[test]
    fn files_are_held_against_the_table() {
        let files: Vec<(String, String)> = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("6", "e")]
            .map(|(name, checksum)| (name.to_owned(), checksum.to_owned()))
            .into();
        assert_eq!(judge(&files, &[]).pending, ["1", "2", "3", "4", "6"]);
        assert_eq!(judge(&files, &[]).early, Vec::<String>::new());
        let table = [
            applied("1", "a", Some(1)),
            applied("2", "x", Some(1)),
            applied("4", "d", None),
            applied("5", "z", Some(1)),
        ];
        let judged = judge(&files, &table);
        assert_eq!(judged.pending, ["3", "6"]);
        assert_eq!(judged.edited, ["2"]);
        assert_eq!(judged.unfinished, ["4"]);
        assert_eq!(judged.missing, ["5"]);
        assert_eq!(judged.early, ["3"]);
        assert_eq!(judged.warnings("db/up").len(), 2);
    }
}
