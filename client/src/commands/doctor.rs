//! `wharf doctor`.

use super::wrong_reply;
use crate::{
    config::ServerAddress,
    context::{Context, Exit},
    doctor::{self, Clocks, Finding, Level},
    project, render,
    session::{Session, SessionError},
    sys,
};
use std::path::Path;
use wharf_proto::{
    AppName, Failure, FailureKind,
    failure::EXIT_CANNOT_TALK,
    message::{Reply, Request},
};
use wharf_ssh::Stage;

/// Check everything that a deploy needs, and say what to do about what is wrong
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look at this server, and at no app; without it, at those of wharf.toml
    #[arg(value_name = "USER@HOST[:PORT]")]
    server: Option<String>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    let (server, app) = match args.server {
        Some(text) => {
            let server = ServerAddress::parse(&text).map_err(|why| {
                Failure::new(FailureKind::Config, why)
                    .hint("write it as for ssh: user@host or user@host:port")
            })?;
            (Some(server), None)
        }
        None => laptop(&mut findings, context).await,
    };
    let mut unreachable = false;
    if let Some(server) = server {
        let dial = context.door.dial(&server);
        context.taken.push(dial.clone());
        let session = Session::new(dial, sys::person());
        match examine(&session, app.as_ref()).await {
            Ok(examined) => {
                findings.extend(way(&server, Ok(())));
                findings.extend(examined.findings);
            }
            Err(error) => {
                unreachable = true;
                let stage = error.stage();
                let failure = Failure::from(error);
                findings.extend(way(&server, Err((stage, &failure))));
            }
        }
    }
    show(&findings, context);
    Ok(match findings.iter().any(|finding| finding.level == Level::Failed) {
        _ if unreachable => Exit(EXIT_CANNOT_TALK),
        true => Exit(1),
        false => Exit::DONE,
    })
}

/// The checks of the way to the agent.
fn way(server: &ServerAddress, ended: Result<(), (Stage, &Failure)>) -> Vec<Finding> {
    if server.is_here {
        return vec![doctor::here(ended.map_err(|(_, failure)| failure))];
    }
    doctor::network(&server.to_string(), ended)
}

/// The checks of this computer; where the configuration leads.
async fn laptop(findings: &mut Vec<Finding>, context: &Context) -> (Option<ServerAddress>, Option<AppName>) {
    let config = context.config();
    findings.push(doctor::configuration(config.as_ref()));
    let Ok(config) = config else { return (None, None) };
    let in_git = config.root.ancestors().any(|folder: &Path| folder.join(".git").exists());
    let ruled = config.git.clean || config.git.branch.is_some();
    let version = project::git_version(&config.root).await;
    findings.extend(doctor::git(in_git, ruled, version.as_deref()));
    (Some(config.server), Some(config.spec.app))
}

/// What became of an examination.
pub(super) struct Examined {
    /// How many apps the agent has for this key.
    pub apps: u32,
    pub findings: Vec<Finding>,
}

/// Has the agent look at its server and at the app, and judges what it saw.
pub(super) async fn examine(session: &Session, app: Option<&AppName>) -> Result<Examined, SessionError> {
    let timed = session.ask_timed(Request::Doctor { app: app.cloned() }).await?;
    let Reply::Doctor { facts } = timed.reply else {
        return Err(SessionError::Agent(wrong_reply("how the server is")));
    };
    let clocks =
        Clocks { sent: timed.sent, received: timed.received, asked: facts.asked, answered: facts.answered };
    let ours = env!("CARGO_PKG_VERSION");
    let findings = doctor::server(ours, app.map(AppName::as_str), &facts, &clocks);
    Ok(Examined { apps: facts.apps, findings })
}

fn show(findings: &[Finding], context: &mut Context) {
    let console = &mut context.console;
    if console.json {
        findings.iter().for_each(|finding| console.object("check", finding));
        return;
    }
    let quiet = console.verbosity == render::Verbosity::Quiet;
    let shown: Vec<Finding> =
        findings.iter().filter(|finding| !quiet || finding.level > Level::Ok).cloned().collect();
    let text = render::findings(&shown, &console.out_style);
    console.data(&text);
    console.note(&render::findings_summary(findings));
}
