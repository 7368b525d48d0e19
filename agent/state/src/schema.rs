//! The database's shape, and how an older one becomes this one.
//!
//! **Invariants**: a migration that was released is never edited, only followed by another. Before an older state is
//! migrated it is copied aside. A newer state is left untouched.

use crate::StateError;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The software that writes the state, as a newer state's refusal names it.
const SOFTWARE: &str = concat!("wharfd ", env!("CARGO_PKG_VERSION"));

/// Each brings the schema from its index to the next number.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
];

/// Opens the database at `path`, makes or migrates its tables.
pub(crate) fn open(path: &Path, migrations: &[&str]) -> Result<Connection, StateError> {
    create_private(path)?;
    let mut db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    refuse_newer(&db, path, migrations.len())?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Without it a REPLACE could delete rows behind the audit's trigger.
    db.pragma_update(None, "recursive_triggers", true)?;
    migrate(&mut db, path, migrations)?;
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('written_by', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1",
        params![SOFTWARE.as_bytes()],
    )?;
    Ok(db)
}

/// Opens a database that is there and of schema `known`. Of the agent that may have it open, nothing is changed.
pub(crate) fn open_beside(path: &Path, known: usize) -> Result<Connection, StateError> {
    std::fs::metadata(path).map_err(|source| StateError::Io {
        act: "open",
        path: path.to_owned(),
        source,
    })?;
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    refuse_newer(&db, path, known)?;
    let found = version(&db)?;
    if (found as usize) < known {
        return Err(StateError::Older { path: path.to_owned(), found });
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "recursive_triggers", true)?;
    Ok(db)
}

/// The random key of this server's keyed digests; made when it is first asked for.
pub(crate) fn secret_key(db: &Connection) -> Result<[u8; 32], StateError> {
    let fresh: [u8; 32] = rand::random();
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('secret_key', ?1)", params![fresh])?;
    Ok(db.query_row("SELECT value FROM meta WHERE key = 'secret_key'", [], |row| row.get(0))?)
}

/// SQLite gives its side files the mode of the database, so it is made before SQLite would make it.
fn create_private(path: &Path) -> Result<(), StateError> {
    let file = File::options().create(true).append(true).mode(0o600).open(path);
    file.map(drop).map_err(|source| StateError::Io { act: "create", path: path.to_owned(), source })
}

fn version(db: &Connection) -> Result<u32, StateError> {
    Ok(db.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn refuse_newer(db: &Connection, path: &Path, known: usize) -> Result<(), StateError> {
    let found = version(db)?;
    if found as usize <= known {
        return Ok(());
    }
    // A newer schema may keep this elsewhere: then the text does with less.
    let written_by = db
        .query_row("SELECT value FROM meta WHERE key = 'written_by'", [], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .ok()
        .flatten()
        .map_or_else(|| "a newer wharfd".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(StateError::Newer { path: path.to_owned(), found, known: known as u32, written_by })
}

fn migrate(db: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StateError> {
    let found = version(db)?;
    if found > 0 && (found as usize) < migrations.len() {
        copy_aside(db, path, found)?;
    }
    for (at, sql) in migrations.iter().enumerate().skip(found as usize) {
        let transaction = db.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", at as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Where the state of schema `version` is kept when it is migrated.
fn copy_path(path: &Path, version: u32) -> PathBuf {
    path.with_extension(format!("v{version}.sqlite"))
}

/// A whole copy of the database, whatever of it is still in the write-ahead log, under its final name only when it
/// is on disk.
fn copy_aside(db: &Connection, path: &Path, version: u32) -> Result<(), StateError> {
    let to = copy_path(path, version);
    let half = to.with_extension("tmp");
    let io = |act| {
        let path = to.clone();
        move |source| StateError::Io { act, path, source }
    };
    match std::fs::remove_file(&half) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("replace")(e)),
        Ok(()) | Err(_) => {}
    }
    db.execute("VACUUM INTO ?1", params![half.to_string_lossy()])
        .map_err(|e| StateError::from(e).during("copy the state before it is migrated"))?;
    std::fs::set_permissions(&half, std::fs::Permissions::from_mode(0o600)).map_err(io("protect"))?;
    File::open(&half).and_then(|file| file.sync_all()).map_err(io("copy the state to"))?;
    std::fs::rename(&half, &to).map_err(io("copy the state to"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|file| file.sync_all()).map_err(io("copy the state to"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = "CREATE TABLE later (x INTEGER) STRICT; INSERT INTO later VALUES (7);";

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn an_older_state_is_copied_before_it_is_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let db = open(&path, MIGRATIONS).unwrap();
        let key = secret_key(&db).unwrap();
        assert!(!copy_path(&path, 1).exists(), "a fresh state needs no copy");
        // The first connection stays open, so that the row is in the write-ahead log alone.
        let newer = [MIGRATIONS, &[SECOND]].concat();
        let migrated = open(&path, &newer).unwrap();
        assert_eq!(version(&migrated).unwrap(), MIGRATIONS.len() as u32 + 1);
        assert_eq!(secret_key(&migrated).unwrap(), key);

        let copy = copy_path(&path, MIGRATIONS.len() as u32);
        assert_eq!((mode(&copy), mode(&path)), (0o600, 0o600));
        let copied = Connection::open(&copy).unwrap();
        assert_eq!(version(&copied).unwrap(), MIGRATIONS.len() as u32);
        assert_eq!(secret_key(&copied).unwrap(), key, "the copy is whole");
        assert!(copied.query_row("SELECT x FROM later", [], |_| Ok(())).is_err());
    }

    #[test]
    fn every_released_schema_is_brought_to_this_one() {
        for known in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("state.sqlite");
            let db = open(&path, &MIGRATIONS[..known]).unwrap();
            db.execute("INSERT INTO backups (app, id, at, report) VALUES ('a', 'b', 'c', 'd')", []).unwrap();
            drop(db);
            let db = open(&path, MIGRATIONS).unwrap();
            let row = |row: &rusqlite::Row<'_>| Ok((row.get("id")?, row.get("proof")?));
            let found: (String, Option<String>) = db.query_row("SELECT * FROM backups", [], row).unwrap();
            assert_eq!(found, ("b".to_owned(), None), "from {known}");
        }
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        drop(open(&path, MIGRATIONS).unwrap());
        let broken = [MIGRATIONS, &["CREATE TABLE later (x INTEGER); SELECT broken;"]].concat();
        assert!(open(&path, &broken).is_err());
        let db = open(&path, MIGRATIONS).unwrap();
        assert!(db.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'later'", [], |_| Ok(())).is_err());
        // A copy that a crash left half-made does not stand in the way.
        drop(db);
        let copy = copy_path(&path, MIGRATIONS.len() as u32);
        std::fs::write(copy.with_extension("tmp"), b"half").unwrap();
        open(&path, &[MIGRATIONS, &[SECOND]].concat()).unwrap();
    }

    #[test]
    fn beside_an_agent_only_its_own_schema_is_opened_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        assert!(matches!(open_beside(&path, MIGRATIONS.len()), Err(StateError::Io { .. })));
        assert!(!path.exists());
        let agents = open(&path, MIGRATIONS).unwrap();
        let beside = open_beside(&path, MIGRATIONS.len()).unwrap();
        assert_eq!(secret_key(&beside).unwrap(), secret_key(&agents).unwrap());
        let newer = open_beside(&path, MIGRATIONS.len() - 1);
        assert!(matches!(newer, Err(StateError::Newer { .. })));
        let older = open_beside(&path, MIGRATIONS.len() + 1);
        assert!(matches!(older, Err(StateError::Older { .. })));
    }

    #[test]
    fn a_newer_state_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        let db = open(&path, &[MIGRATIONS, &[SECOND]].concat()).unwrap();
        db.execute("UPDATE meta SET value = ?1 WHERE key = 'written_by'", params![b"wharfd 9.1.0"]).unwrap();
        drop(db);
        let before = std::fs::read(&path).unwrap();
        let error = open(&path, MIGRATIONS).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StateError::Newer { .. }), "{text}");
        assert!(text.contains("Upgrade wharfd on this server to wharfd 9.1.0 or newer"), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
