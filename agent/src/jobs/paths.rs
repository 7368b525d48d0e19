//! Where an app may live on the server.

use crate::agent::Agent;
use crate::answers::no_such_app;
use crate::failures;
use std::path::{Component, Path, PathBuf};
use wharf_access::Permit;
use wharf_proto::{AppSpec, Failure, FailureKind};

/// Folders of the system: an app directory may not be one of these. A folder below one that ends in `/**` neither.
const RESERVED: &[&str] = &[
    "/",
    "/bin/**",
    "/boot/**",
    "/dev/**",
    "/etc/**",
    "/home",
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/media",
    "/mnt",
    "/opt",
    "/proc/**",
    "/root",
    "/run/**",
    "/sbin/**",
    "/srv",
    "/sys/**",
    "/tmp",
    "/usr/**",
    "/var",
    "/var/lib",
    "/var/lib/docker/**",
    "/var/lib/containerd/**",
    "/var/run/**",
    "/var/log/**",
    "/var/spool/**",
];

/// Checks what a deploy says of itself before anything of it is used.
///
/// # Errors
/// An app directory that is not an absolute, normal path, or is the system's or the agent's own.
pub fn check_spec(spec: &AppSpec, agent: &Agent) -> Result<(), Failure> {
    check_app_dir(&spec.path, agent.layout.state())?;
    if spec.compose.files.is_empty() {
        return Err(Failure::new(FailureKind::Config, "no Compose file is named")
            .hint("set files under [compose] in wharf.toml"));
    }
    crate::chores::schedule(spec)?;
    crate::migrations::check_spec(spec)?;
    crate::outside::check_spec(spec)?;
    crate::data::check_dumps(spec)?;
    Ok(())
}

/// Checks that the app lies where it is known to lie, for those who may not choose: who chooses the folder chooses which of
/// the server's files are overwritten, somebody's `authorized_keys` among them.
///
/// # Errors
/// An app that the permit is not for; another folder than the known one.
pub async fn check_place(spec: &AppSpec, permit: &Permit, agent: &Agent) -> Result<(), Failure> {
    if !permit.covers(&spec.app) {
        return Err(no_such_app(&spec.app));
    }
    if permit.may_place_apps() || agent.config.place_of(&spec.app) == Some(spec.path.as_ref()) {
        return Ok(());
    }
    let known = agent.state.app(&spec.app).await.map_err(|e| failures::of_state(&e))?;
    let (app, path) = (&spec.app, &spec.path);
    match known {
        Some(known) if known.path == *path => Ok(()),
        Some(known) => Err(Failure::new(FailureKind::Unauthorized, format!("this key may not move {app}"))
            .cause(format!("it lies in {}, and wharf.toml says {path}", known.path))),
        None => Err(Failure::new(
            FailureKind::Unauthorized,
            format!("this key may not place {app} on the server"),
        )
        .cause("the server does not know the app yet")),
    }
    .map_err(|failure| {
        failure
            .hint("deploy it once with a key that is admin of all apps")
            .hint(format!("or set path = {path:?} under [app.{app}] in wharfd.toml on the server"))
    })
}

fn check_app_dir(path: &str, state: &Path) -> Result<(), Failure> {
    let wrong = |why: String| {
        Err(Failure::new(FailureKind::Config, format!("{path:?} cannot be an app directory"))
            .cause(why)
            .hint("set path under [server] in wharf.toml to a folder of the app's own, such as /home/deploy/fitnessapp"))
    };
    let folder = Path::new(path);
    let normal = folder.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Parts that say nothing are not among the components.
    let plain = !path.contains("//") && !path.contains("/./") && !path.ends_with("/.");
    if !folder.is_absolute() || !normal || !plain || path.contains('\0') {
        return wrong("it must be absolute, without '.' or '..'".into());
    }
    // Compose and Docker cut lists of paths at these.
    if path.contains([':', ',', '\n']) {
        return wrong("it has a colon, a comma or a line break, which Docker cuts paths at".into());
    }
    // Both as it is written and as links lead: neither may come to where it must not.
    let state = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    for folder in [folder.to_owned(), resolved(folder)] {
        if let Some(why) = forbidden(&folder, &state) {
            return wrong(why.into());
        }
    }
    Ok(())
}

/// The path with the links in the part of it that exists followed.
fn resolved(path: &Path) -> PathBuf {
    for (depth, ancestor) in path.ancestors().enumerate() {
        if let Ok(real) = std::fs::canonicalize(ancestor) {
            let rest = path.components().rev().take(depth).collect::<Vec<_>>();
            return real.join(rest.into_iter().rev().collect::<PathBuf>());
        }
    }
    path.to_owned()
}

fn forbidden(folder: &Path, state: &Path) -> Option<&'static str> {
    let reserved = RESERVED.iter().any(|rule| match rule.strip_suffix("/**") {
        Some(prefix) => folder.starts_with(prefix),
        None => folder == Path::new(rule),
    });
    if reserved {
        return Some("that folder belongs to the system");
    }
    let is_agents = folder.starts_with(state) || state.starts_with(folder);
    is_agents.then_some("the agent keeps its state and the backups there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_system_and_of_the_agent_are_refused() {
        let state = Path::new("/var/lib/wharf");
        for good in
            ["/home/deploy/fitnessapp", "/srv/app", "/opt/app", "/root/app", "/tmp/x/app", "/var/www/app"]
        {
            assert!(check_app_dir(good, state).is_ok(), "{good}");
        }
        for bad in [
            "",
            "app",
            "/",
            "/etc",
            "/etc/app",
            "/home",
            "/usr/share/app",
            "/srv/../etc",
            "/srv/./app",
            "/srv//app",
            "/var/lib/wharf",
            "/var/lib/wharf/apps",
            "/var/lib",
            "/var/lib/docker/volumes",
            "/srv/a:b",
            "/srv/a,b",
        ] {
            assert!(check_app_dir(bad, state).is_err(), "{bad}");
        }
    }
}
