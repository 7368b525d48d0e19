//! How the app's PostgreSQL databases are.

use super::known_app;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::database::{Database, databases_of};
use crate::outside::Visit;
use std::collections::BTreeMap;
use std::time::Duration;
use wharf_access::Permit;
use wharf_engine::exec::ExecSpec;
use wharf_plan::facts::ContainerState;
use wharf_proto::database::{DatabaseKind, DatabaseStatus};
use wharf_proto::message::Reply;
use wharf_proto::{AppName, Failure, FailureKind};

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_BYTES: usize = 1024 * 1024;
/// A question that waits itself would be of no help.
const SETTINGS: &str =
    "SET statement_timeout = '20s'; SET lock_timeout = '5s'; SET default_transaction_read_only = on;";
/// Measuring a table waits for whoever has it to himself: the size of such a one is what the last VACUUM saw. One row of
/// JSON. Of a query only the first word is shown: the rest may hold people's data.
const QUESTION: &str = r"
WITH busy AS (
  SELECT pid, usename, state, wait_event_type, wait_event,
         greatest(0, extract(epoch FROM now() - coalesce(query_start, state_change)))::bigint AS seconds,
         upper(substring(ltrim(query) FROM '^[A-Za-z]+')) AS command
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
held AS MATERIALIZED (
  SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL)
SELECT json_build_object(
  'service', '',
  'database', current_database(),
  'version', split_part(current_setting('server_version'), ' ', 1),
  'size_bytes', pg_database_size(current_database()),
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'max_connections', current_setting('max_connections')::int,
  'slow', (SELECT coalesce(json_agg(row_to_json(s)), '[]') FROM (
     SELECT pid, coalesce(usename, '') AS user, seconds, state,
            CASE WHEN wait_event_type IS NULL OR wait_event_type = 'Client' THEN NULL
                 ELSE wait_event_type || ': ' || wait_event END AS waits_for,
            coalesce(command, '') AS command
     FROM busy WHERE state <> 'idle' AND seconds >= :slow ORDER BY seconds DESC LIMIT 20) s),
  'blocked', (SELECT coalesce(json_agg(row_to_json(b)), '[]') FROM (
     SELECT pid, pg_blocking_pids(pid) AS by, seconds, coalesce(command, '') AS command
     FROM busy WHERE cardinality(pg_blocking_pids(pid)) > 0 ORDER BY seconds DESC LIMIT 20) b),
  'tables', (SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (
     SELECT n.nspname || '.' || c.relname AS table,
            CASE WHEN c.oid IN (SELECT relation FROM held) THEN c.relpages::bigint * current_setting('block_size')::bigint
                 ELSE pg_total_relation_size(c.oid) END AS size_bytes,
            greatest(0, c.reltuples)::bigint AS rows
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     ORDER BY 2 DESC LIMIT 10) t));
";
/// `$1` is the database, `$2` the user; both may be empty. The password is read where it is, and is on no command line.
const ASK: &str = r#"
user=${2:-${POSTGRES_USER:-postgres}}
if [ -z "$PGPASSWORD" ]; then
  PGPASSWORD=$POSTGRES_PASSWORD
  [ -n "$PGPASSWORD" ] || [ ! -r "$POSTGRES_PASSWORD_FILE" ] || PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
fi
export PGPASSWORD
exec psql -X -q -A -t -v ON_ERROR_STOP=1 -v slow="$3" -U "$user" -d "${1:-${POSTGRES_DB:-$user}}" -f -"#;

/// Asks every PostgreSQL database of the app. One that cannot be asked says why, and does not keep the others back.
///
/// # Errors
/// An app that is not known, one without such a database, an engine that does not answer.
pub async fn status(
    agent: &Agent,
    permit: &Permit,
    app: &AppName,
    slow_seconds: u32,
) -> Result<Reply, Failure> {
    let record = known_app(agent, permit, app).await?;
    let containers = agent.engine.project_containers(&record.project).await;
    let containers = containers.map_err(|e| failures::of_engine(&e))?;
    let mut images = BTreeMap::new();
    for container in &containers {
        let image = agent.engine.image(&container.image_id).await.map_err(|e| failures::of_engine(&e))?;
        images.extend(image.map(|image| (container.image_id.clone(), image)));
    }
    let mut databases = databases_of(&record.spec, &containers, &images);
    databases.retain(|database| database.kind == DatabaseKind::Postgres);
    if databases.is_empty() {
        return Err(Failure::new(FailureKind::NotFound, format!("{app} has no PostgreSQL database"))
            .hint("name its service (or url_env) in wharf.toml under [[postgres]]"));
    }
    let mut answers = Vec::new();
    let mut visit = Visit::new(agent, &record.spec);
    for database in &mut databases {
        let asked = match database.outside {
            true => match visit.open(&database.service).await {
                Ok(opened) => {
                    database.container = Some(opened.container);
                    ask(agent, database, slow_seconds).await
                }
                Err(failure) => Err(told(&failure)),
            },
            false => ask(agent, database, slow_seconds).await,
        };
        answers.push(match asked {
            Ok(status) => DatabaseStatus { service: database.service.clone(), ..status },
            Err(problem) => DatabaseStatus {
                service: database.service.clone(),
                database: database.database.clone().unwrap_or_default(),
                problem: Some(problem),
                ..DatabaseStatus::default()
            },
        });
    }
    visit.close().await;
    Ok(Reply::DbStatus { databases: answers })
}

/// What keeps a database from being asked, in a line.
fn told(failure: &Failure) -> String {
    let causes = failure.causes.iter().map(|cause| format!(": {}", cause.replace('\n', " ")));
    std::iter::once(failure.message.clone()).chain(causes).collect()
}

async fn ask(agent: &Agent, database: &Database, slow_seconds: u32) -> Result<DatabaseStatus, String> {
    let running = database.container.as_ref().filter(|container| container.state == ContainerState::Running);
    let Some(container) = running else { return Err("its container does not run".to_owned()) };
    let slow = slow_seconds.to_string();
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let (name, user) = (of(&database.database), of(&database.user));
    let mut spec = ExecSpec::new(["sh", "-c", ASK, "status", &name, &user, &slow]);
    spec.stdin = true;
    let question = format!("{SETTINGS}{QUESTION}");
    let asked =
        agent.engine.exec_to_end(&container.id, &spec, question.as_bytes(), ANSWER_LIMIT, ANSWER_BYTES);
    let answer = asked.await.map_err(|error| error.to_string())?;
    if answer.code != Some(0) {
        let said = String::from_utf8_lossy(&answer.stderr);
        return Err(said.lines().last().unwrap_or("psql failed and said nothing").trim().to_owned());
    }
    serde_json::from_slice(&answer.stdout).map_err(|error| error.to_string())
}
