//! The env file, seen and changed from the laptop.
//!
//! **Invariants**
//! - Values come in and never go out: what is told of them are digests under the agent's own key.
//! - A change is written as Compose reads it: it is read back by Compose before anything is replaced ([`edit`]).
//! - Where something runs with the old values, the change is a job with the undo, the checks and the outcome of a deploy.

pub mod described;
mod edit;
mod list;
mod password;
mod scratch;

pub use edit::values;
pub use list::{list, recorded};
pub use password::change as password;

use crate::agent::Agent;
use crate::audit;
use crate::conversation::{Stop, Talk};
use crate::failures;
use crate::jobs::env_change::{self, EnvChange};
use crate::jobs::{self, Source, Work, paths, queue};
use crate::locks;
use std::path::Path;
use wharf_access::Permit;
use wharf_plan::secrets::check;
use wharf_proto::message::{JobOptions, Reply};
use wharf_proto::secret::{SecretChange, SecretsChanged};
use wharf_proto::{AppSpec, Failure, FailureKind};
use wharf_state::ReleaseRecord;

/// Changes the env file; a job where something has to be made anew.
///
/// # Errors
/// No env file is configured, a value that cannot be written or that a rule forbids, another job running.
pub async fn change(
    agent: &Agent,
    talk: &mut Talk,
    permit: &Permit,
    request: SecretChange,
) -> Result<Option<Reply>, Stop> {
    paths::check_place(&request.spec, permit, agent).await?;
    paths::check_spec(&request.spec, agent)?;
    let app = request.spec.app.clone();
    let seat = talk.unless_gone(queue::take_for(agent, &app, &request.options)).await?;
    if !request.options.dry_run {
        // Once more: it may have been locked while this stood in line.
        locks::check(agent, &app).await?;
    }
    let live = crate::answers::live(agent, &app).await?;
    let spec = in_force(&request.spec, live.as_ref())?;
    let edited = edit::edit(agent, &spec, &request, &seat).await?;
    if edited.change.changed.is_empty() {
        if !request.options.dry_run {
            described::keep(agent, &spec).await?;
        }
        return Ok(Some(unneeded(&spec, &edited.change, false)));
    }
    let verdict = check(&edited.values, &spec.secrets, &|key| !edited.change.changed.contains(key));
    if let Some(refusal) = verdict.refusals.iter().find(|refusal| is_about(refusal, &edited.change)) {
        return Err(refusal.to_failure().into());
    }
    let runs = live.filter(|_| request.restart && edited.was_there);
    let Some(live) = runs else {
        let stale = agent.state.app(&app).await.map_err(|e| failures::of_state(&e))?.is_some();
        if !request.options.dry_run {
            // There is no job, which would be kept back.
            locks::check(agent, &app).await?;
            // First what may fail and changes nothing: a description without secrets does no harm.
            described::keep(agent, &spec).await?;
            write(agent, talk, &spec, &edited.change).await?;
        }
        return Ok(Some(unneeded(&spec, &edited.change, stale)));
    };
    refuse_adopted(&live)?;
    let dry_run = request.options.dry_run;
    let lease = agent.blobs.lease(live.manifest.chunks().map(|chunk| chunk.digest));
    let work = work(agent, live, edited.change, request.options, &talk.who.by).await?;
    jobs::plan_or_run(agent, talk, work, seat, lease, dry_run).await
}

/// The description by which the app runs, or is going to.
fn in_force(asked: &AppSpec, live: Option<&ReleaseRecord>) -> Result<AppSpec, Failure> {
    let Some(live) = live else { return Ok(asked.clone()) };
    let same = live.spec.path == asked.path && live.spec.compose.env_file == asked.compose.env_file;
    if same {
        return Ok(live.spec.clone());
    }
    Err(Failure::new(FailureKind::Config, "wharf.toml names another env file than the live release has")
        .cause("path under [server] or env_file under [compose] has changed since the last deploy")
        .hint("deploy first: wharf deploy"))
}

/// What is wrong with other keys does not keep one from being mended.
fn is_about(refusal: &wharf_plan::Refusal, change: &EnvChange) -> bool {
    match refusal {
        wharf_plan::Refusal::PasswordCharacters { key } => change.changed.contains(key),
        wharf_plan::Refusal::MissingSecrets { keys } => keys.iter().any(|key| change.changed.contains(key)),
        _ => true,
    }
}

fn refuse_adopted(live: &ReleaseRecord) -> Result<(), Failure> {
    if !live.adopted {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Refused,
        "what runs was started by hand, so that Wharf cannot make it anew",
    )
    .cause("its files were never shipped")
    .hint("deploy once (wharf deploy), or change the file alone: --no-restart"))
}

async fn work(
    agent: &Agent,
    live: ReleaseRecord,
    change: EnvChange,
    options: JobOptions,
    by: &str,
) -> Result<Work, Failure> {
    let release = if options.dry_run {
        agent.state.peek_release(&live.app).await
    } else {
        agent.state.next_release(&live.app).await
    };
    let keys: Vec<&str> = change.changed.iter().map(String::as_str).collect();
    let message = options.message.clone().unwrap_or_else(|| format!("secrets: {}", keys.join(", ")));
    Ok(Work {
        release: release.map_err(|e| failures::of_state(&e))?,
        source: Source::Again,
        spec: live.spec,
        manifest: live.manifest,
        options: JobOptions { message: Some(message), ..options },
        versions: live.versions,
        git_commit: live.git_commit,
        promoted: live.promoted,
        by: by.to_owned(),
        env: Some(change),
        role: None,
    })
}

async fn write(agent: &Agent, talk: &Talk, spec: &AppSpec, change: &EnvChange) -> Result<(), Failure> {
    let (app_dir, change_to_write) = (spec.path.clone(), change.clone());
    failures::blocking(move || {
        env_change::write_in_place(Path::new(&app_dir), &change_to_write.path, &change_to_write.file)
    })
    .await?;
    let keys: Vec<&str> = change.changed.iter().map(String::as_str).collect();
    let action = format!("secrets {}", keys.join(" "));
    let outcome = "the env file was changed, and nothing restarted";
    audit::write(agent, &talk.who, Some(&spec.app), action, outcome).await
}

fn unneeded(spec: &AppSpec, change: &EnvChange, stale: bool) -> Reply {
    Reply::SecretsChanged {
        change: SecretsChanged {
            app: spec.app.clone(),
            file: change.path.below(Path::new(&spec.path)).display().to_string(),
            changed: change.changed.iter().cloned().collect(),
            stale,
        },
    }
}
