//! `wharf migrate status`.

use crate::{
    context::{Context, Exit},
    render,
};
use wharf_proto::{Failure, migration::MigrationState};

/// Show which migrations are applied, and which are pending
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(in crate::commands) async fn run(_: Args, context: &mut Context) -> Result<Exit, Failure> {
    let folders = super::ask(context).await?;
    context.console.list(
        "migrations",
        &folders,
        "the live release has no folder of migrations ([[migrate]] with folder)",
        render::migrations,
    );
    let stands_in_the_way =
        |state: &MigrationState| matches!(state, MigrationState::Edited | MigrationState::Unfinished);
    let wrong = folders.iter().any(|folder| {
        folder.problem.is_some() || folder.migrations.iter().any(|one| stands_in_the_way(&one.state))
    });
    Ok(Exit(u8::from(wrong)))
}
