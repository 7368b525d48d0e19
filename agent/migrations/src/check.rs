//! What may be written under `[[migrate]]`.

use wharf_proto::AppSpec;
use wharf_proto::spec::{MigrateSpec, PostgresSpec};

/// The table that says what is applied, where the project names no other.
pub const DEFAULT_TABLE: &str = "schema_migrations";
/// The longest name that PostgreSQL takes.
const NAME_BYTES: usize = 63;

/// Why a `[[migrate]]` cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("it takes either `command` or `folder`")]
    Both,
    #[error("the command is empty")]
    NoCommand,
    #[error("`{0}` goes with `folder` only")]
    WithoutFolder(&'static str),
    #[error("{0} is not the service of a [[postgres]]")]
    NoDatabase(String),
    #[error("{service} has several databases, and it is not said which is migrated")]
    WhichDatabase { service: String },
    #[error("no [[postgres]] of {service} names the database {database}")]
    OtherDatabase { service: String, database: String },
    #[error("{0:?} cannot be the table's name")]
    Table(String),
    #[error("two folders would keep what is applied in the same table, {0}")]
    Twice(String),
}

impl SpecError {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Both => {
                "write command = [\"alembic\", \"upgrade\", \"head\"], or folder = \"migrations\" for *.sql files"
            }
            Self::NoCommand => "write for example: command = [\"alembic\", \"upgrade\", \"head\"]",
            Self::WithoutFolder(_) => "leave it out, or write folder = \"migrations\" instead of the command",
            Self::NoDatabase(_) => {
                "write service = \"db\" here, and a [[postgres]] with the same service (for one outside the stack, its url_env)"
            }
            Self::WhichDatabase { .. } => "name one: database = \"myapp\"",
            Self::OtherDatabase { .. } => {
                "name it there too, so that it is backed up before it is migrated: databases = [\"myapp\"]"
            }
            Self::Table(_) => {
                "use at most 63 lower-case letters, digits and underscores: table = \"wharf_migrations\""
            }
            Self::Twice(_) => "name another for one of them: table = \"wharf_migrations\"",
        }
    }
}

/// Checks the one at `number`.
///
/// # Errors
/// What is wrong with it.
pub fn check(spec: &AppSpec, number: usize) -> Result<(), SpecError> {
    let Some(one) = spec.migrate.get(number) else { return Ok(()) };
    let command = one.command.first().is_some_and(|word| !word.is_empty());
    match (&one.folder, one.command.is_empty()) {
        (Some(_), false) => return Err(SpecError::Both),
        (None, _) if !command => return Err(SpecError::NoCommand),
        (None, _) if one.table.is_some() => return Err(SpecError::WithoutFolder("table")),
        (None, _) if one.database.is_some() => return Err(SpecError::WithoutFolder("database")),
        (None, _) => return Ok(()),
        (Some(_), true) => {}
    }
    let found = postgres_of(spec, one)?;
    let table = table_of(one);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = table.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if !begins || table.len() > NAME_BYTES || !table.bytes().all(plain) {
        return Err(SpecError::Table(table.to_owned()));
    }
    let same = |other: &&MigrateSpec| {
        other.folder.is_some()
            && other.service == one.service
            && table_of(other) == table
            && postgres_of(spec, other).is_ok_and(|other| other.database == found.database)
    };
    match spec.migrate.iter().take(number).find(same) {
        Some(_) => Err(SpecError::Twice(table.to_owned())),
        None => Ok(()),
    }
}

/// The database that a folder is for.
///
/// # Errors
/// There is none, or it is not clear which.
pub fn postgres_of<'a>(spec: &'a AppSpec, one: &MigrateSpec) -> Result<&'a PostgresSpec, SpecError> {
    let mut of_service = spec.postgres.iter().filter(|postgres| postgres.server() == one.service);
    let Some(first) = of_service.next() else { return Err(SpecError::NoDatabase(one.service.clone())) };
    match &one.database {
        None if of_service.next().is_some() => Err(SpecError::WhichDatabase { service: one.service.clone() }),
        None => Ok(first),
        Some(database) => std::iter::once(first)
            .chain(of_service)
            .find(|postgres| postgres.database.as_ref() == Some(database))
            .ok_or_else(|| SpecError::OtherDatabase {
                service: one.service.clone(),
                database: database.clone(),
            }),
    }
}

/// The table that says what is applied.
pub fn table_of(one: &MigrateSpec) -> &str {
    one.table.as_deref().unwrap_or(DEFAULT_TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(postgres: &[(&str, Option<&str>)], migrate: Vec<MigrateSpec>) -> Result<(), SpecError> {
        let spec = serde_json::json!({ "app": "a", "path": "/srv/a", "compose": { "files": ["c.yml"] } });
        let mut spec: AppSpec = serde_json::from_value(spec).unwrap();
        spec.postgres = postgres
            .iter()
            .map(|(service, database)| PostgresSpec {
                service: (*service).to_owned(),
                database: database.map(str::to_owned),
                ..PostgresSpec::default()
            })
            .collect();
        spec.migrate = migrate;
        (0..spec.migrate.len()).try_for_each(|number| check(&spec, number))
    }

    fn folder(service: &str, database: Option<&str>, table: Option<&str>) -> MigrateSpec {
        MigrateSpec {
            service: service.to_owned(),
            command: Vec::new(),
            folder: Some("migrations".parse().unwrap()),
            database: database.map(str::to_owned),
            table: table.map(str::to_owned),
            timeout_seconds: 600,
        }
    }

    #[test]
    fn a_folder_is_for_one_database_that_is_backed_up() {
        let one = [("db", None)];
        let two = [("db", Some("app")), ("db", Some("maps")), ("geo", None)];
        assert_eq!(checked(&one, vec![folder("db", None, None)]), Ok(()));
        assert_eq!(checked(&two, vec![folder("db", Some("maps"), Some("m_2"))]), Ok(()));
        assert_eq!(
            checked(&two, vec![folder("db", Some("app"), None), folder("db", Some("maps"), None)]),
            Ok(())
        );
        let command = MigrateSpec { folder: None, command: vec!["up".into()], ..folder("web", None, None) };
        assert_eq!(checked(&[], vec![command.clone()]), Ok(()));
        let both = MigrateSpec { command: vec!["up".into()], ..folder("db", None, None) };
        assert_eq!(checked(&one, vec![both]), Err(SpecError::Both));
        let neither = MigrateSpec { folder: None, ..folder("db", None, None) };
        assert_eq!(checked(&one, vec![neither]), Err(SpecError::NoCommand));
        let with_table = MigrateSpec { table: Some("t".into()), ..command };
        assert_eq!(checked(&one, vec![with_table]), Err(SpecError::WithoutFolder("table")));
        let wrong =
            |postgres: &[(&str, Option<&str>)], migrate| checked(postgres, vec![migrate]).unwrap_err();
        assert_eq!(wrong(&one, folder("web", None, None)), SpecError::NoDatabase("web".into()));
        assert!(matches!(wrong(&two, folder("db", None, None)), SpecError::WhichDatabase { .. }));
        assert!(matches!(wrong(&one, folder("db", Some("x"), None)), SpecError::OtherDatabase { .. }));
        for table in ["", "Upper", "1st", "a.b", "a b", &"a".repeat(64)] {
            assert!(matches!(wrong(&one, folder("db", None, Some(table))), SpecError::Table(_)), "{table}");
        }
        let twice = vec![folder("db", None, None), folder("db", None, Some("schema_migrations"))];
        assert_eq!(checked(&one, twice), Err(SpecError::Twice("schema_migrations".into())));
    }
}
