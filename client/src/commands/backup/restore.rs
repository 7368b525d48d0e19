//! `wharf backup restore`: to a folder, beside, or over what is live.
//!
//! **Invariant**: over what is live only with the app's name typed, by a person or in `--confirm`; `--yes` does not type it.

use super::{JobArgs, backup_id, watch};
use crate::{
    context::{Context, Exit},
    session::Asker,
};
use wharf_proto::{AppName, BackupId, Failure, FailureKind, backup::RestoreWhat, message::Request};

/// Restore a backup: over what is live, beside it, or to a folder on the server
///
/// Without --to and --as it takes the place of what is live: the databases of the backup, or, with --volume, the volumes
/// that are named. A safety backup is made first, everything is restored and compared beside, then the app is stopped
/// for a moment. What was live is kept under another name.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first digits of the backup's ID, as `wharf backup list` shows them
    #[arg(value_name = "ID", value_parser = backup_id)]
    backup: BackupId,
    /// Write its files and dumps to a new folder on the server, and nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["database", "as_name", "confirm"])]
    to: Option<String>,
    /// Restore this volume or folder of data: over the live one; with --to to a folder, with --as to a new volume. Over
    /// what is live it may be given several times
    #[arg(long, value_name = "VOLUME", conflicts_with = "database")]
    volume: Vec<String>,
    /// Restore this database (or this service's) beside the live one
    #[arg(long, value_name = "DATABASE", requires = "as_name", conflicts_with = "confirm")]
    database: Option<String>,
    /// The name of the fresh database or volume
    #[arg(long = "as", value_name = "NAME", id = "as_name", conflicts_with = "confirm")]
    as_name: Option<String>,
    /// Restore over what is live without asking: the app's name
    #[arg(long, value_name = "APP")]
    confirm: Option<String>,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let volumes = args.volume;
    let what = match (args.to, args.database, args.as_name) {
        (Some(folder), ..) => RestoreWhat::ToFolder { folder, volume: one(volumes, "--to")? },
        (None, Some(database), Some(as_name)) => RestoreWhat::Beside { database, as_name },
        (None, None, Some(as_name)) => match one(volumes, "--as")? {
            Some(volume) => RestoreWhat::Volume { volume, as_name },
            None => return Err(Failure::new(FailureKind::Config, "--as needs --database or --volume")),
        },
        _ => {
            let what =
                if volumes.is_empty() { "the live databases".to_owned() } else { volumes.join(" and ") };
            let asked = question(&app, &args.backup, &what);
            let confirmed = confirmed(&app, asked, args.confirm, context.common.yes);
            let Some(confirmed) = context.answered(confirmed).await else { return Ok(Exit::INTERRUPTED) };
            let confirmed = confirmed?;
            match volumes.is_empty() {
                true => RestoreWhat::Over { confirmed },
                false => RestoreWhat::VolumesOver { confirmed, volumes },
            }
        }
    };
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::BackupRestore { app, backup: args.backup, what, lock_wait_seconds }, &args.job)
        .await
}

/// Several are restored at once over what is live alone.
fn one(volumes: Vec<String>, with: &str) -> Result<Option<String>, Failure> {
    let mut volumes = volumes.into_iter();
    match (volumes.next(), volumes.next()) {
        (volume, None) => Ok(volume),
        (_, Some(_)) => Err(Failure::new(FailureKind::Config, format!("{with} takes one --volume"))),
    }
}

fn question(app: &AppName, backup: &BackupId, what: &str) -> String {
    format!(
        "Backup {backup} takes the place of {what} of {app}; what is live is kept beside.\n\
         The app is stopped for a moment. Type the app's name to go on"
    )
}

/// The app's name as somebody typed it.
async fn confirmed(
    app: &AppName,
    asked: String,
    typed: Option<String>,
    yes: bool,
) -> Result<String, Failure> {
    let typed = match typed {
        Some(typed) => typed,
        None => Asker::of_process(yes)
            .type_name(asked)
            .await
            .map_err(|failure| failure.hint(format!("or confirm it on the command line: --confirm {app}")))?,
    };
    if typed == app.as_str() {
        return Ok(typed);
    }
    Err(Failure::new(FailureKind::Refused, format!("{typed:?} is not the app's name, which is {app}"))
        .cause("nothing was changed"))
}
