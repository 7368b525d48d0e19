//! What `psql` is told, and what it answers.

use crate::ledger::{Applied, Ledger};
use crate::script::Script;
use serde::Deserialize;

/// The table's columns, as the database tells of them.
const COLUMNS: &str = "name text, checksum text, applied_at timestamp with time zone, release text";

/// Why the answer says nothing of what is applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    #[error("a table called {table} is there, and it is not Wharf's: its columns are {columns}")]
    OtherTable { table: String, columns: String },
    #[error("the database's user has no schema to make tables in: its search_path leads nowhere")]
    NoSchema,
    #[error("the database did not answer as expected")]
    Unexpected,
}

impl LookError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OtherTable { .. } => {
                "another tool migrates this database: have it run with a command under [[migrate]], or name another table: \
                 table = \"wharf_migrations\""
            }
            Self::NoSchema => "make one: CREATE SCHEMA …, or set the user's search_path",
            Self::Unexpected => "please report this, with the version of the database",
        }
    }
}

/// Statements that tell what is applied: one line of JSON for the table, then one for each row.
pub fn look(table: &str) -> String {
    format!(
        r#"WITH found AS (
  SELECT c.oid, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('{table}'))
SELECT json_build_object('database', current_database(),
  'schema', coalesce((SELECT nspname FROM found), current_schema()),
  'columns', (SELECT string_agg(a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
    FROM pg_attribute a JOIN found ON a.attrelid = found.oid WHERE a.attnum > 0 AND NOT a.attisdropped));
SELECT format($q$SELECT json_build_object('name', name, 'checksum', checksum,
  'at_seconds', extract(epoch FROM applied_at)::bigint, 'release', release) FROM %I.%I ORDER BY name COLLATE "C"$q$, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = to_regclass('{table}')
   AND '{COLUMNS}' = (SELECT string_agg(a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) \gexec
"#
    )
}

/// Reads the answer.
///
/// # Errors
/// The table is another tool's; an answer that is none.
pub fn read_look(table: &str, lines: &[String]) -> Result<Ledger, LookError> {
    #[derive(Deserialize)]
    struct Head {
        database: String,
        schema: Option<String>,
        columns: Option<String>,
    }
    let mut lines = lines.iter().filter(|line| !line.is_empty());
    let head = lines.next().ok_or(LookError::Unexpected)?;
    let head: Head = serde_json::from_str(head).map_err(|_| LookError::Unexpected)?;
    if let Some(columns) = head.columns.filter(|columns| columns != COLUMNS) {
        return Err(LookError::OtherTable { table: table.to_owned(), columns });
    }
    let schema = head.schema.ok_or(LookError::NoSchema)?;
    let applied: Result<Vec<Applied>, _> = lines.map(|line| serde_json::from_str(line)).collect();
    let applied = applied.map_err(|_| LookError::Unexpected)?;
    Ok(Ledger { database: head.database, schema, applied })
}

/// Which way a file leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move<'a> {
    Up {
        /// The release that applies it: `v7`.
        release: &'a str,
    },
    Down,
}

/// Everything that `psql` is sent to run a file. Its row comes first, so that nothing that the file sets (a role, a search
/// path) can keep it from being written; the commit comes last, so that a file that is cut off is rolled back.
pub fn statements(schema: &str, table: &str, name: &str, script: &Script, way: Move<'_>) -> String {
    let table = format!("{}.{}", identifier(schema), identifier(table));
    let (row, checksum) = (literal(name), literal(&script.checksum));
    let (before, after) = match (way, script.transaction) {
        (Move::Up { release }, true) => (
            format!("{}{}", create(&table), insert(&table, &row, &checksum, "now()", release)),
            String::new(),
        ),
        (Move::Up { release }, false) => (
            format!("{}{}", create(&table), insert(&table, &row, &checksum, "NULL", release)),
            format!("UPDATE {table} SET applied_at = now() WHERE name = {row};\n"),
        ),
        (Move::Down, true) => (format!("DELETE FROM {table} WHERE name = {row};\n"), String::new()),
        (Move::Down, false) => (
            format!("UPDATE {table} SET applied_at = NULL WHERE name = {row};\n"),
            format!("DELETE FROM {table} WHERE name = {row};\n"),
        ),
    };
    let (begin, end) = match script.transaction {
        true => ("BEGIN;\n", format!("{after}COMMIT;\n")),
        false => ("", format!("RESET SESSION AUTHORIZATION;\nRESET ROLE;\n{after}")),
    };
    format!("{SETTINGS}{begin}{before}{CONTENT}{}\n;\n{end}", script.text)
}

/// `psql` reads strings as the file was looked through, and no limit of the role's or the database's cuts a file short. Who
/// waits long for a lock keeps everybody waiting who comes after, so that has a limit; a file may set another.
const SETTINGS: &str = "\\encoding UTF8
SET standard_conforming_strings = on;
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET lock_timeout = '60s';
SET client_min_messages = warning;
";

/// The last line before the file's own first.
const CONTENT: &str = "RESET client_min_messages;\n";

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} \
         (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamp with time zone, release text NOT NULL);\n"
    )
}

fn insert(table: &str, row: &str, checksum: &str, applied_at: &str, release: &str) -> String {
    let release = literal(release);
    format!(
        "INSERT INTO {table} (name, checksum, applied_at, release) VALUES ({row}, {checksum}, {applied_at}, {release});\n"
    )
}

/// What `psql` said of a line of its input, as lines of the file.
pub fn with_lines_of(name: &str, sent: &str, said: &str) -> String {
    const INPUT: &str = "psql:<stdin>:";
    let before = sent
        .find(CONTENT)
        .map_or(0, |at| sent.get(..at + CONTENT.len()).unwrap_or_default().matches('\n').count());
    let line = |line: &str| {
        let found = line.strip_prefix(INPUT).and_then(|rest| rest.split_once(':'));
        match found.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest))) {
            Some((number, rest)) if number > before => format!("{name}:{}:{rest}", number - before),
            Some((_, rest)) => format!("{name}:{rest}"),
            None => line.to_owned(),
        }
    };
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Strings are as the standard has them: [`SETTINGS`].
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script { checksum: "c0ffee".into(), ..Script::read(text.as_bytes()).unwrap() }
    }

    #[test]
    fn a_file_and_its_row_are_one_transaction() {
        let one = script("ALTER TABLE t ADD c int -- no semicolon");
        let concurrently = script("-- wharf: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (c);\n");
        let up = Move::Up { release: "v7" };
        let all = [
            statements("public", "schema_migrations", "0001_it's.sql", &one, up),
            statements("public", "schema_migrations", "0001_it's.sql", &one, Move::Down),
            statements("My \"schema", "m", "0002.sql", &concurrently, up),
            statements("public", "m", "0002.sql", &concurrently, Move::Down),
        ];
        insta::assert_snapshot!(all.join("────\n"));
    }

    #[test]
    fn answers_are_read() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let none = lines(&[r#"{"database" : "app", "schema" : "public", "columns" : null}"#]);
        let ledger = read_look("schema_migrations", &none).unwrap();
        assert_eq!(
            (ledger.database.as_str(), ledger.schema.as_str(), ledger.applied.len()),
            ("app", "public", 0)
        );
        let some = lines(&[
            &format!(r#"{{"database":"app","schema":"x","columns":"{COLUMNS}"}}"#),
            r#"{"name" : "1.sql", "checksum" : "aa", "at_seconds" : 1700000000, "release" : "v3"}"#,
            r#"{"name" : "2.sql", "checksum" : "bb", "at_seconds" : null, "release" : "v4"}"#,
        ]);
        let applied = read_look("m", &some).unwrap().applied;
        assert_eq!(applied[0].at_seconds, Some(1_700_000_000));
        assert_eq!(applied[1].at_seconds, None);
        let rails = lines(&[r#"{"database":"a","schema":"public","columns":"version character varying"}"#]);
        assert!(matches!(read_look("schema_migrations", &rails), Err(LookError::OtherTable { .. })));
        let nowhere = lines(&[r#"{"database":"a","schema":null,"columns":null}"#]);
        assert_eq!(read_look("m", &nowhere), Err(LookError::NoSchema));
        assert_eq!(read_look("m", &[]), Err(LookError::Unexpected));
    }

    #[test]
    fn errors_name_lines_of_the_file() {
        let sent = statements("public", "m", "1.sql", &script("SELECT 1;\nSELECT nope;\n"), Move::Down);
        let line = sent.lines().position(|line| line == "SELECT nope;").unwrap() + 1;
        let said = format!(
            "psql:<stdin>:{line}: ERROR:  no such column\nLINE 1: SELECT nope;\npsql:<stdin>:1: ERROR:  x"
        );
        assert_eq!(
            with_lines_of("1.sql", &sent, &said),
            "1.sql:2: ERROR:  no such column\nLINE 1: SELECT nope;\n1.sql: ERROR:  x"
        );
    }
}
