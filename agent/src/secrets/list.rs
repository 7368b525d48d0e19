//! What the env file holds, without any value: names, digests, who uses them.

use super::described::{self, Described};
use super::scratch::Scratch;
use crate::agent::Agent;
use crate::failures;
use crate::jobs::compose;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wharf_access::Permit;
use wharf_plan::InputKey;
use wharf_plan::env_file::uses;
use wharf_proto::message::Reply;
use wharf_proto::secret::{SecretInfo, SecretList};
use wharf_proto::{AppName, AppSpec, Failure, FailureKind, ReleaseId};

/// How much of a digest is told: enough to see that two values differ.
const DIGITS: usize = 8;

/// Tells the keys.
///
/// # Errors
/// An app that is not known or has no env file; files that Compose cannot read.
pub async fn list(agent: &Agent, permit: &Permit, app: &AppName) -> Result<Reply, Failure> {
    let record = described::of(agent, permit, app).await?;
    let path = record.spec.compose.env_file.as_ref().ok_or_else(|| {
        Failure::new(FailureKind::Config, format!("{app} has no env file"))
            .hint("set env_file under [compose] in wharf.toml, and deploy")
    })?;
    let place = path.below(Path::new(&record.path));
    let values = if place.is_file() {
        let scratch = Scratch::make(&agent.layout.app(app))?;
        compose::read_env(agent, &record.spec, &place, scratch.path(), None).await?
    } else {
        BTreeMap::new()
    };
    let digests = recorded(&InputKey::new(agent.state.secret_key()), &values);
    let used = services(agent, &record, &place, &values).await;
    let releases = agent.state.release_secrets(app).await.map_err(|e| failures::of_state(&e))?;
    let keys: BTreeSet<&String> = values.keys().chain(&record.spec.secrets.required).collect();
    let secrets = keys.into_iter().map(|key| SecretInfo {
        key: key.clone(),
        digest: digests.get(key).cloned(),
        required: record.spec.secrets.required.contains(key),
        services: used.get(key).into_iter().flatten().cloned().collect(),
        releases: with_value(&releases, key, digests.get(key)),
    });
    let list = SecretList { app: app.clone(), file: place.display().to_string(), secrets: secrets.collect() };
    Ok(Reply::Secrets { list })
}

/// What is kept and told of values: the first digits of digests that nobody can make without the agent's key.
pub fn recorded(key: &InputKey, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let digest = |name: &String, value: &String| {
        let digest = key.digest(format!("{name}\0{value}").as_bytes()).to_string();
        digest.chars().take(DIGITS).collect::<String>()
    };
    values.iter().map(|(name, value)| (name.clone(), digest(name, value))).collect()
}

/// The services that use each key. A model that Compose cannot read is told of elsewhere; here it only tells less.
async fn services(
    agent: &Agent,
    record: &Described,
    place: &Path,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, BTreeSet<String>> {
    let keys: Vec<String> = values.keys().cloned().collect();
    let spec: &AppSpec = &record.spec;
    let stack = compose::to_read(agent, spec, &record.project);
    let Ok(json) = stack.project().config_without_values().await else { return BTreeMap::new() };
    let Ok(model) = serde_json::from_str(&json) else { return BTreeMap::new() };
    uses(&model, &place.to_string_lossy(), &keys)
}

fn with_value(
    releases: &[(ReleaseId, BTreeMap<String, String>)],
    key: &str,
    digest: Option<&String>,
) -> Vec<ReleaseId> {
    let same = |secrets: &BTreeMap<String, String>| digest.is_some() && secrets.get(key) == digest;
    releases.iter().filter(|(_, secrets)| same(secrets)).map(|(release, _)| *release).collect()
}
