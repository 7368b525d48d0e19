//! `wharf deploy`: raise versions, pack, ship what the server lacks, watch the job.
//!
//! **Invariants**: `--dry-run` writes nothing to the project. A version that was written is taken back exactly when it is
//! certain that nothing of the new release is live: before the job exists, or when it ended in `Failed` or `PutBack`.

use super::{
    follow::{self, Followed},
    rollback::{JobArgs, detached, show_plan},
    wrong_reply,
};
use crate::{
    config::Config,
    context::{Context, Exit},
    project::{
        self, Files, checks,
        versions::{self, Choice, Written},
    },
    render::Progress,
    session::{self, Offer, Session, SessionError, Shipped},
};
use std::time::Duration;
use wharf_look::Rule;
use wharf_pack::bump::Bump;
use wharf_proto::{
    Failure, FailureKind, JobId, Outcome,
    message::{DeployRequest, JobOptions, Reply, Request, Source},
    release::FrontEnd,
};

/// How often an upload whose connection breaks is begun again; what was stored is not sent twice.
const UPLOAD_TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Jobs that are looked through for the one to attach to.
const JOBS_LOOKED_AT: u32 = 20;

/// Ship the project: back up, build, start, verify, or put everything back
#[derive(Debug, clap::Args)]
#[command(visible_alias = "ship")]
pub struct Args {
    #[command(flatten)]
    pub(super) job: JobArgs,
    /// Take a volume that exists already as this app's own (repeatable)
    #[arg(long, value_name = "VOLUME")]
    accept_volume: Vec<String>,
    /// Copy the data directory of a stopped database where it is too broken to dump
    #[arg(long)]
    cold_backup: bool,
    /// Build every service, whatever is unchanged
    #[arg(long)]
    rebuild: bool,
    /// Skip the project's checks, git rules and the look for secrets in what is shipped; the audit
    /// says so
    #[arg(long)]
    force: bool,
    /// Refresh base images and pulled images first
    #[arg(long)]
    pull: bool,
    /// Raise front ends' versions by this much: patch, minor, major, none, or to X.Y.Z
    #[arg(long, value_name = "HOW", value_parser = bump)]
    bump: Option<Bump>,
    /// Ship nothing: watch a job from its beginning; without a number, the app's newest
    #[arg(long, value_name = "JOB", num_args = 0..=1)]
    #[arg(conflicts_with_all = ["detach", "dry_run", "rebuild", "pull", "bump", "message", "force"])]
    attach: Option<Option<JobId>>,
}

fn bump(text: &str) -> Result<Bump, String> {
    text.parse().map_err(|error: wharf_pack::bump::BumpError| error.to_string())
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let session = context.session(&config);
    if let Some(job) = args.attach {
        return attach(context, &config, &session, job).await;
    }
    let stopped = context.stopped();
    let mut written = Written::default();
    // Until the job exists, stopping and failing are the same: nothing began, the versions are taken back.
    let started = tokio::select! {
        started = ship(&args, context, &config, &session, &mut written) => started,
        () = stopped => {
            take_back(context, written);
            context.console.say("Stopped. Nothing was deployed; what was sent already is not sent again.");
            return Ok(Exit::INTERRUPTED);
        }
    };
    match started {
        Err(error @ SessionError::Unknown { .. }) => {
            if !written.is_empty() {
                context.console.warn("the raised version is kept, since the release may be live");
            }
            Err(error.into())
        }
        Err(error) => {
            take_back(context, written);
            Err(error.into())
        }
        Ok(Shipped::Plan { plan, .. }) => {
            show_plan(context, &plan);
            Ok(Exit::DONE)
        }
        Ok(Shipped::Job { job, .. }) if args.job.detach => {
            detached(context, job);
            Ok(Exit::DONE)
        }
        Ok(Shipped::Job { job, talk, .. }) => {
            let followed = follow::follow(context, &session, job, Some(*talk)).await?;
            if let Followed::Over(Outcome::Failed { .. } | Outcome::PutBack { .. }) = &followed {
                take_back(context, written);
            }
            Ok(followed.exit())
        }
    }
}

fn take_back(context: &mut Context, written: Written) {
    for line in written.take_back() {
        context.console.say(&line);
    }
}

/// Everything up to the job.
async fn ship(
    args: &Args,
    context: &mut Context,
    config: &Config,
    session: &Session,
    written: &mut Written,
) -> Result<Shipped, SessionError> {
    let local = SessionError::Local;
    // Before a version is raised: that alone does not make the work tree dirty.
    let mut source = project::source(&config.root).await;
    source.checks_skipped = check(args, context, config, &source).await.map_err(local)?;
    let files = project::read(config).await.map_err(local)?;
    for remark in files.remarks() {
        context.console.warn(&remark);
    }
    project::migrations::check(config, &files).map_err(local)?;
    source.checks_skipped |= lint(args, context, config, &files).await.map_err(local)?;
    let front_ends = ask_front_ends(config, session).await?;
    let choices = versions::choose(config, files.manifest(), &front_ends, args.bump).map_err(local)?;
    let versions = versions::carried(&choices);
    let files = raise(context, files, choices, args.job.dry_run, written).await.map_err(local)?;
    let request = DeployRequest { versions, ..request(args, config, source) };
    let offer = Offer { request, manifest: files.manifest(), packs: &|missing| files.packs(missing) };
    ship_stubbornly(context, session, &offer).await
}

/// Holds the project's checks; whether they were skipped. A dry run asks git alone: commands may write.
async fn check(
    args: &Args,
    context: &mut Context,
    config: &Config,
    source: &Source,
) -> Result<bool, Failure> {
    let none = config.checks.is_empty() && config.git == crate::config::GitRules::default();
    if none {
        return Ok(false);
    }
    if args.force {
        context.console.warn("the project's checks are skipped (--force)");
        return Ok(true);
    }
    checks::git(&config.git, source)?;
    if !args.job.dry_run {
        for check in &config.checks {
            context.console.note(&format!("Check: {}", check.command.join(" ")));
            checks::run(check).await?;
        }
    }
    Ok(false)
}

/// Looks for what would go wrong on the server, and for secrets; whether something that refuses was skipped.
async fn lint(args: &Args, context: &mut Context, config: &Config, files: &Files) -> Result<bool, Failure> {
    let refused = checks::exposed(files.exposed());
    if args.force {
        let places = files.exposed().iter().map(ToString::to_string);
        places.for_each(|place| context.console.warn(&format!("{place}, and is shipped (--force)")));
        return Ok(refused.is_err());
    }
    let compose = &config.spec.compose;
    let named = compose.files.iter().map(ToString::to_string).collect();
    for warning in wharf_look::warnings(&files.facts().await?, named, &compose.profiles) {
        // What is not shipped is told already, and what no backup holds is the server's to judge.
        if warning.rule != Rule::SecretInProject && warning.rule != Rule::DatabaseWithoutVolume {
            context.console.warn(&warning.to_string());
        }
    }
    refused.map(|()| false)
}

/// A connection that breaks during the upload is made again: no job exists yet.
pub(super) async fn ship_stubbornly(
    context: &mut Context,
    session: &Session,
    offer: &Offer<'_>,
) -> Result<Shipped, SessionError> {
    for left in (0..UPLOAD_TRIES).rev() {
        let shipped = session::ship(session, offer, &mut Progress::new(&mut context.console)).await;
        match shipped {
            Err(error @ (SessionError::Broken { .. } | SessionError::Silent { .. })) if left > 0 => {
                context.console.say(&format!("{error}; nothing was deployed yet, trying again …"));
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
            ended => return ended,
        }
    }
    Err(SessionError::Broken { source: None })
}

async fn ask_front_ends(config: &Config, session: &Session) -> Result<Vec<FrontEnd>, SessionError> {
    if config.spec.bump.is_empty() {
        return Ok(Vec::new());
    }
    let request = Request::FrontEnds { app: config.spec.app.clone(), rules: config.spec.bump.clone() };
    match session.ask(request).await? {
        Reply::FrontEnds { front_ends } => Ok(front_ends),
        _ => Err(SessionError::Local(wrong_reply("the front ends' versions"))),
    }
}

#[derive(serde::Serialize)]
struct Raised<'a> {
    file: &'a str,
    from: String,
    to: String,
    /// Whether the file in the project has it now.
    written: bool,
}

/// Tells of every version, and writes those that go up (in a dry run: offers them without writing).
async fn raise(
    context: &mut Context,
    files: Files,
    choices: Vec<Choice>,
    dry_run: bool,
    written: &mut Written,
) -> Result<Files, Failure> {
    for choice in &choices {
        let (file, from, to) = (choice.file.to_string(), choice.from.to_string(), choice.to.to_string());
        match &choice.kept {
            Some(why) => context.console.note(&format!("Version: {file} stays {from}: {why}")),
            None if context.console.json => {
                context.console.object("bumped", &Raised { file: &file, from, to, written: !dry_run });
            }
            None => context.console.note(&format!("Version: {file} {from} -> {to}")),
        }
    }
    let contents = versions::contents(&choices);
    if contents.is_empty() {
        return Ok(files);
    }
    if dry_run {
        return files.with(contents).await;
    }
    *written = versions::write(choices)?;
    files.again().await
}

fn request(args: &Args, config: &Config, source: Source) -> DeployRequest {
    DeployRequest {
        spec: config.spec.clone(),
        options: JobOptions {
            dry_run: args.job.dry_run,
            accept_detach: args.job.accept_detach.clone(),
            accept_volume: args.accept_volume.clone(),
            cold_backup: args.cold_backup,
            accept_schema: false,
            lock_wait_seconds: args.job.lock_wait,
            message: args.job.message.clone(),
        },
        rebuild: args.rebuild,
        pull: args.pull,
        versions: std::collections::BTreeMap::new(),
        source,
    }
}

async fn attach(
    context: &mut Context,
    config: &Config,
    session: &Session,
    job: Option<JobId>,
) -> Result<Exit, Failure> {
    let job = match job {
        Some(job) => job,
        None => newest_job(config, session).await?,
    };
    Ok(follow::follow(context, session, job, None).await?.exit())
}

/// The job that runs, else the one that ended last.
async fn newest_job(config: &Config, session: &Session) -> Result<JobId, Failure> {
    let app = config.spec.app.clone();
    let request = Request::Jobs { app: Some(app.clone()), limit: JOBS_LOOKED_AT };
    let Reply::Jobs { jobs } = session.ask(request).await? else { return Err(wrong_reply("the jobs")) };
    let running = jobs.iter().filter(|job| job.outcome.is_none()).max_by_key(|job| job.job);
    let newest = running.or_else(|| jobs.iter().max_by_key(|job| job.job));
    newest.map(|job| job.job).ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("no job of {app} ran yet"))
            .hint("`wharf deploy` without --attach starts one")
    })
}
