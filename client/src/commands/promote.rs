//! `wharf promote`: ship what one environment runs to another one, and nothing of what lies on the laptop.
//!
//! **Invariant**: every file comes from the release that is promoted. The project's `wharf.toml` says where it goes and how it
//! runs there, and no version rises.

use super::{
    deploy::ship_stubbornly,
    follow,
    rollback::{JobArgs, detached, show_plan},
};
use crate::{
    config::{Config, FILE_NAME},
    context::{Context, Exit},
    render::CarryProgress,
    session::{self, Keeper, Offer, Session, SessionError, Shipped},
};
use std::collections::BTreeMap;
use wharf_proto::{
    Digest, EntryKind, Failure, FailureKind, Manifest, RelPath, ReleaseId,
    message::{DeployRequest, JobOptions, Promoted, Source},
    release::{PromotedFrom, ReleaseSource},
};

/// Ship to one environment the very source that another one runs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The environment whose live release is promoted
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment that it is shipped to
    #[arg(value_name = "TO")]
    to: String,
    /// Promote an earlier release of FROM than the live one
    #[arg(long, value_name = "vN")]
    release: Option<ReleaseId>,
    #[command(flatten)]
    job: JobArgs,
    /// Take a volume that exists already as this app's own (repeatable)
    #[arg(long, value_name = "VOLUME")]
    accept_volume: Vec<String>,
    /// Copy the data directory of a stopped database where it is too broken to dump
    #[arg(long)]
    cold_backup: bool,
    /// Build every service, though FROM's images would do
    #[arg(long)]
    rebuild: bool,
    /// Refresh base images and pulled images first
    #[arg(long)]
    pull: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let (from, to) = environments(&args, context)?;
    let (from_session, to_session) = (context.session(&from), context.session(&to));
    let stopped = context.stopped();
    let shipped = tokio::select! {
        shipped = ship(&args, context, (&from, &from_session), (&to, &to_session)) => shipped?,
        () = stopped => {
            context.console.say("Stopped. Nothing was deployed; what was sent already is not sent again.");
            return Ok(Exit::INTERRUPTED);
        }
    };
    match shipped {
        Shipped::Plan { plan, .. } => {
            show_plan(context, &plan);
            Ok(Exit::DONE)
        }
        Shipped::Job { job, .. } if args.job.detach => {
            detached(context, job);
            Ok(Exit::DONE)
        }
        Shipped::Job { job, talk, .. } => {
            Ok(follow::follow(context, &to_session, job, Some(*talk)).await?.exit())
        }
    }
}

/// Both environments, which must be two.
fn environments(args: &Args, context: &Context) -> Result<(Config, Config), Failure> {
    let Args { from, to, .. } = args;
    if let Some(other) = context.common.env.as_ref().filter(|other| *other != from && *other != to) {
        let text = format!("--env {other} has no part in promoting {from} to {to}");
        return Err(Failure::new(FailureKind::Config, text).hint("leave --env and WHARF_ENV out"));
    }
    let configs = (context.config_for_promotion(from)?, context.config_for_promotion(to)?);
    let (one, two) = (&configs.0, &configs.1);
    if one.spec.app == two.spec.app && one.server == two.server {
        let text = format!("{from} and {to} are the same app on the same server");
        return Err(Failure::new(FailureKind::Config, text)
            .cause(format!("both are {} on {}", one.spec.app, one.server))
            .hint(format!(
                "give one of them an app of its own: app = \"{}-{from}\" under [env.{from}]",
                one.spec.app
            )));
    }
    Ok(configs)
}

/// A side: its configuration, and the way to its agent.
type Side<'a> = (&'a Config, &'a Session);

async fn ship(
    args: &Args,
    context: &mut Context,
    (from, from_session): Side<'_>,
    (to, to_session): Side<'_>,
) -> Result<Shipped, SessionError> {
    let (source, manifest) = session::source(from_session, &from.spec.app, args.release).await?;
    // Where it turns out to be the same agent, that one says no other server.
    let host = (from.server != to.server).then(|| from.server.to_string());
    let promoted = PromotedFrom {
        environment: args.from.clone(),
        app: source.app.clone(),
        release: source.release,
        host,
    };
    check(to, &args.to, &manifest, &promoted, &source).map_err(SessionError::Local)?;
    tell(context, &promoted, &source, &args.to);
    if is_another(to, &manifest) {
        let text = format!("{FILE_NAME} here is not the one of {promoted}: the one here says how it runs");
        context.console.warn(&text);
    }
    let release = source.release;
    let elsewhere = promoted.host.is_some();
    let images = source.images.clone().map(|offered| offered.images).unwrap_or_default();
    let request = request(args, to, source, promoted);
    let packs = |missing| session::source_packs(from_session, from.spec.app.clone(), release, missing);
    let offer = Offer { request, manifest: &manifest, packs: &packs };
    if !elsewhere || images.is_empty() || args.rebuild || args.job.dry_run {
        return ship_stubbornly(context, to_session, &offer).await;
    }
    // Which of the images would serve there, only a plan tells.
    let mut request = offer.request.clone();
    request.options.dry_run = true;
    let first = Offer { request, ..offer };
    if let Shipped::Plan { plan, .. } = ship_stubbornly(context, to_session, &first).await? {
        let keeper = Keeper { session: from_session, app: &from.spec.app, release };
        for image in images.iter().filter(|image| plan.awaited_images.contains(&image.image)) {
            let mut progress = CarryProgress::new(&mut context.console, image);
            session::carry(&keeper, (to_session, &to.spec.app), image, &mut progress).await?;
        }
    }
    let mut request = first.request;
    request.options.dry_run = false;
    let offer = Offer { request, ..first };
    ship_stubbornly(context, to_session, &offer).await
}

#[derive(serde::Serialize)]
struct Promoting<'a> {
    #[serde(flatten)]
    from: &'a PromotedFrom,
    live: bool,
    git_commit: Option<&'a str>,
    to: &'a str,
}

fn tell(context: &mut Context, from: &PromotedFrom, source: &ReleaseSource, to: &str) {
    let commit = source.git_commit.as_deref();
    if context.console.json {
        context.console.object("promoting", &Promoting { from, live: source.live, git_commit: commit, to });
        return;
    }
    let commit = commit.map(|commit| format!(" (commit {})", commit.get(..8).unwrap_or(commit)));
    let state = if source.live { "" } else { ", which is not live there" };
    context.console.note(&format!("Promote: {from}{}{state} to {to}", commit.unwrap_or_default()));
}

/// Whether what `wharf.toml` names is in what is shipped: the project's own files say nothing about that.
fn check(
    to: &Config,
    environment: &str,
    manifest: &Manifest,
    from: &PromotedFrom,
    source: &ReleaseSource,
) -> Result<(), Failure> {
    let spec = &to.spec;
    let is_there = |path: &RelPath| manifest.get(path).is_some();
    let is_folder = |path: &RelPath| manifest.entries().iter().any(|entry| entry.path.is_within(path));
    let files = spec.compose.files.iter().map(|path| ("compose.files", path, is_there(path)));
    let bumps = spec.bump.iter().map(|rule| ("bump.file", &rule.file, is_there(&rule.file)));
    let folders = spec.migrate.iter().filter_map(|one| one.folder.as_ref());
    let folders = folders.map(|path| ("migrate.folder", path, is_folder(path)));
    let Some((key, path, _)) = files.chain(bumps).chain(folders).find(|(_, _, found)| !found) else {
        return Ok(());
    };
    let failure = Failure::new(FailureKind::Config, format!("{path} is not in {from}"))
        .cause(format!("{FILE_NAME} names it under {key} for {environment}"))
        .cause("what is promoted is what was shipped there, and not what lies in this folder");
    Err(match &source.git_commit {
        Some(commit) => failure.hint(format!("use the {FILE_NAME} of that release: git checkout {commit}")),
        None => failure
            .hint(format!("deploy to {} first: wharf deploy --env {}", from.environment, from.environment)),
    })
}

/// Whether the release has another `wharf.toml` than the project.
fn is_another(to: &Config, manifest: &Manifest) -> bool {
    let shipped = FILE_NAME.parse::<RelPath>().ok().and_then(|path| manifest.get(&path));
    let Some(EntryKind::File { chunks, .. }) = shipped.map(|entry| &entry.kind) else { return false };
    let here = std::fs::read(to.root.join(FILE_NAME)).map(|content| Digest::of(&content));
    matches!((chunks.as_slice(), here), ([chunk], Ok(here)) if chunk.digest != here)
}

fn request(args: &Args, to: &Config, source: ReleaseSource, from: PromotedFrom) -> DeployRequest {
    let carried = |file: &RelPath| to.spec.bump.iter().any(|rule| rule.file == *file);
    let versions: BTreeMap<RelPath, String> =
        source.versions.into_iter().filter(|(file, _)| carried(file)).collect();
    DeployRequest {
        spec: to.spec.clone(),
        options: JobOptions {
            accept_volume: args.accept_volume.clone(),
            cold_backup: args.cold_backup,
            // It is the same source: what was said of it holds.
            message: args.job.message.clone().or(source.message),
            ..args.job.options()
        },
        rebuild: args.rebuild,
        pull: args.pull,
        versions,
        source: Source {
            git_commit: source.git_commit,
            promoted: Some(Promoted { from, agent: source.agent, images: source.images }),
            ..Source::default()
        },
    }
}
