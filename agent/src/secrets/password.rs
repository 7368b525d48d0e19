//! A new password for a database: in its role and in the env file, in one job.

use super::edit;
use super::{refuse_adopted, work};
use crate::agent::Agent;
use crate::conversation::{Stop, Talk};
use crate::data::schema;
use crate::jobs::database::Database;
use crate::jobs::queue::{self, Seat};
use crate::jobs::role::RoleChange;
use crate::jobs::{self, Work, compose};
use crate::locks;
use crate::outside;
use std::collections::{BTreeMap, BTreeSet};
use wharf_access::Permit;
use wharf_plan::Model;
use wharf_proto::message::{JobOptions, Reply};
use wharf_proto::secret::{DatabasePassword, SecretChange, SecretValue};
use wharf_proto::{Failure, FailureKind};
use wharf_state::{AppRecord, ReleaseRecord};

/// Letters and digits, which no URL and no shell minds: 190 bits.
const GENERATED_CHARACTERS: usize = 32;

/// Begins the change and watches it.
///
/// # Errors
/// Nothing is live; no one database, or no key that holds its password; another job running.
pub async fn change(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: DatabasePassword,
) -> Result<Option<Reply>, Stop> {
    let known = crate::answers::known_app(agent, permit, &request.app).await?;
    let seat = talk.unless_gone(queue::take_for(agent, &request.app, &request.options)).await?;
    if !request.options.dry_run {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, &request.app).await?;
    }
    let live = crate::answers::live(agent, &request.app).await?.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("no release of {} is live", request.app)).hint(
            "before the first deploy the password is only in the env file: wharf secrets set DB_PASSWORD",
        )
    })?;
    refuse_adopted(&live)?;
    let dry_run = request.options.dry_run;
    let lease = agent.blobs.lease(live.manifest.chunks().map(|chunk| chunk.digest));
    let work = prepare(agent, &known, live, request, &seat, &talk.who.by).await?;
    jobs::plan_or_run(agent, talk, work, seat, lease, dry_run).await
}

async fn prepare(
    agent: &Agent,
    known: &AppRecord,
    live: ReleaseRecord,
    request: DatabasePassword,
    seat: &Seat,
    by: &str,
) -> Result<Work, Failure> {
    let model = compose::of(agent, &live.spec, &known.project, seat).model().await?;
    let database = one_database(agent, known, &live, request.service.as_deref()).await?;
    let service = database.service.clone();
    let variable = |name: &str| model.service(&service).and_then(|service| service.variable(name));
    let user = database.user.clone().or_else(|| variable("POSTGRES_USER").map(str::to_owned));
    let values = edit::values_in_place(agent, &live.spec, seat).await?;
    let keys = keys_of(&model, &service, &values)?;
    let password = request.password.unwrap_or_else(generate);
    let options = request.options.clone();
    let change = SecretChange {
        spec: live.spec.clone(),
        set: keys.iter().map(|key| (key.clone(), password.clone())).collect(),
        unset: Vec::new(),
        import: None,
        restart: true,
        options: JobOptions::default(),
    };
    let edited = edit::edit(agent, &live.spec, &change, seat).await?;
    let key = keys.into_iter().next().unwrap_or_default();
    let role = RoleChange { service, user: user.unwrap_or_else(|| "postgres".to_owned()), key };
    let message = options.message.clone().or_else(|| Some(format!("a new password for {}", role.service)));
    let work = work(agent, live, edited.change, JobOptions { message, ..options }, by).await?;
    Ok(Work { role: Some(role), ..work })
}

/// The database that is meant.
async fn one_database(
    agent: &Agent,
    known: &AppRecord,
    live: &ReleaseRecord,
    service: Option<&str>,
) -> Result<Database, Failure> {
    if let Some(outside) = service.and_then(|service| outside::find(&live.spec, service)) {
        let key = &outside.url_env;
        return Err(Failure::new(
            FailureKind::Refused,
            format!("the server of {key} lies outside the stack"),
        )
        .cause("whoever else uses that role would be locked out")
        .hint("change it there (wharf db console, then \\password), and then the URL")
        .hint(format!("the URL with the new password: wharf secrets set {key}")));
    }
    let mut found = schema::databases(agent, &live.spec, &known.project).await?;
    let all: BTreeSet<String> = found.iter().map(|database| database.service.clone()).collect();
    found.retain(|database| service.is_none_or(|service| database.service == service));
    // A role is its server's, whichever of its databases is named.
    found.dedup_by(|a, b| a.service == b.service);
    let names: Vec<String> = found.iter().map(|database| database.service.clone()).collect();
    match (found.pop(), found.is_empty()) {
        (Some(database), true) => Ok(database),
        (Some(_), false) => Err(Failure::new(FailureKind::Config, "the app has several databases")
            .hint(format!("name one: wharf db password {}", names.join(" | ")))),
        (None, _) => Err(no_such_database(service, &all)),
    }
}

/// Other services and databases have no password that this could change.
fn no_such_database(service: Option<&str>, all: &BTreeSet<String>) -> Failure {
    let Some(service) = service.filter(|_| !all.is_empty()) else {
        return Failure::new(FailureKind::NotFound, "no PostgreSQL of the app's has a container")
            .hint("see what runs: wharf status");
    };
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    Failure::new(FailureKind::NotFound, format!("no PostgreSQL of the app's is called {service}"))
        .hint(format!("name one of: {}", names.join(", ")))
}

/// The keys of the env file whose value is the password that the database's container is given.
fn keys_of(model: &Model, service: &str, values: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let given = model.service(service).and_then(|service| service.variable("POSTGRES_PASSWORD"));
    let holds = |value: &String| given.is_some_and(|given| !given.is_empty() && given == value);
    let keys: Vec<String> =
        values.iter().filter(|(_, value)| holds(value)).map(|(key, _)| key.clone()).collect();
    if keys.is_empty() {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("no key of the env file is the password of {service}"),
        )
        .cause("POSTGRES_PASSWORD of that service is not the value of one of its keys")
        .hint("write POSTGRES_PASSWORD: ${DB_PASSWORD} in the Compose file, and deploy"));
    }
    Ok(keys)
}

fn generate() -> SecretValue {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let one = |_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]);
    SecretValue::new((0..GENERATED_CHARACTERS).map(one).collect::<String>())
}
