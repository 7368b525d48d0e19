//! The table: which role a request needs, and what it is about.

use crate::Grant;
use wharf_proto::backup::RestoreWhat;
use wharf_proto::message::Request;
use wharf_proto::{AppName, Apps, Failure, FailureKind, Role};

/// Leave to do one thing to one target. Nothing but [`authorise`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    apps: Apps,
    grant: Grant,
}

impl Permit {
    /// Whether the permit is for `app`.
    pub fn covers(&self, app: &AppName) -> bool {
        self.apps.include(app)
    }

    /// The apps that it is for: the one that was asked about, or all that the grant names.
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    /// Whether it is for what belongs to no app, such as the server's own audit entries.
    pub fn covers_the_server(&self) -> bool {
        self.apps == Apps::All && self.grant.is_of_the_server()
    }

    /// Whether the same could be done to `app`, too: for what is about one app and takes something from another.
    pub fn reaches(&self, app: &AppName) -> bool {
        self.grant.apps.include(app)
    }

    /// Whether an app may be put where the server does not know it to be: whoever chooses the folder chooses which files
    /// of the server are overwritten.
    pub fn may_place_apps(&self) -> bool {
        self.grant.is_of_the_server()
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this key may not do that: it has the role {has}, and {needs} is needed")]
    Role { has: Role, needs: Role },
    /// Whether there is such an app is not said, and was not looked at.
    #[error("this key may do nothing with an app called {0}")]
    App(AppName),
    #[error("this key may not do that: it is for single apps, and this is about the whole server")]
    Server,
}

impl Denied {
    /// As a person is told it.
    pub fn failure(&self) -> Failure {
        let hint = match self {
            Self::Role { needs, .. } => format!("use a key with the role {needs}"),
            Self::App(_) => "see what it is for: wharf status --all".to_owned(),
            Self::Server => "use a key with the role admin for every app".to_owned(),
        };
        Failure::new(FailureKind::Unauthorized, self.to_string()).hint(hint)
    }
}

/// What a request is about.
enum About<'a> {
    App(&'a AppName),
    /// Every app that the grant names; what belongs to others is left out.
    Apps,
    /// The server itself: an admin of single apps has no part in it.
    Server,
}

impl<'a> About<'a> {
    fn app_or_all(app: Option<&'a AppName>) -> Self {
        app.map_or(Self::Apps, Self::App)
    }
}

/// Decides.
///
/// # Errors
/// Why not.
pub fn authorise(grant: &Grant, request: &Request) -> Result<Permit, Denied> {
    let (needs, about) = needed(request);
    // First the app: who may do nothing with it is told the same, whatever was asked.
    let apps = match about {
        About::App(app) if !grant.apps.include(app) => return Err(Denied::App(app.clone())),
        About::App(app) => Apps::one(app.clone()),
        About::Apps | About::Server => grant.apps.clone(),
    };
    if grant.role < needs {
        return Err(Denied::Role { has: grant.role, needs });
    }
    if matches!(about, About::Server) && !grant.is_of_the_server() {
        return Err(Denied::Server);
    }
    Ok(Permit { apps, grant: grant.clone() })
}

/// The table. It names every request, so that a new one must find its place.
fn needed(request: &Request) -> (Role, About<'_>) {
    match request {
        Request::Releases { app } => (Role::Read, About::App(app)),
        Request::FrontEnds { app, .. } => (Role::Read, About::App(app)),
        Request::Logs(logs) => (Role::Read, About::app_or_all(logs.app.as_ref())),
        Request::Status { app } | Request::Jobs { app, .. } => (Role::Read, About::app_or_all(app.as_ref())),
        Request::Doctor { app } => (Role::Read, About::app_or_all(app.as_ref())),
        // Whose job it is is looked up; the permit must cover that app.
        Request::Attach { .. } => (Role::Read, About::Apps),

        Request::BackupList { app } => (Role::Read, About::App(app)),
        Request::BackupCreate { app, .. } => (Role::Backup, About::App(app)),
        Request::BackupVerify { app, .. } => (Role::Backup, About::App(app)),

        Request::Deploy(deploy) => (Role::Deploy, About::App(&deploy.spec.app)),
        Request::Rollback(rollback) => (Role::Deploy, About::App(&rollback.app)),
        // The whole source of a release. It is not free of what its owner would keep to himself, and `read` keys are given
        // to monitors; whoever deploys an app has sent its source, or could put another in its place.
        Request::ReleaseSource { app, .. } | Request::ReleaseContent { app, .. } => {
            (Role::Deploy, About::App(app))
        }
        // An image that is sent was made from that source alone; one that is taken in has no name, and whoever deploys could
        // have built it.
        Request::ReleaseImage { app, .. } | Request::ImageLoad { app, .. } => (Role::Deploy, About::App(app)),
        Request::Migrations { app } => (Role::Read, About::App(app)),
        Request::MigrateUp { app, .. } => (Role::Deploy, About::App(app)),
        // What a migration added goes, with the data in it.
        Request::MigrateDown(down) => (Role::Operate, About::App(&down.app)),

        // It names persons and where they came from.
        Request::Audit { app, .. } => (Role::Operate, About::app_or_all(app.as_ref())),
        // Which backups there are, and why they stay; without `dry_run` some go.
        Request::BackupPrune { app, dry_run: true, .. } => (Role::Read, About::App(app)),
        Request::BackupPrune { app, .. } | Request::BackupPin { app, .. } => (Role::Operate, About::App(app)),
        Request::BackupRestore { app, what, .. } => (restore(what), About::App(app)),

        Request::SecretList { app } => (Role::Read, About::App(app)),
        Request::SecretChange(change) => (Role::Operate, About::App(&change.spec.app)),
        Request::DatabasePassword(change) => (Role::Operate, About::App(&change.app)),

        Request::DbStatus { app, .. } => (Role::Read, About::App(app)),
        // Whoever runs a program in a container sees its secrets and changes its data.
        Request::Exec(exec) | Request::Run(exec) => (Role::Operate, About::App(&exec.app)),
        Request::DbConsole(console) => (Role::Operate, About::App(&console.app)),

        Request::Scales { app } => (Role::Read, About::App(app)),
        Request::Prune { app, dry_run: true, .. } => (Role::Read, About::App(app)),
        Request::Prune { app, .. } => (Role::Operate, About::App(app)),
        Request::Restart { app, .. } | Request::Scale { app, .. } => (Role::Operate, About::App(app)),

        // What can be rolled back to goes, and so does whatever was set and scheduled for the app.
        Request::Forget { app, .. } => (Role::Admin, About::App(app)),
        // A lock keeps back whoever has the role `deploy`, pipelines above all: it would be none if they could lift it.
        Request::Lock { app, .. } | Request::Unlock { app } => (Role::Operate, About::App(app)),
        Request::LockStatus { app } => (Role::Read, About::App(app)),

        // Who may connect decides who may do anything.
        Request::Keys | Request::KeyAdd { .. } | Request::KeyRemove { .. } => (Role::Admin, About::Server),

        // A login is the server's: what it lets in, every app there may run.
        Request::Registries | Request::RegistryLogin(_) | Request::RegistryLogout { .. } => {
            (Role::Admin, About::Server)
        }

        // It opens every backup of the app, wherever a copy lies.
        Request::BackupKey { app, .. } => (Role::Admin, About::App(app)),

        // Answered by the same words to everybody.
        Request::Unknown => (Role::Read, About::Apps),
    }
}

fn restore(what: &RestoreWhat) -> Role {
    match what {
        // The folder may be anywhere on the server, and what is in it is whatever was deployed.
        RestoreWhat::ToFolder { .. } => Role::Admin,
        RestoreWhat::Beside { .. }
        | RestoreWhat::Volume { .. }
        | RestoreWhat::Over { .. }
        | RestoreWhat::VolumesOver { .. }
        | RestoreWhat::Unknown => Role::Operate,
    }
}
