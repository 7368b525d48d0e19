//! `wharf report health`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
    render,
};
use jiff::Timestamp;
use wharf_proto::{
    Failure,
    message::{Reply, Request},
};

/// How the app is: status, releases, backups and drills, warnings, memory and disk
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let name = &config.spec.app;
    let session = context.session(&config);
    let app = super::status(&session, name).await?;
    let releases = super::releases(&session, name).await?;
    let Reply::Backups { backups, key_saved } =
        session.ask(Request::BackupList { app: name.clone() }).await?
    else {
        return Err(wrong_reply("the backups"));
    };
    let facts = render::HealthFacts {
        at: Timestamp::now(),
        app: &app,
        releases: &releases,
        backups: &backups,
        key_saved,
    };
    let markdown = render::health_report(&facts, &context.console.out_style);
    Ok(super::write(context, "health", name, &markdown))
}
