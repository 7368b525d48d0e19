//! MySQL and MariaDB beside the live database: databases there cannot be renamed, so one is made under its last name, and a
//! marker in it tells until it is whole that it is the job's own.
//!
//! **Invariant**: a database is dropped only where the marker is in it.

use super::database::Address;
use crate::agent::Agent;
use wharf_backup::{BackupError, MARKER_TABLE, mysql_identifier as identifier, mysql_literal as literal};
use wharf_proto::{AppName, Failure};

/// The names of all databases.
pub async fn names(at: &Address, agent: &Agent, app: &AppName) -> Result<Vec<String>, Failure> {
    ask(at, agent, app, "SELECT schema_name FROM information_schema.schemata;\n").await
}

/// Makes a database of the job's own, with the character set of `model` where that exists.
///
/// # Errors
/// It exists already, or the user may not.
pub async fn create(
    at: &Address,
    agent: &Agent,
    app: &AppName,
    name: &str,
    model: Option<&str>,
) -> Result<(), Failure> {
    let like = match model {
        Some(model) => character_set(at, agent, app, model).await?,
        None => String::new(),
    };
    let name = identifier(name);
    let statements =
        format!("CREATE DATABASE {name}{like};\nCREATE TABLE {name}.{MARKER_TABLE} (made INT);\n");
    ask(at, agent, app, &statements).await.map(drop)
}

/// The database is whole, and not the job's any more.
pub async fn give_away(at: &Address, agent: &Agent, app: &AppName, name: &str) -> Result<(), Failure> {
    ask(at, agent, app, &format!("DROP TABLE {}.{MARKER_TABLE};\n", identifier(name))).await.map(drop)
}

/// Drops a database that the job made and that is not whole.
pub async fn drop_own(at: &Address, agent: &Agent, app: &AppName, name: &str) -> Result<(), Failure> {
    let marked = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {} AND table_name = '{MARKER_TABLE}';\n",
        literal(name)
    );
    if ask(at, agent, app, &marked).await? == ["1"] {
        ask(at, agent, app, &format!("DROP DATABASE {};\n", identifier(name))).await?;
    }
    Ok(())
}

/// What follows the name of a new database that is to have the character set of `model`.
pub async fn character_set(
    at: &Address,
    agent: &Agent,
    app: &AppName,
    model: &str,
) -> Result<String, Failure> {
    let question = format!(
        "SELECT CONCAT(default_character_set_name, ' ', default_collation_name) FROM information_schema.schemata \
         WHERE schema_name = {};\n",
        literal(model)
    );
    let lines = ask(at, agent, app, &question).await?;
    Ok(lines.first().map(|line| like(line)).unwrap_or_default())
}

/// What follows the name of a new database; nothing where the answer is not two plain words.
fn like(answer: &str) -> String {
    let plain = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match answer.split(' ').filter(plain).collect::<Vec<_>>().as_slice() {
        [set, collation] => format!(" CHARACTER SET {set} COLLATE {collation}"),
        _ => String::new(),
    }
}

async fn ask(at: &Address, agent: &Agent, app: &AppName, statements: &str) -> Result<Vec<String>, Failure> {
    let answer: Result<Vec<String>, BackupError> = at.run_outside(agent, app, statements).await;
    answer.map_err(|error| error.failure())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_set_is_two_plain_words() {
        assert_eq!(like("utf8mb4 utf8mb4_bin"), " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
        assert_eq!(like("utf8mb4; DROP DATABASE shop"), "");
    }
}
