//! `wharf init`: looks at the project and writes a commented `wharf.toml`.
//!
//! **Invariants**: a `wharf.toml` that is there changes only with `--add`, and then nothing that a person wrote. What is
//! written has passed the same checks as what is deployed.

use crate::{
    config::{self, ConfigError},
    context::{Context, Exit},
    project::pack_failure,
    session::Asker,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wharf_look::{
    Facts, Findings,
    compose::Choice,
    config::{Addition, Answers},
};
use wharf_proto::{Failure, FailureKind};

/// Look at the project, and write a wharf.toml for it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server, as for ssh
    #[arg(long, value_name = "USER@HOST[:PORT]")]
    server: Option<String>,
    /// The app's folder on the server
    #[arg(long, value_name = "DIR")]
    path: Option<String>,
    /// The app's name on the server; without it, the Compose project's or the folder's
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// To a wharf.toml that is there, add what it lacks
    #[arg(long)]
    add: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(serde::Serialize)]
struct Told<'a> {
    file: String,
    /// Whether the file was written or added to.
    written: bool,
    /// What an existing file lacks.
    additions: &'a [Addition],
    findings: &'a Findings,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    match config::find(&context.folder) {
        Ok(path) => again(&args, context, &path).await,
        Err(_) => first(args, context).await,
    }
}

/// A project without a `wharf.toml`.
async fn first(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let root = context.folder.clone();
    let facts = gather(&root).await?;
    let findings = wharf_look::look(&facts).map_err(|error| {
        Failure::from_error(FailureKind::Config, &error)
            .cause(format!("looked in {}", root.display()))
            .hint("change to the folder of the project that has one, or write a Compose file first")
    })?;
    tell(context, &findings);
    let answers = ask(args.server, args.path, args.app, &findings, context).await;
    let text = wharf_look::config::write(&findings, &answers);
    config::check(&text, &root).map_err(|error| in_answers(error, &answers))?;
    if args.dry_run {
        return printed(context, &text, &findings, &[]);
    }
    write_new(&root.join(config::FILE_NAME), &text)?;
    if context.console.json {
        told(context, true, &[], &findings);
        return Ok(Exit::DONE);
    }
    context.console.note(&format!("Wrote {}. Look at it, and change what you like.", config::FILE_NAME));
    next(context, &findings, &answers);
    Ok(Exit::DONE)
}

/// A project that has one.
async fn again(args: &Args, context: &mut Context, path: &Path) -> Result<Exit, Failure> {
    let root = path.parent().unwrap_or(Path::new(".")).to_owned();
    let text = config::read(path).map_err(|error| unwritable(path, &error))?;
    let existing = config::check(&text, &root)?;
    if let (Some(existing), Some(server)) = (&existing, &args.server)
        && existing.server.to_string() != *server
    {
        let message = format!("wharf.toml names a server already: {}", existing.server);
        return Err(Failure::new(FailureKind::Config, message).hint("change [server] in wharf.toml by hand"));
    }
    let facts = gather(&root).await?;
    let said = wharf_look::config::said(&text).map_err(|error| not_toml(&error))?;
    let findings = match said.files.as_slice() {
        [] => wharf_look::look(&facts).map_err(|error| Failure::from_error(FailureKind::Config, &error))?,
        _ => wharf_look::look_at(&facts, chosen_by_hand(said.files)),
    };
    let answers =
        Answers { app: args.app.clone().or(said.app), server: args.server.clone(), path: args.path.clone() };
    let additions =
        wharf_look::config::missing(&text, &findings, &answers).map_err(|error| not_toml(&error))?;
    let added = wharf_look::config::add(&text, &additions).map_err(|error| not_toml(&error))?;
    config::check(&added, &root).map_err(|error| in_answers(error, &answers))?;
    warn(context, &findings);
    if args.dry_run {
        return printed(context, &added, &findings, &additions);
    }
    let write = args.add && !additions.is_empty();
    if write {
        replace(path, &added)?;
    }
    if context.console.json {
        told(context, write, &additions, &findings);
        return Ok(Exit::DONE);
    }
    match additions.as_slice() {
        [] => context.console.note("wharf.toml has everything that was found. Nothing was changed."),
        _ if write => {
            let what: Vec<&str> = additions.iter().map(|addition| addition.what.as_str()).collect();
            context
                .console
                .note(&format!("Added to wharf.toml: {}. What you wrote is as it was.", what.join(", ")));
        }
        _ => {
            context.console.note("There is a wharf.toml, and it was not changed. This is not in it:");
            for addition in &additions {
                context.console.note(&format!("\n{}", addition.text.trim_end()));
            }
            context.console.note("\nTo add it: `wharf init --add`");
        }
    }
    Ok(Exit::DONE)
}

async fn gather(root: &Path) -> Result<Facts, Failure> {
    let root = root.to_owned();
    match tokio::task::spawn_blocking(move || Facts::gather(&root)).await {
        Ok(facts) => facts.map_err(pack_failure),
        Err(error) => Err(Failure::from_error(FailureKind::Internal, &error)),
    }
}

fn chosen_by_hand(files: Vec<String>) -> Choice {
    Choice { files, why: "chosen by hand".into(), others: Vec::new() }
}

/// Asks what a project cannot show: where it goes.
async fn ask(
    server: Option<String>,
    path: Option<String>,
    app: Option<String>,
    findings: &Findings,
    context: &Context,
) -> Answers {
    let asker = if context.console.json { Asker::Nobody } else { Asker::of_process(context.common.yes) };
    let mut answers = Answers { app, server, path };
    if answers.server.is_none() {
        answers.server = asker.ask("Server (user@host; empty to fill it in later)", None).await;
    }
    if let (Some(server), None) = (&answers.server, &answers.path) {
        let default = wharf_look::config::default_path(server, answers.app(findings));
        answers.path = asker.ask("The app's folder on the server", Some(default)).await;
    }
    answers
}

/// What was seen, in a line each.
fn tell(context: &mut Context, findings: &Findings) {
    let mut lines = vec![format!("Compose: {} ({})", findings.files.join(", "), findings.why_these_files)];
    if let Some(file) = &findings.env_file {
        lines.push(format!("Env file on the server: {}", file.path));
    }
    lines.extend(findings.databases.iter().map(|d| format!("{}: {}", d.kind.name(), d.service)));
    let built = findings.front_ends.iter().filter(|front_end| front_end.built);
    lines.extend(
        built.map(|f| format!("Front end: {} {} ({})", f.file, f.version, f.when_changed.join(", "))),
    );
    lines.extend(
        findings.health.iter().filter(|h| h.certain).map(|h| format!("Health: {} ({})", h.url, h.service)),
    );
    for line in lines {
        context.console.note(&line);
    }
    warn(context, findings);
}

fn warn(context: &mut Context, findings: &Findings) {
    for warning in &findings.warnings {
        context.console.warn(&warning.to_string());
    }
}

/// What a person does next.
fn next(context: &mut Context, findings: &Findings, answers: &Answers) {
    if answers.server.is_none() {
        context.console.warn(
            "no server is set: fill in [server] in wharf.toml, or run `wharf init --server USER@HOST --add`",
        );
    }
    if let Some(file) = &findings.env_file {
        context.console.note(&format!(
            "{} stays on the server, in the app's folder: `wharf secrets import FILE` writes it.",
            file.path
        ));
    }
    let dumped =
        findings.databases.iter().filter(|found| found.section().is_some() && found.volume.is_some());
    let kinds: BTreeSet<&str> = dumped.map(|found| found.kind.name()).collect();
    for kind in kinds {
        context.console.note(&format!("{kind} is dumped, and the dump checked, before every deploy."));
    }
    context.console.note("Next: `wharf setup`, unless the server has an agent; then `wharf deploy --dry-run`, and `wharf deploy`");
}

fn printed(
    context: &mut Context,
    text: &str,
    findings: &Findings,
    additions: &[Addition],
) -> Result<Exit, Failure> {
    if context.console.json {
        told(context, false, additions, findings);
    } else {
        context.console.data(text);
    }
    Ok(Exit::DONE)
}

fn told(context: &mut Context, written: bool, additions: &[Addition], findings: &Findings) {
    context.console.object("init", &Told { file: config::FILE_NAME.into(), written, additions, findings });
}

/// What was found passes by itself, so that it is an answer that does not.
fn in_answers(error: ConfigError, answers: &Answers) -> Failure {
    let failure = Failure::from(error);
    match &answers.server {
        Some(server) => failure.hint(format!("--server was {server}: nothing was written")),
        None => failure.hint("nothing was written"),
    }
}

fn not_toml(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(FailureKind::Config, error)
}

fn unwritable(path: &Path, source: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Environment, format!("{} cannot be read or written", path.display()))
        .cause(source.to_string())
}

fn temporary(path: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    use std::io::Write as _;
    let folder: PathBuf = path.parent().map_or_else(|| ".".into(), Path::to_owned);
    // `.wharf…` is never packed, should a kill leave it behind.
    let mut file = tempfile::Builder::new().prefix(".wharf-tmp-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A file that somebody made meanwhile is not replaced.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = temporary(path, text).map_err(|error| unwritable(path, &error))?;
    readable(file.path(), None);
    file.persist_noclobber(path).map_err(|error| unwritable(path, &error.error))?;
    Ok(())
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    // Through a link: what it leads to is what is replaced.
    let path = &std::fs::canonicalize(path).map_err(|error| unwritable(path, &error))?;
    let file = temporary(path, text).map_err(|error| unwritable(path, &error))?;
    readable(file.path(), Some(path));
    file.persist(path).map_err(|error| unwritable(path, &error.error))?;
    Ok(())
}

/// Temporary files are their owner's alone; a configuration is not. Where the mode cannot be set, that is no loss.
fn readable(file: &Path, like: Option<&Path>) {
    let Some(permissions) = like.and_then(|path| std::fs::metadata(path).ok()).map(|meta| meta.permissions())
    else {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let _ = std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644));
        }
        return;
    };
    let _ = std::fs::set_permissions(file, permissions);
}
