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
/// Without --to and --database the databases of the backup take the place of the live ones: a safety backup is made
/// first, everything is restored and compared beside, then the app is stopped for a moment. What was live is kept
/// under another name.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first digits of the backup's ID, as `wharf backup list` shows them
    #[arg(value_name = "ID", value_parser = backup_id)]
    backup: BackupId,
    /// Write its files and dumps to a new folder on the server, and nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["database", "as_name", "confirm"])]
    to: Option<String>,
    /// Restore this volume: with --to to a folder, with --as to a new volume
    #[arg(long, value_name = "VOLUME", conflicts_with_all = ["database", "confirm"])]
    volume: Option<String>,
    /// Restore this database (or this service's) beside the live one
    #[arg(long, value_name = "DATABASE", requires = "as_name", conflicts_with = "confirm")]
    database: Option<String>,
    /// The name of the fresh database or volume
    #[arg(long = "as", value_name = "NAME", id = "as_name")]
    as_name: Option<String>,
    /// Restore over what is live without asking: the app's name
    #[arg(long, value_name = "APP")]
    confirm: Option<String>,
    #[command(flatten)]
    job: JobArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let what = match (args.to, args.volume, args.database, args.as_name) {
        (Some(folder), volume, ..) => RestoreWhat::ToFolder { folder, volume },
        (None, Some(volume), _, Some(as_name)) => RestoreWhat::Volume { volume, as_name },
        (None, None, Some(database), Some(as_name)) => RestoreWhat::Beside { database, as_name },
        (None, Some(_), ..) => {
            let text = "a volume is not restored over the live one";
            return Err(Failure::new(FailureKind::Config, text)
                .hint("to a folder: --to DIR; as a new volume: --as NAME; then stop what writes to it and copy it over"));
        }
        (None, None, None, Some(_)) => {
            return Err(Failure::new(FailureKind::Config, "--as needs --database or --volume"));
        }
        _ => RestoreWhat::Over {
            confirmed: confirmed(&app, &args.backup, args.confirm, context.common.yes).await?,
        },
    };
    let lock_wait_seconds = args.job.lock_wait;
    watch(context, Request::BackupRestore { app, backup: args.backup, what, lock_wait_seconds }, &args.job)
        .await
}

/// The app's name as somebody typed it.
async fn confirmed(
    app: &AppName,
    backup: &BackupId,
    typed: Option<String>,
    yes: bool,
) -> Result<String, Failure> {
    let asked = format!(
        "Backup {backup} takes the place of the live databases of {app}; what is live is kept beside.\n\
         The app is stopped for a moment. Type the app's name to go on"
    );
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
