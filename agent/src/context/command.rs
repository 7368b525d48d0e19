//! `wharfd guard install` and `remove`: looks, plans, writes, and says what came of it.

use super::error::ContextError;
use super::plan::{self, Config, Found, Unfit};
use super::store::{self, CONFIG, Stored};
use super::user::User;
use super::{files, overrides, probe};
use crate::config::{ConfigError, GUARD_SOCKET};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Whose context, and which.
#[derive(Debug, Clone, clap::Args)]
pub struct Chosen {
    /// The user of this server; who runs this, or ran it by sudo, unless named
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// What the context is called
    #[arg(long, value_name = "NAME", default_value = "wharf-guard")]
    pub context: String,
    /// Where that user's docker command keeps its configuration [default: ~/.docker]
    #[arg(long, value_name = "DIR")]
    pub docker_config: Option<PathBuf>,
}

/// What `wharfd guard install` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Install {
    #[command(flatten)]
    pub chosen: Chosen,
    /// The guarded socket [default: what wharfd.toml names under [guard], else /run/wharf/docker.sock]
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// The server's own configuration; defaults apply where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/wharf/wharfd.toml")]
    pub config: PathBuf,
}

impl Install {
    /// The socket that is meant. A user who may not read the server's configuration gets the usual one.
    ///
    /// # Errors
    /// The server's configuration is not one.
    pub fn socket(&self) -> Result<PathBuf, ConfigError> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let config = match crate::config::Config::load(&self.config) {
            Err(ConfigError::Read { source, .. }) if source.kind() == ErrorKind::PermissionDenied => None,
            read => Some(read?),
        };
        Ok(config.and_then(|config| config.guard.socket).unwrap_or_else(|| GUARD_SOCKET.into()))
    }
}

/// What `wharfd guard remove` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    pub chosen: Chosen,
}

/// Makes the guard the user's current context; what to tell, line by line. Gives up other rights than the user's for good.
///
/// # Errors
/// Nothing was changed, unless a disk failed half-way: doing it again finishes it.
pub fn install(chosen: Chosen, socket: &Path) -> Result<Vec<String>, ContextError> {
    store::check_name(&chosen.context)?;
    let user = User::choose(chosen.user.as_deref(), chosen.docker_config)?;
    user.assume()?;
    let name = chosen.context.as_str();
    let place = socket.to_str().filter(|_| socket.is_absolute());
    let place = place.ok_or_else(|| ContextError::Socket { path: socket.to_owned() })?;
    probe::guard(socket, &user.name)?;
    let found = look(&user.docker, name)?;
    let planned = plan::install(&found, name, place).map_err(|unfit| unfit_at(&user.docker, name, unfit))?;
    let nothing_to_do = planned.context.is_none() && planned.config.is_none();
    if let Some(before) = &planned.context {
        let folder = store::folder(&user.docker, name);
        files::make_folder(&folder)?;
        files::write(&folder.join("meta.json"), &store::write(name, socket, before)?)?;
    }
    if let Some(text) = &planned.config {
        files::write(&user.docker.join(CONFIG), text)?;
    }
    let mut told = vec![if nothing_to_do {
        format!("{}'s docker commands go through the guard already (context {name})", user.name)
    } else {
        let was = planned.was.as_deref().unwrap_or("default");
        format!(
            "{}'s docker commands go through the guard now: context {name}, {place} (it was {was})",
            user.name
        )
    }];
    told.extend(overrides::find(&user.home).into_iter().map(|said| format!("warning: {said}")));
    if user.name != "root" {
        told.push("note: sudo docker goes by root's context: wharfd guard install --user root".to_owned());
    }
    Ok(told)
}

/// Puts back what was the user's current context before the guard; what to tell.
///
/// # Errors
/// As [`install`].
pub fn remove(chosen: Chosen) -> Result<Vec<String>, ContextError> {
    store::check_name(&chosen.context)?;
    let user = User::choose(chosen.user.as_deref(), chosen.docker_config)?;
    user.assume()?;
    let name = chosen.context.as_str();
    let found = look(&user.docker, name)?;
    let planned = plan::remove(&found, name).map_err(|unfit| unfit_at(&user.docker, name, unfit))?;
    let Some(planned) = planned else {
        return Ok(vec![format!("{} has no context {name}: nothing to remove", user.name)]);
    };
    match &planned.config {
        Some(Config::Write(text)) => files::write(&user.docker.join(CONFIG), text)?,
        Some(Config::Delete) => files::remove(&user.docker.join(CONFIG))?,
        None => {}
    }
    let folder = store::folder(&user.docker, name);
    files::remove(&folder.join("meta.json"))?;
    files::remove_empty([folder]);
    files::remove_empty(planned.folders.iter().map(|folder| user.docker.join(folder)));
    let current = planned.current.as_deref().unwrap_or("default");
    let mut told = vec![format!("removed; {}'s docker commands use the context {current}", user.name)];
    told.extend(
        planned.lost.map(|lost| {
            format!("warning: the context {lost} was the current one before, and is there no more")
        }),
    );
    Ok(told)
}

fn look(docker: &Path, name: &str) -> Result<Found, ContextError> {
    let folder = store::folder(docker, name);
    let text = files::read(&folder.join("meta.json"))?;
    // A folder without what belongs in it is nobody's to judge.
    let stored = match text {
        Some(text) => Some(store::read(&text)),
        None if folder.symlink_metadata().is_ok_and(|there| !there.is_dir()) => Some(Stored::Foreign),
        None => None,
    };
    let before_is_there = match &stored {
        Some(Stored::Ours { before, .. }) => before.current.as_deref().is_none_or(|before| {
            before == "default" || store::folder(docker, before).join("meta.json").exists()
        }),
        _ => true,
    };
    let config = files::read(&docker.join(CONFIG))?;
    Ok(Found { config, stored, missing: store::missing(docker), before_is_there })
}

fn unfit_at(docker: &Path, name: &str, unfit: Unfit) -> ContextError {
    match unfit {
        Unfit::NotOurs => ContextError::NotOurs { name: name.to_owned() },
        Unfit::Config(error) => ContextError::Config { path: docker.join(CONFIG), source: error.0 },
    }
}
