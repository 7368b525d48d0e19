//! Which command is a database's own console.

use crate::agent::Agent;
use crate::answers::known_app;
use crate::failures;
use wharf_access::Permit;
use wharf_plan::facts::ContainerFacts;
use wharf_proto::terminal::{ConsoleRequest, ExecRequest};
use wharf_proto::{AppSpec, Failure, FailureKind};

/// Databases with a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    MySql,
    Redis,
}

/// Reads a password from the container's own environment, so that it is on no command line. `$1` is the database, `$2` the
/// user; both may be empty.
const POSTGRES: &str = r#"
user=${2:-${POSTGRES_USER:-postgres}}
if [ -z "$PGPASSWORD" ]; then
  PGPASSWORD=$POSTGRES_PASSWORD
  [ -n "$PGPASSWORD" ] || [ ! -r "$POSTGRES_PASSWORD_FILE" ] || PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
fi
export PGPASSWORD
exec psql -U "$user" -d "${1:-${POSTGRES_DB:-$user}}""#;
const MYSQL: &str = r#"
user=$2
of_root=${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD}
if [ -z "$user" ]; then
  user=root
  [ -n "$of_root" ] || user=${MARIADB_USER:-$MYSQL_USER}
fi
if [ "$user" = root ]; then MYSQL_PWD=$of_root
elif [ "$user" = "${MARIADB_USER:-$MYSQL_USER}" ]; then MYSQL_PWD=${MARIADB_PASSWORD:-$MYSQL_PASSWORD}
fi
export MYSQL_PWD
client=mariadb; command -v mariadb >/dev/null 2>&1 || client=mysql
exec "$client" -u "$user" "${1:-${MARIADB_DATABASE:-$MYSQL_DATABASE}}""#;
const REDIS: &str = r#"
REDISCLI_AUTH=${REDISCLI_AUTH:-$REDIS_PASSWORD}
[ -z "$REDISCLI_AUTH" ] && unset REDISCLI_AUTH || export REDISCLI_AUTH
client=redis-cli; command -v redis-cli >/dev/null 2>&1 || client=valkey-cli
exec "$client" -n "${1:-0}""#;

/// The console as a program in the database's container.
///
/// # Errors
/// No database service, several of them, or one that is not known.
pub async fn command(
    agent: &Agent,
    permit: &Permit,
    request: ConsoleRequest,
) -> Result<ExecRequest, Failure> {
    let record = known_app(agent, permit, &request.app).await?;
    let containers = agent.engine.project_containers(&record.project).await;
    let mut containers = containers.map_err(|e| failures::of_engine(&e))?;
    containers.retain(|container| !container.one_off);
    containers.dedup_by(|a, b| a.service == b.service);
    let mut found = Vec::new();
    for container in &containers {
        if let Some(kind) = kind(agent, &record.spec, container).await? {
            found.push((container.service.clone(), kind));
        }
    }
    let outside = record.spec.postgres.iter().filter_map(|one| one.outside.as_ref());
    found.extend(outside.map(|outside| (outside.url_env.clone(), Kind::Postgres)));
    found.dedup();
    let (service, kind) = choose(&found, request.service.as_deref())?;
    let (database, user) = configured(&record.spec, &service);
    let database = request.database.or(database);
    let script = match kind {
        Kind::Postgres => POSTGRES,
        Kind::MySql => MYSQL,
        Kind::Redis => REDIS,
    };
    let words = ["sh", "-c", script, "console"].map(str::to_owned);
    let given = [database.unwrap_or_default(), user.unwrap_or_default()];
    Ok(ExecRequest {
        app: request.app,
        service,
        command: words.into_iter().chain(given).collect(),
        user: None,
        terminal: request.terminal,
    })
}

/// The database and the user that `wharf.toml` names for a service.
fn configured(spec: &AppSpec, service: &str) -> (Option<String>, Option<String>) {
    if let Some(postgres) = spec.postgres.iter().find(|spec| spec.server() == service) {
        return (postgres.database.clone(), postgres.user.clone());
    }
    let mysql = spec.mysql.iter().find(|spec| spec.service == service);
    mysql.map_or((None, None), |mysql| (mysql.database.clone(), mysql.user.clone()))
}

/// What `wharf.toml` says that a service is.
fn said(spec: &AppSpec, service: &str) -> Option<Kind> {
    let is = |named: &str| named == service;
    if spec.postgres.iter().any(|postgres| is(postgres.server())) {
        Some(Kind::Postgres)
    } else if spec.mysql.iter().any(|mysql| is(&mysql.service)) {
        Some(Kind::MySql)
    } else if spec.redis.iter().any(|redis| is(&redis.service)) {
        Some(Kind::Redis)
    } else {
        None
    }
}

async fn kind(agent: &Agent, spec: &AppSpec, container: &ContainerFacts) -> Result<Option<Kind>, Failure> {
    if let Some(kind) = said(spec, &container.service) {
        return Ok(Some(kind));
    }
    let image = agent.engine.image(&container.image_id).await.map_err(|e| failures::of_engine(&e))?;
    let has = |name: &str| image.as_ref().is_some_and(|image| image.env.contains_key(name));
    let keeps = |home: &str| {
        image.as_ref().is_some_and(|image| image.volumes.iter().any(|path| path.starts_with(home)))
    };
    Ok(if has("PG_MAJOR") {
        Some(Kind::Postgres)
    } else if has("MYSQL_MAJOR") || has("MARIADB_VERSION") || keeps("/var/lib/mysql") {
        Some(Kind::MySql)
    } else if has("REDIS_VERSION") || has("VALKEY_VERSION") || named_redis(&container.image) {
        Some(Kind::Redis)
    } else {
        None
    })
}

fn named_redis(reference: &str) -> bool {
    let name = reference.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    matches!(name, "redis" | "valkey" | "redis-stack-server")
}

fn choose(found: &[(String, Kind)], wanted: Option<&str>) -> Result<(String, Kind), Failure> {
    let names = || found.iter().map(|(service, _)| service.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, found) {
        (Some(wanted), _) => found.iter().find(|(service, _)| service == wanted).cloned().ok_or_else(|| {
            let failure = Failure::new(
                FailureKind::NotFound,
                format!("no database service called {wanted} has a container"),
            );
            if found.is_empty() { failure } else { failure.hint(format!("name one of: {}", names())) }
        }),
        (None, []) => {
            Err(Failure::new(FailureKind::NotFound, "no service of the app is known as a database")
                .hint("name it in wharf.toml under [[postgres]], [[mysql]] or [[redis]], or use wharf exec"))
        }
        (None, [only]) => Ok(only.clone()),
        // The one that is backed up is the one that is meant, where there is one.
        (None, several) => {
            let mut postgres = several.iter().filter(|(_, kind)| *kind == Kind::Postgres);
            match (postgres.next(), postgres.next()) {
                (Some(only), None) => Ok(only.clone()),
                _ => Err(Failure::new(FailureKind::Config, "the app has several databases")
                    .hint(format!("say which with --service: {}", names()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_database_is_meant_or_the_only_postgres() {
        let of = |list: &[(&str, Kind)]| {
            let list: Vec<_> = list.iter().map(|(service, kind)| ((*service).to_owned(), *kind)).collect();
            choose(&list, None).map(|(service, _)| service).map_err(|failure| failure.kind)
        };
        assert_eq!(of(&[]), Err(FailureKind::NotFound));
        assert_eq!(of(&[("cache", Kind::Redis)]), Ok("cache".to_owned()));
        assert_eq!(of(&[("cache", Kind::Redis), ("db", Kind::Postgres)]), Ok("db".to_owned()));
        assert_eq!(of(&[("a", Kind::Postgres), ("b", Kind::Postgres)]), Err(FailureKind::Config));
        assert_eq!(choose(&[("db".to_owned(), Kind::MySql)], Some("web")).unwrap_err().hints.len(), 1);
    }

    #[test]
    fn what_the_configuration_says_comes_before_what_an_image_looks_like() {
        let spec: AppSpec = serde_json::from_value(serde_json::json!({
            "app": "shop", "path": "/srv/shop", "compose": {"files": ["c.yml"]},
            "postgres": [{"service": "pg", "database": "a", "user": "b"}],
            "mysql": [{"service": "store", "database": "orders", "user": "clerk"}],
            "redis": [{"service": "cache"}],
        }))
        .expect("a spec");
        let kinds = ["pg", "store", "cache", "web"].map(|service| said(&spec, service));
        assert_eq!(kinds, [Some(Kind::Postgres), Some(Kind::MySql), Some(Kind::Redis), None]);
        let named = |service| {
            let (database, user) = configured(&spec, service);
            (database.unwrap_or_default(), user.unwrap_or_default())
        };
        assert_eq!(named("store"), ("orders".to_owned(), "clerk".to_owned()));
        assert_eq!((named("pg").0, named("cache").0), ("a".to_owned(), String::new()));
    }

    #[test]
    fn redis_is_known_by_its_images_name() {
        assert!(named_redis("docker.io/library/redis:7") && named_redis("valkey@sha256:1"));
        assert!(!named_redis("app-redis:v1"));
    }
}
