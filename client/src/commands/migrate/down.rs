//! `wharf migrate down`.
//!
//! **Invariant**: what goes back is named before, and goes only with the app's name typed by a person, or with `--yes`.

use crate::{
    commands::follow::{WatchArgs, watch},
    context::{Context, Exit},
    session::Asker,
};
use wharf_migrations::{Step, Target, back};
use wharf_proto::{
    AppName, Failure, FailureKind,
    message::{MigrateDown, Request},
    migration::{MigrationFolder, MigrationState},
};

/// Take the last migrations back, by their ways back (NAME.down.sql) in the live release, after a backup
///
/// What those files drop is gone from the database; the backup from just before has it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// All that come after this one, which stays
    #[arg(long, value_name = "NAME", conflicts_with = "steps")]
    to: Option<String>,
    /// The folder, where there are several
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// The database, where there are several
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    #[command(flatten)]
    job: WatchArgs,
}

pub(in crate::commands) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let app = context.config()?.spec.app;
    let stopped = context.stopped();
    let folders = tokio::select! {
        folders = super::ask(context) => folders?,
        () = stopped => return Ok(Exit::INTERRUPTED),
    };
    let folder = choose(&folders, args.folder.as_deref(), args.database.as_deref())?;
    let target = args.to.map_or(Target::Steps(args.steps.into()), Target::After);
    let names = names(folder, &target)?;
    let database = folder.database.clone().unwrap_or_default();
    let Some(confirmed) = context.answered(confirm(&app, &names, &database, context.common.yes)).await else {
        return Ok(Exit::INTERRUPTED);
    };
    confirmed?;
    let request = MigrateDown {
        app,
        service: folder.service.clone(),
        database,
        folder: folder.folder.clone(),
        names,
        lock_wait_seconds: args.job.lock_wait,
    };
    watch(context, Request::MigrateDown(request), &args.job).await
}

/// The one that is meant.
fn choose<'a>(
    folders: &'a [MigrationFolder],
    folder: Option<&str>,
    database: Option<&str>,
) -> Result<&'a MigrationFolder, Failure> {
    let meant = |one: &&MigrationFolder| {
        folder.is_none_or(|folder| one.folder.to_string() == folder.trim_end_matches('/'))
            && database.is_none_or(|database| one.database.as_deref() == Some(database))
    };
    let mut found = folders.iter().filter(meant);
    let one = match (found.next(), found.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => {
            return Err(Failure::new(FailureKind::Config, "the app has several folders of migrations")
                .hint("name one: --folder FOLDER, --database DATABASE"));
        }
        (None, _) => {
            return Err(Failure::new(
                FailureKind::NotFound,
                "the live release has no such folder of migrations",
            )
            .hint("see what there is: wharf migrate status"));
        }
    };
    match &one.problem {
        Some(problem) => Err(Failure::new(
            FailureKind::Environment,
            format!("what is applied of {} is not known", one.folder),
        )
        .cause(problem.clone())),
        None => Ok(one),
    }
}

fn names(folder: &MigrationFolder, target: &Target) -> Result<Vec<String>, Failure> {
    let applied: Vec<Step<'_>> = folder
        .migrations
        .iter()
        .filter(|one| one.state != MigrationState::Pending)
        .map(|one| Step { name: &one.name, has_way_back: one.has_way_back })
        .collect();
    back(&applied, target)
        .map_err(|error| Failure::new(FailureKind::Refused, error.to_string()).hint(error.hint()))
}

async fn confirm(app: &AppName, names: &[String], database: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let question = format!(
        "Taken back from the database {database} of {app}, in this order: {}.\n\
         What they added goes, with the data in it. A backup is made first. Type the app's name to go on",
        names.join(", ")
    );
    let typed = Asker::of_process(yes).type_name(question).await;
    let typed =
        typed.map_err(|failure| Failure { hints: vec!["confirm it with --yes".into()], ..failure })?;
    if typed == app.as_str() {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Refused, format!("{typed:?} is not the app's name, which is {app}"))
        .cause("nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::migration::MigrationInfo;

    fn folder(path: &str, database: &str) -> MigrationFolder {
        let one = |name: &str, state, has_way_back| MigrationInfo {
            name: name.into(),
            state,
            applied: None,
            release: None,
            has_way_back,
        };
        MigrationFolder {
            service: "db".into(),
            database: Some(database.into()),
            folder: path.parse().unwrap(),
            table: "schema_migrations".into(),
            migrations: vec![
                one("1.sql", MigrationState::Applied, true),
                one("2.sql", MigrationState::Applied, true),
                one("3.sql", MigrationState::Pending, true),
            ],
            problem: None,
        }
    }

    #[test]
    fn the_last_applied_ones_of_the_folder_that_is_meant() {
        let both = [folder("a", "app"), folder("b", "maps")];
        assert!(choose(&both, None, None).is_err());
        assert!(choose(&both, Some("a"), Some("maps")).is_err());
        assert_eq!(choose(&both, Some("b/"), None).unwrap().folder.to_string(), "b");
        let one = choose(&both, None, Some("app")).unwrap();
        assert_eq!(names(one, &Target::Steps(1)).unwrap(), ["2.sql"]);
        assert_eq!(names(one, &Target::After("1.sql".into())).unwrap(), ["2.sql"]);
        assert!(names(one, &Target::After("3.sql".into())).is_err());
        assert!(names(one, &Target::Steps(3)).is_err());
    }
}
