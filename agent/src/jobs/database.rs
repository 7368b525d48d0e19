//! The databases of an app that a backup dumps, and what each is called in it.
//!
//! **Invariant**: no two databases of an app have one label, and a label tells the service.

use super::Work;
use super::survey::Survey;
use std::collections::BTreeMap;
use std::fmt;
use wharf_backup::{DumpRequest, label_of};
use wharf_plan::facts::{ContainerFacts, ImageFacts};
use wharf_proto::AppSpec;
use wharf_proto::database::DatabaseKind;
use wharf_proto::spec::{DumpSpec, PostgresSpec};

/// A database of the stack, or one outside it.
#[derive(Debug, Clone)]
pub struct Database {
    pub kind: DatabaseKind,
    /// Of one outside the stack: the key that holds its URL.
    pub service: String,
    /// Whether it is no service of the stack: then its container is a toolbox, and there is one while somebody has opened
    /// it ([`crate::outside`]).
    pub outside: bool,
    /// `None`: as the container's environment says.
    pub user: Option<String>,
    /// `None`: as the container's environment says.
    pub database: Option<String>,
    /// The project's own commands, where it is of no kind that Wharf knows.
    pub commands: Option<DumpSpec>,
    /// What it is called in backups: its service's name, with its own where the project names several of one server.
    pub label: String,
    /// `None`: the service has never run, so there is nothing to dump.
    pub container: Option<ContainerFacts>,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outside = if self.outside { " (outside the stack)" } else { "" };
        match (&self.database, &self.container) {
            (Some(database), _) if self.outside => write!(f, "{}/{database}{outside}", self.service),
            (None, _) if self.outside => write!(f, "{}{outside}", self.service),
            (Some(database), None) => write!(f, "{}/{database} (no database yet)", self.service),
            (None, None) => write!(f, "{} (no database yet)", self.service),
            (Some(database), Some(_)) => write!(f, "{}/{database}", self.service),
            (None, Some(_)) => f.write_str(&self.service),
        }
    }
}

impl Database {
    /// Whether it is the database of that name in that service, as far as the project tells names.
    pub fn is(&self, service: &str, database: &str) -> bool {
        self.service == service && self.database.as_deref().is_none_or(|name| name == database)
    }

    /// What is asked of the backup for it.
    pub fn request(&self, container: &ContainerFacts) -> DumpRequest {
        DumpRequest {
            label: self.label.clone(),
            kind: self.kind,
            container: container.id.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            commands: self.commands.clone(),
        }
    }
}

/// Whether the project's words are about the database of that name in that service.
pub fn is(spec: &PostgresSpec, service: &str, database: &str) -> bool {
    spec.server() == service && spec.database.as_deref().is_none_or(|name| name == database)
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
    let mut found = named(spec);
    for database in found.iter_mut().filter(|database| !database.outside) {
        database.container = of(&database.service);
    }
    for container in &containers {
        let is_postgres =
            images.get(&container.image_id).is_some_and(|image| image.env.contains_key("PG_MAJOR"));
        if is_postgres && !found.iter().any(|database| database.service == container.service) {
            let service = container.service.as_str();
            let plain = database(DatabaseKind::Postgres, service, (None, None), &[]);
            found.push(Database { container: Some((*container).clone()), ..plain });
        }
    }
    found
}

/// What `wharf.toml` names.
fn named(spec: &AppSpec) -> Vec<Database> {
    let postgres: Vec<&str> = spec.postgres.iter().map(PostgresSpec::server).collect();
    let mysql: Vec<&str> = spec.mysql.iter().map(|one| one.service.as_str()).collect();
    let of_postgres = spec.postgres.iter().map(|one| {
        let names = (one.user.as_ref(), one.database.as_ref());
        Database {
            outside: one.outside.is_some(),
            ..database(DatabaseKind::Postgres, one.server(), names, &postgres)
        }
    });
    let of_mysql = spec.mysql.iter().map(|one| {
        database(DatabaseKind::Mysql, &one.service, (one.user.as_ref(), one.database.as_ref()), &mysql)
    });
    let of_redis =
        spec.redis.iter().map(|one| database(DatabaseKind::Redis, &one.service, (None, None), &[]));
    let dumped: Vec<&str> = spec.dump.iter().map(|one| one.service.as_str()).collect();
    let of_commands = spec.dump.iter().map(|one| Database {
        commands: Some(one.clone()),
        ..database(DatabaseKind::Commands, &one.service, (None, one.name.as_ref()), &dumped)
    });
    of_postgres.chain(of_mysql).chain(of_redis).chain(of_commands).collect()
}

/// `services`: those of all databases of the kind, one for each.
fn database(
    kind: DatabaseKind,
    service: &str,
    (user, name): (Option<&String>, Option<&String>),
    services: &[&str],
) -> Database {
    Database {
        kind,
        service: service.to_owned(),
        outside: false,
        user: user.cloned(),
        database: name.cloned(),
        commands: None,
        label: label(service, name, services),
        container: None,
    }
}

/// The service's name alone, where that is enough: backups of a single database keep the label that they always had.
fn label(service: &str, name: Option<&String>, services: &[&str]) -> String {
    let shared = services.iter().filter(|other| **other == service).count() > 1;
    match name {
        Some(name) if shared => label_of(service, name),
        Some(_) | None => service.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::spec::{MysqlSpec, OutsideSpec, RedisSpec};

    fn spec(service: &str, database: Option<&str>) -> PostgresSpec {
        PostgresSpec {
            service: service.into(),
            database: database.map(Into::into),
            ..PostgresSpec::default()
        }
    }

    fn app(spec: &str) -> AppSpec {
        let json = format!(r#"{{"app": "a", "path": "/a", "compose": {{"files": []}}{spec}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn labels_are_the_service_unless_it_has_several_databases() {
        let postgres = vec![
            spec("db", Some("app")),
            spec("db", Some("my data")),
            spec("db", Some("my_data")),
            spec("db", Some("..")),
            spec("geo", Some("maps")),
        ];
        let labels: Vec<String> =
            named(&AppSpec { postgres, ..app("") }).into_iter().map(|one| one.label).collect();
        assert_eq!(labels[0], "db/app");
        assert!(labels[1].starts_with("db/my_data-") && labels[1].len() == "db/my_data-".len() + 8);
        assert_eq!(labels[2], "db/my_data");
        assert!(labels[3].starts_with("db/-"), "{}", labels[3]);
        assert_eq!(labels[4], "geo");
    }

    #[test]
    fn one_outside_the_stack_is_called_by_its_key_and_has_no_container_of_its_own() {
        let outside = |database: Option<&str>| PostgresSpec {
            outside: Some(OutsideSpec {
                url_env: "MAPS_URL".into(),
                image: "postgres:17".into(),
                network: None,
            }),
            ..spec("", database)
        };
        let one = AppSpec { postgres: vec![outside(None)], ..app("") };
        let found = databases_of(&one, &[], &BTreeMap::new()).remove(0);
        assert_eq!(
            (found.label.as_str(), found.outside, found.container.is_none()),
            ("MAPS_URL", true, true)
        );
        assert_eq!(found.to_string(), "MAPS_URL (outside the stack)");
        let two = AppSpec { postgres: vec![outside(Some("a")), outside(Some("b"))], ..app("") };
        let labels: Vec<String> = named(&two).into_iter().map(|one| one.label).collect();
        assert_eq!(labels, ["MAPS_URL/a", "MAPS_URL/b"]);
        assert!(is(&outside(None), "MAPS_URL", "any") && !is(&outside(None), "", "any"));
    }

    #[test]
    fn every_kind_that_is_named_is_found() {
        let mysql = ["shop", "stock"].map(|name| MysqlSpec {
            service: "maria".into(),
            user: None,
            database: Some(name.into()),
        });
        let spec = AppSpec {
            postgres: vec![spec("db", None)],
            mysql: mysql.to_vec(),
            redis: vec![RedisSpec { service: "cache".into() }],
            dump: [("docs", None), ("ldap", Some("config")), ("ldap", Some("people"))]
                .map(|(service, name)| DumpSpec {
                    service: service.into(),
                    name: name.map(Into::into),
                    ..DumpSpec::default()
                })
                .to_vec(),
            ..app("")
        };
        let found: Vec<String> =
            named(&spec).iter().map(|one| format!("{:?} {}", one.kind, one.label)).collect();
        let known = ["Postgres db", "Mysql maria/shop", "Mysql maria/stock", "Redis cache"];
        let other = ["Commands docs", "Commands ldap/config", "Commands ldap/people"];
        assert_eq!(found, [&known[..], &other].concat());
    }

    #[test]
    fn a_database_without_a_name_is_any_of_its_service() {
        assert!(is(&spec("db", None), "db", "app"));
        assert!(is(&spec("db", Some("app")), "db", "app"));
        assert!(!is(&spec("db", Some("app")), "db", "analytics"));
        assert!(!is(&spec("db", None), "geo", "app"));
    }
}
