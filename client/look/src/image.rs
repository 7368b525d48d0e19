//! What an image's name says: which database it is, and whether it names a version.

/// A database that Wharf knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Postgres,
    MySql,
    Mongo,
    Redis,
}

impl Kind {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
            Self::Mongo => "MongoDB",
            Self::Redis => "Redis",
        }
    }

    /// The section of `wharf.toml` by which Wharf dumps it.
    pub fn section(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("postgres"),
            Self::MySql => Some("mysql"),
            Self::Redis => Some("redis"),
            Self::Mongo => None,
        }
    }

    /// Where its images keep their data.
    pub fn home(self) -> &'static str {
        match self {
            Self::Postgres => "/var/lib/postgresql",
            Self::MySql => "/var/lib/mysql",
            Self::Mongo => "/data/db",
            Self::Redis => "/data",
        }
    }

    /// What a command that starts the server begins with; options alone do too.
    fn server(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgres", "docker-entrypoint.sh"],
            Self::MySql => &["mysqld", "mariadbd", "docker-entrypoint.sh"],
            Self::Mongo => &["mongod", "docker-entrypoint.sh"],
            Self::Redis => &["redis-server", "valkey-server", "keydb-server", "docker-entrypoint.sh"],
        }
    }

    /// Whether this command starts the server, and not some client of it.
    pub fn is_started_by(self, command: Option<&[String]>) -> bool {
        let Some(first) = command.and_then(<[String]>::first) else { return true };
        first.starts_with('-')
            || self.server().contains(&first.rsplit('/').next().unwrap_or(first))
            || (matches!(first.as_str(), "sh" | "bash" | "/bin/sh")
                && command.is_some_and(|words| words.iter().any(|w| self.server().contains(&w.as_str()))))
    }
}

/// The database that an image is, by its name.
pub fn database(reference: &str) -> Option<Kind> {
    let repository = split(reference).0;
    match repository.rsplit('/').next().unwrap_or(repository) {
        "postgres" | "postgresql" | "postgis" | "timescaledb" | "timescaledb-ha" | "pgvector"
        | "pgvecto-rs" => Some(Kind::Postgres),
        "mysql" | "mariadb" | "percona" | "percona-server" => Some(Kind::MySql),
        "mongo" | "mongodb" | "mongodb-community-server" => Some(Kind::Mongo),
        "redis" | "valkey" | "keydb" | "redis-stack" | "redis-stack-server" => Some(Kind::Redis),
        _ => None,
    }
}

/// Repository and tag; a digest is neither.
pub fn split(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

/// Whether the reference means another image tomorrow: no tag, or `latest`.
pub fn floats(reference: &str) -> bool {
    !reference.contains('@') && !reference.is_empty() && matches!(split(reference).1, None | Some("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases() {
        for (reference, expected) in [
            ("postgres:17", Some(Kind::Postgres)),
            ("registry.example:5000/x/postgis", Some(Kind::Postgres)),
            ("mariadb", Some(Kind::MySql)),
            ("valkey/valkey:8@sha256:00", Some(Kind::Redis)),
            ("prom/postgres-exporter", None),
            ("dpage/pgadmin4", None),
        ] {
            assert_eq!(database(reference), expected, "{reference}");
        }
    }

    #[test]
    fn what_can_be_dumped_has_a_section() {
        let database = |kind, volume: Option<&str>| crate::findings::Database {
            service: "db".into(),
            kind,
            volume: volume.map(Into::into),
            moved_to: None,
        };
        for (kind, volume, expected) in [
            (Kind::Postgres, None, Some("postgres")),
            (Kind::MySql, Some("data"), Some("mysql")),
            (Kind::Redis, Some("data"), Some("redis")),
            (Kind::Redis, None, None),
            (Kind::Mongo, Some("data"), None),
        ] {
            assert_eq!(database(kind, volume).section(), expected, "{kind:?}");
        }
    }

    #[test]
    fn tags_that_float() {
        for (reference, expected) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("localhost:5000/nginx", true),
            ("nginx:1", false),
            ("nginx@sha256:00", false),
        ] {
            assert_eq!(floats(reference), expected, "{reference}");
        }
    }

    #[test]
    fn a_client_is_no_server() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(Kind::Redis.is_started_by(None));
        assert!(Kind::Redis.is_started_by(Some(&words("redis-server --appendonly yes"))));
        assert!(Kind::Postgres.is_started_by(Some(&words("-c max_connections=10"))));
        assert!(!Kind::Postgres.is_started_by(Some(&words("pg_dump -h db"))));
    }
}
