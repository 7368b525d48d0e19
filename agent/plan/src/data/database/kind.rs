//! Which images are databases, and where they keep their data.

use crate::facts::ImageFacts;
use crate::model::{Service, clean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Postgres,
    MySql,
    Mongo,
    Redis,
}

/// A service that is a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Database {
    pub kind: Kind,
    /// Whether the image's own name says so, and not only what it descends from.
    pub certain: bool,
    pub data_dir: String,
    /// Whether `data_dir` is what image and service say, and not only the usual one.
    pub data_dir_known: bool,
    /// PostgreSQL's major version.
    pub major: Option<String>,
}

impl Kind {
    /// The folder that a database's images have used for data, whatever their version.
    pub(super) fn home(self) -> &'static str {
        match self {
            Self::Postgres => "/var/lib/postgresql",
            Self::MySql => "/var/lib/mysql",
            Self::Mongo => "/data/db",
            Self::Redis => "/data",
        }
    }

    /// What its images start without being told to.
    fn servers(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgres", "docker-entrypoint.sh"],
            Self::MySql => &["mysqld", "mariadbd", "docker-entrypoint.sh"],
            Self::Mongo => &["mongod", "docker-entrypoint.sh"],
            Self::Redis => &["redis-server", "valkey-server", "docker-entrypoint.sh"],
        }
    }
}

/// What database the service is, if it is one.
pub(super) fn of(service: &Service, reference: &str, image: Option<&ImageFacts>) -> Option<Database> {
    let (repository, tag) = split_reference(reference);
    let by_name = kind_by_name(repository);
    let kind = by_name.or_else(|| kind_by_environment(image?))?;
    if !runs_the_server(service, kind) {
        return None;
    }
    let variable = |name: &str| {
        service
            .variable(name)
            .or_else(|| image.and_then(|i| i.env.get(name)).map(String::as_str))
            .filter(|v| !v.is_empty())
    };
    let major = (kind == Kind::Postgres)
        .then(|| {
            let in_image = image.and_then(|i| i.env.get("PG_MAJOR")).filter(|m| !m.is_empty());
            in_image.cloned().or_else(|| major_in_tag(tag?))
        })
        .flatten();
    let from_image =
        || image.and_then(|i| i.volumes.iter().find(|v| v.starts_with(kind.home()))).map(|v| clean(v));
    let bitnami = repository.split('/').any(|part| part.starts_with("bitnami"));
    let (data_dir, data_dir_known) = match kind {
        _ if bitnami => (format!("/bitnami/{}", repository.rsplit('/').next().unwrap_or_default()), false),
        Kind::Postgres => match variable("PGDATA") {
            Some(path) => (clean(path), true),
            None if major.as_deref().and_then(|m| m.parse::<u32>().ok()).is_some_and(|m| m >= 18) => {
                (format!("/var/lib/postgresql/{}/docker", major.as_deref().unwrap_or_default()), false)
            }
            None => ("/var/lib/postgresql/data".into(), false),
        },
        Kind::MySql | Kind::Mongo | Kind::Redis => {
            (from_image().unwrap_or_else(|| kind.home().to_owned()), true)
        }
    };
    Some(Database { kind, certain: by_name.is_some(), data_dir, data_dir_known, major })
}

/// `registry:5000/a/b:tag@digest` into the repository and the tag.
fn split_reference(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

fn kind_by_name(repository: &str) -> Option<Kind> {
    match repository.rsplit('/').next().unwrap_or(repository) {
        "postgres" | "postgresql" | "postgis" | "timescaledb" | "timescaledb-ha" | "pgvector"
        | "pgvecto-rs" | "cnpg-postgres" => Some(Kind::Postgres),
        "mysql" | "mariadb" | "percona" | "percona-server" | "mysql-server" => Some(Kind::MySql),
        "mongo" | "mongodb" | "mongodb-community-server" | "percona-server-mongodb" => Some(Kind::Mongo),
        "redis" | "valkey" | "redis-stack-server" | "redis-stack" => Some(Kind::Redis),
        _ => None,
    }
}

fn kind_by_environment(image: &ImageFacts) -> Option<Kind> {
    let has = |name: &str| image.env.contains_key(name);
    let keeps = |home: &str| image.volumes.iter().any(|v| v.starts_with(home));
    if has("PG_MAJOR") && keeps(Kind::Postgres.home()) {
        Some(Kind::Postgres)
    } else if (has("MYSQL_MAJOR") || has("MARIADB_VERSION") || has("MYSQL_VERSION"))
        && keeps(Kind::MySql.home())
    {
        Some(Kind::MySql)
    } else if (has("MONGO_MAJOR") || has("MONGO_VERSION")) && keeps(Kind::Mongo.home()) {
        Some(Kind::Mongo)
    } else if (has("REDIS_VERSION") || has("VALKEY_VERSION")) && keeps(Kind::Redis.home()) {
        Some(Kind::Redis)
    } else {
        None
    }
}

/// A service that runs `psql`, `pg_dump` or a script in a database's image is no database.
fn runs_the_server(service: &Service, kind: Kind) -> bool {
    let starts_server = |words: Vec<String>| match words.first() {
        None => true,
        Some(first) => {
            let program = first.rsplit('/').next().unwrap_or(first);
            first.starts_with('-') || kind.servers().contains(&program)
        }
    };
    starts_server(service.entrypoint()) && starts_server(service.command())
}

/// `17`, `17.2-alpine`, `17-3.5`, `pg17`, `2.17-pg16`.
fn major_in_tag(tag: &str) -> Option<String> {
    let digits = |text: &str| -> Option<String> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    if let Some((_, after)) = tag.rsplit_once("pg") {
        return digits(after);
    }
    digits(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_read_from_tags() {
        for (tag, expected) in [
            ("17", Some("17")),
            ("17.2-alpine", Some("17")),
            ("16-3.4", Some("16")),
            ("pg17", Some("17")),
            ("2.17.2-pg16", Some("16")),
            ("latest", None),
            ("alpine", None),
        ] {
            assert_eq!(major_in_tag(tag).as_deref(), expected, "{tag}");
        }
    }

    #[test]
    fn references_are_cut_at_tag_and_digest() {
        for (reference, expected) in [
            ("postgres:17", ("postgres", Some("17"))),
            ("localhost:5000/postgres", ("localhost:5000/postgres", None)),
            ("a/b:1@sha256:00", ("a/b", Some("1"))),
            ("postgres", ("postgres", None)),
        ] {
            assert_eq!(split_reference(reference), expected);
        }
    }

    #[test]
    fn databases_are_known_by_their_names() {
        for (repository, expected) in [
            ("postgres", Some(Kind::Postgres)),
            ("wharf-base/postgres", Some(Kind::Postgres)),
            ("postgis/postgis", Some(Kind::Postgres)),
            ("mariadb", Some(Kind::MySql)),
            ("mongo", Some(Kind::Mongo)),
            ("redis", Some(Kind::Redis)),
            ("postgres-backup-local", None),
            ("prometheuscommunity/postgres-exporter", None),
            ("mongo-express", None),
        ] {
            assert_eq!(kind_by_name(repository), expected, "{repository}");
        }
    }
}
