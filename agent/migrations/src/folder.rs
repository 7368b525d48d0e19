//! Which migrations a folder has, and their order.

use std::collections::BTreeMap;
use wharf_proto::{Entry, EntryKind, Failure, FailureKind, RelPath};

/// The largest file.
pub const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// The most migrations of one folder.
const SCRIPTS: usize = 5_000;
/// The longest name of one.
const NAME_BYTES: usize = 200;
const UP: &str = ".sql";
const DOWN: &str = ".down.sql";

/// A migration, and its way back where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The name of its file, by which it is known for ever: `0001_users.sql`.
    pub name: &'a str,
    pub up: &'a Entry,
    pub down: Option<&'a Entry>,
}

/// Why a folder cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    #[error("no file whose name ends in .sql is shipped from {0}")]
    Empty(RelPath),
    #[error("{0} has more than {SCRIPTS} migrations")]
    TooMany(RelPath),
    #[error("{0} is not a plain file")]
    NotAFile(RelPath),
    #[error("{0} is longer than {FILE_BYTES} bytes")]
    TooLong(RelPath),
    #[error(
        "{0} cannot be a migration's name: at most {NAME_BYTES} bytes of text without control characters"
    )]
    Name(RelPath),
    #[error("{0} ends in .sql but for upper and lower case")]
    Ending(RelPath),
    #[error("{one} and {two} are one name where upper and lower case do not count")]
    Twice { one: String, two: String },
    #[error("{0} is the way back of a migration that is not there")]
    WayBackOfNothing(String),
    #[error(
        "{first} would be applied before {second}: names are sorted byte by byte, and not by their numbers"
    )]
    Numbers { first: String, second: String },
}

impl FolderError {
    /// As people are told it.
    pub fn failure(&self) -> Failure {
        Failure::new(FailureKind::Refused, self.to_string()).hint(self.hint())
    }

    /// What to do.
    fn hint(&self) -> &'static str {
        match self {
            Self::Empty(_) => {
                "put files such as 0001_users.sql directly into the folder, and see that no ignore rule leaves them out"
            }
            Self::TooMany(_) => "fold old ones that are applied everywhere into one",
            Self::NotAFile(_) => "put the file itself there: links are not followed",
            Self::TooLong(_) => "load much data with a command instead of a migration, or split the file",
            Self::Name(_) => "use letters, digits, '_', '-' and '.', for example 0001_users.sql",
            Self::Ending(_) => "write the ending in lower case: .sql",
            Self::Twice { .. } => "give one of them another name",
            Self::WayBackOfNothing(_) => "the way back of NAME.sql is called NAME.down.sql",
            Self::Numbers { .. } => "give all numbers the same length with zeros in front: 0002, 0010",
        }
    }
}

/// The migrations that lie directly in `folder`, sorted by the bytes of their names.
///
/// # Errors
/// Names whose order or meaning could surprise.
pub fn scripts<'a>(folder: &RelPath, entries: &'a [Entry]) -> Result<Vec<Found<'a>>, FolderError> {
    let mut ups: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut downs: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.path.parent().as_ref() == Some(folder)) {
        let Some(name) = sql_name(entry)? else { continue };
        match name.strip_suffix(DOWN) {
            Some(stem) => downs.insert(stem, entry),
            None => ups.insert(name, entry),
        };
    }
    if ups.len() > SCRIPTS {
        return Err(FolderError::TooMany(folder.clone()));
    }
    let stem = |name: &'a str| name.strip_suffix(UP).unwrap_or(name);
    if let Some(lost) = downs.keys().find(|down| !ups.keys().any(|up| stem(up) == **down)) {
        return Err(FolderError::WayBackOfNothing(format!("{lost}{DOWN}")));
    }
    no_name_twice(ups.keys().copied())?;
    let found: Vec<Found<'_>> =
        ups.iter().map(|(name, up)| Found { name, up, down: downs.get(stem(name)).copied() }).collect();
    if found.is_empty() {
        return Err(FolderError::Empty(folder.clone()));
    }
    in_order_of_numbers(&found)?;
    Ok(found)
}

/// The name of a file that is a migration or the way back of one; `None`: it is neither.
fn sql_name(entry: &Entry) -> Result<Option<&str>, FolderError> {
    let path = || entry.path.clone();
    let bytes = entry.path.as_bytes();
    let last = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if !last.to_ascii_lowercase().ends_with(UP.as_bytes()) {
        return Ok(None);
    }
    let name = std::str::from_utf8(last).map_err(|_| FolderError::Name(path()))?;
    if name.len() > NAME_BYTES || name.chars().any(char::is_control) || name == UP || name == DOWN {
        return Err(FolderError::Name(path()));
    }
    if !name.ends_with(UP) || (name.to_lowercase().ends_with(DOWN) && !name.ends_with(DOWN)) {
        return Err(FolderError::Ending(path()));
    }
    match &entry.kind {
        EntryKind::File { size_bytes, .. } if *size_bytes > FILE_BYTES => Err(FolderError::TooLong(path())),
        EntryKind::File { .. } => Ok(Some(name)),
        EntryKind::Symlink { .. } | EntryKind::Folder { .. } => Err(FolderError::NotAFile(path())),
    }
}

/// A project is checked out on laptops whose file systems take two such names for one.
fn no_name_twice<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), FolderError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        if let Some(one) = seen.insert(name.to_lowercase(), name) {
            return Err(FolderError::Twice { one: one.to_owned(), two: name.to_owned() });
        }
    }
    Ok(())
}

/// `10_x.sql` sorts before `9_x.sql`, which nobody means.
fn in_order_of_numbers(found: &[Found<'_>]) -> Result<(), FolderError> {
    let mut before: Option<(&str, &str)> = None;
    for one in found {
        let digits = one.name.find(|c: char| !c.is_ascii_digit()).and_then(|end| one.name.get(..end));
        let Some(number) = digits.filter(|digits| !digits.is_empty()) else { continue };
        let number = number.trim_start_matches('0');
        if let Some((last, name)) = before
            && (number.len(), number) < (last.len(), last)
        {
            return Err(FolderError::Numbers { first: name.to_owned(), second: one.name.to_owned() });
        }
        before = Some((number, one.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::manifest::LinkTarget;

    fn file(path: &str) -> Entry {
        let kind = EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: 1, chunks: Vec::new() };
        Entry { path: path.parse().unwrap(), kind }
    }

    fn names(paths: &[&str]) -> Result<Vec<(String, bool)>, FolderError> {
        let entries: Vec<Entry> = paths.iter().map(|path| file(path)).collect();
        let found = scripts(&"db/up".parse().unwrap(), &entries)?;
        Ok(found.iter().map(|one| (one.name.to_owned(), one.down.is_some())).collect())
    }

    #[test]
    fn files_are_sorted_by_the_bytes_of_their_names() {
        let found = names(&[
            "db/up/0002_b.sql",
            "db/up/0001_a.sql",
            "db/up/0001_a.down.sql",
            "db/up/20260102030405_c.sql",
            "db/up/README.md",
            "db/up/old/0000_x.sql",
            "db/up2/0000_y.sql",
            "db/seed.sql",
        ]);
        let named = |name: &str, down| (name.to_owned(), down);
        let expected =
            [named("0001_a.sql", true), named("0002_b.sql", false), named("20260102030405_c.sql", false)];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn names_that_could_surprise_are_refused() {
        let link = Entry {
            path: "db/up/0001_a.sql".parse().unwrap(),
            kind: EntryKind::Symlink { target: LinkTarget::Text("x".into()) },
        };
        let folder: RelPath = "db/up".parse().unwrap();
        assert!(matches!(scripts(&folder, &[link]), Err(FolderError::NotAFile(_))));
        let mut long = file("db/up/0001_a.sql");
        long.kind =
            EntryKind::File { mode: 0o644, mtime_seconds: 0, size_bytes: FILE_BYTES + 1, chunks: Vec::new() };
        assert!(matches!(scripts(&folder, &[long]), Err(FolderError::TooLong(_))));
        assert!(matches!(names(&["db/up/readme.txt"]), Err(FolderError::Empty(_))));
        assert!(matches!(names(&["db/up/1.SQL"]), Err(FolderError::Ending(_))));
        assert!(matches!(names(&["db/up/1.sql", "db/up/1.Down.sql"]), Err(FolderError::Ending(_))));
        assert!(matches!(names(&["db/up/.sql"]), Err(FolderError::Name(_))));
        assert!(matches!(names(&["db/up/A.sql", "db/up/a.sql"]), Err(FolderError::Twice { .. })));
        assert!(matches!(names(&["db/up/1.sql", "db/up/2.down.sql"]), Err(FolderError::WayBackOfNothing(_))));
        let wrong = names(&["db/up/10_x.sql", "db/up/9_y.sql"]).unwrap_err();
        assert_eq!(wrong, FolderError::Numbers { first: "10_x.sql".into(), second: "9_y.sql".into() });
        assert!(names(&["db/up/010.sql", "db/up/09.sql", "db/up/1x.sql"]).is_err());
        assert!(names(&["db/up/1.sql", "db/up/1a.sql", "db/up/2.sql", "db/up/x.sql"]).is_ok());
    }
}
