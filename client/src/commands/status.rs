//! `wharf status`.

use super::wrong_reply;
use crate::{
    context::{Context, Exit},
    render,
    session::{Session, SessionError},
    sys,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use wharf_proto::{
    AppName, Failure,
    message::{Reply, Request},
    release::AppStatus,
};

/// Show what is live, and how its containers are
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Every app on the server
    #[arg(long)]
    all: bool,
    /// Go on until Ctrl-C: drawn anew on a terminal, elsewhere told again when something changes
    #[arg(short, long)]
    watch: bool,
    /// How often --watch looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let app = (!args.all).then(|| config.spec.app.clone());
    let session = context.session(&config);
    if args.watch {
        return watch(context, &session, app, Duration::from_secs(args.interval)).await;
    }
    let apps = ask(&session, app).await?;
    show(context, &apps);
    Ok(Exit::DONE)
}

async fn ask(session: &Session, app: Option<AppName>) -> Result<Vec<AppStatus>, Failure> {
    answer(session.ask(Request::Status { app }).await?)
}

fn answer(reply: Reply) -> Result<Vec<AppStatus>, Failure> {
    match reply {
        Reply::Status { apps } => Ok(apps),
        _ => Err(wrong_reply("the status")),
    }
}

fn show(context: &mut Context, apps: &[AppStatus]) {
    context.console.list(
        "status",
        apps,
        "nothing was deployed there yet; `wharf deploy` makes the first release",
        render::status,
    );
}

/// What was shown last, where that decides whether to show again.
#[derive(Default)]
struct Watch {
    shown: Option<Vec<AppStatus>>,
    /// Whether the server was lost since.
    lost: bool,
}

/// Shows until the person stops it or nobody reads any more. A server that goes away is waited for, once it has answered.
async fn watch(
    context: &mut Context,
    session: &Session,
    app: Option<AppName>,
    interval: Duration,
) -> Result<Exit, Failure> {
    let mut watch = Watch::default();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !context.console.is_closed() {
        ticks.tick().await;
        match session.ask(Request::Status { app: app.clone() }).await {
            Ok(reply) => watch.seen(context, interval, answer(reply)?),
            Err(error) if error.is_connection() && watch.shown.is_some() => watch.lost(context, &error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Exit::DONE)
}

impl Watch {
    fn seen(&mut self, context: &mut Context, interval: Duration, apps: Vec<AppStatus>) {
        self.lost = false;
        if context.console.out_terminal && !context.console.json {
            let text = render::watched(&apps, interval, Timestamp::now(), &context.console.out_style);
            let screen = render::screen(&text, sys::terminal_size());
            context.console.data(&screen);
            self.shown = Some(apps);
            return;
        }
        let before = self.shown.as_deref().unwrap_or_default();
        let changed: Vec<AppStatus> = apps
            .iter()
            .filter(|app| !before.iter().any(|before| render::alike(before, app)))
            .cloned()
            .collect();
        for gone in before.iter().filter(|before| !apps.iter().any(|app| app.app == before.app)) {
            context.console.note(&format!("{} is not on the server any more", gone.app));
        }
        if !changed.is_empty() || self.shown.is_none() {
            if self.shown.is_some() && !context.console.json {
                context.console.data("\n");
            }
            show(context, &changed);
        }
        self.shown = Some(apps);
    }

    fn lost(&mut self, context: &mut Context, error: &SessionError) {
        if !self.lost {
            context.console.say(&format!("{error}; trying to reach it again …"));
        }
        self.lost = true;
    }
}
