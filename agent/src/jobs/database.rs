//! The databases of an app that a backup dumps, and what each is called in it.
//!
//! **Invariant**: no two databases of an app have one label, and a label tells the service.

use super::Work;
use super::survey::Survey;
use std::collections::BTreeMap;
use std::fmt;
use wharf_plan::facts::{ContainerFacts, ImageFacts};
use wharf_proto::spec::PostgresSpec;
use wharf_proto::{AppSpec, Digest};

/// A PostgreSQL database of the stack.
#[derive(Debug, Clone)]
pub struct Database {
    pub spec: PostgresSpec,
    /// What it is called in backups: its service's name, with its own where the project names several of one server.
    pub label: String,
    /// `None`: the service has never run, so there is nothing to dump.
    pub container: Option<ContainerFacts>,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.spec.database, &self.container) {
            (Some(database), None) => write!(f, "{}/{database} (no database yet)", self.spec.service),
            (None, None) => write!(f, "{} (no database yet)", self.spec.service),
            (Some(database), Some(_)) => write!(f, "{}/{database}", self.spec.service),
            (None, Some(_)) => f.write_str(&self.spec.service),
        }
    }
}

impl Database {
    /// Whether it is the database of that name in that service, as far as the project tells names.
    pub fn is(&self, service: &str, database: &str) -> bool {
        is(&self.spec, service, database)
    }
}

/// As [`Database::is`].
pub fn is(spec: &PostgresSpec, service: &str, database: &str) -> bool {
    spec.service == service && spec.database.as_deref().is_none_or(|name| name == database)
}

/// The databases to dump: those that the project names, and those that are plainly PostgreSQL.
pub fn databases(work: &Work, survey: &Survey) -> Vec<Database> {
    databases_of(&work.spec, &survey.stack.containers, &survey.images)
}

/// As [`databases`], of a stack's containers and their images by ID.
pub fn databases_of(
    spec: &AppSpec,
    containers: &[ContainerFacts],
    images: &BTreeMap<String, ImageFacts>,
) -> Vec<Database> {
    let containers: Vec<&ContainerFacts> = containers.iter().filter(|c| !c.one_off).collect();
    let of = |service: &str| containers.iter().find(|c| c.service == service).map(|c| (*c).clone());
    let mut found: Vec<Database> = spec
        .postgres
        .iter()
        .map(|one| Database {
            label: label(one, &spec.postgres),
            spec: one.clone(),
            container: of(&one.service),
        })
        .collect();
    for container in containers {
        let is_postgres =
            images.get(&container.image_id).is_some_and(|image| image.env.contains_key("PG_MAJOR"));
        if is_postgres && !found.iter().any(|database| database.spec.service == container.service) {
            let spec = PostgresSpec {
                service: container.service.clone(),
                user: None,
                database: None,
                check_sql: None,
            };
            found.push(Database { label: spec.service.clone(), spec, container: Some(container.clone()) });
        }
    }
    found
}

/// The service's name alone, where that is enough: backups of a single database keep the label that they always had.
fn label(one: &PostgresSpec, all: &[PostgresSpec]) -> String {
    let shared = all.iter().filter(|other| other.service == one.service).count() > 1;
    match &one.database {
        Some(database) if shared => format!("{}/{}", one.service, word(database)),
        Some(_) | None => one.service.clone(),
    }
}

/// A database's name as a part of a path; one that is none is told from others by a digest.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.starts_with('.') && name.chars().all(plain) {
        return name.to_owned();
    }
    let cleaned: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{}-{:.8}", cleaned.trim_start_matches('.'), Digest::of(name.as_bytes()).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(service: &str, database: Option<&str>) -> PostgresSpec {
        PostgresSpec {
            service: service.into(),
            user: None,
            database: database.map(Into::into),
            check_sql: None,
        }
    }

    #[test]
    fn labels_are_the_service_unless_it_has_several_databases() {
        let all = [
            spec("db", Some("app")),
            spec("db", Some("my data")),
            spec("db", Some("my_data")),
            spec("db", Some("..")),
            spec("geo", Some("maps")),
        ];
        let labels: Vec<String> = all.iter().map(|one| label(one, &all)).collect();
        assert_eq!(labels[0], "db/app");
        assert!(labels[1].starts_with("db/my_data-") && labels[1].len() == "db/my_data-".len() + 8);
        assert_eq!(labels[2], "db/my_data");
        assert!(labels[3].starts_with("db/-"), "{}", labels[3]);
        assert_eq!(labels[4], "geo");
    }

    #[test]
    fn a_database_without_a_name_is_any_of_its_service() {
        assert!(is(&spec("db", None), "db", "app"));
        assert!(is(&spec("db", Some("app")), "db", "app"));
        assert!(!is(&spec("db", Some("app")), "db", "analytics"));
        assert!(!is(&spec("db", None), "geo", "app"));
    }
}
