//! Where a deploy goes: `[server]`, or this machine.

use super::super::{
    error::{ConfigError, Place},
    here, keys,
    raw::RawServer,
    server::ServerAddress,
};
use super::{Checked, Checker};
use std::path::{Path, PathBuf};
use toml::Spanned;
use wharf_proto::{AppName, RelPath};

impl Checker<'_> {
    pub(super) fn server(
        &self,
        server: Option<Spanned<RawServer>>,
        app: &AppName,
    ) -> Checked<(ServerAddress, String)> {
        let is_local = |server: &Spanned<RawServer>| match &server.get_ref().host {
            Some(host) => host.get_ref() == here::HOST,
            None => self.environment == Some(here::ENVIRONMENT),
        };
        if server.as_ref().map_or(self.environment == Some(here::ENVIRONMENT), is_local) {
            return Ok((ServerAddress::this_machine(), self.local_path(server, app)?));
        }
        let server = server.ok_or_else(|| ConfigError::NoServer {
            place: self.nowhere(),
            environment: self.environment.map(|name| format!(" for --env {name}")).unwrap_or_default(),
            known: if self.environment.is_some() { Vec::new() } else { self.known.clone() },
        })?;
        let (span, server) = (server.span(), server.into_inner());
        let host = self.required(server.host, "server.host", Some(span.clone()))?;
        let mut address = ServerAddress::parse(host.get_ref()).map_err(|why| {
            self.value(host.span(), "server.host", why, "write user@host or user@host:port, as for ssh")
        })?;
        address.identity = server.identity.map(|path| self.identity(path.get_ref()));
        let path = self.required(server.path, "server.path", Some(span))?;
        Ok((address, self.server_path(&path)?))
    }

    /// The app directory on this machine, which must not be where somebody works.
    fn local_path(&self, server: Option<Spanned<RawServer>>, app: &AppName) -> Checked<String> {
        let section = server.as_ref().map(Spanned::span);
        let (path, span) = match server.and_then(|server| server.into_inner().path) {
            Some(path) => (self.server_path(&path)?, path.span()),
            None => {
                let found = here::app_folder(app).and_then(|path| path.into_os_string().into_string().ok());
                let Some(path) = found else {
                    return Err(ConfigError::Missing {
                        place: section
                            .map_or_else(|| self.nowhere(), |at| Place::of(self.file, self.text, at)),
                        key: "server.path",
                        example: keys::example("server.path").unwrap_or("path"),
                    });
                };
                (path, section.unwrap_or(0..0))
            }
        };
        if here::overlap(Path::new(&path), &self.root) {
            let message = format!("{path:?} and the project's own folder are in one another");
            let instead =
                "a deploy writes over the files there: write a folder of its own, or leave `path` out";
            return Err(self.value(span, "server.path", message, instead));
        }
        Ok(path)
    }

    /// A key file: `~` is the home folder, a relative path starts at the project.
    fn identity(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.root.join(path),
        }
    }

    fn server_path(&self, path: &Spanned<String>) -> Checked<String> {
        let trimmed = path.get_ref().trim_end_matches('/');
        let wrong = |why: &str| {
            let instead =
                "write the app's folder on the server in full, for example: path = \"/home/deploy/myapp\"";
            Err(self.value(path.span(), "server.path", format!("{:?} {why}", path.get_ref()), instead))
        };
        match trimmed.strip_prefix('/') {
            _ if path.get_ref().starts_with('~') => {
                wrong("is not absolute; `~` is not expanded on the server")
            }
            None if trimmed.is_empty() && path.get_ref().starts_with('/') => wrong("is the whole server"),
            None => wrong("is not absolute"),
            Some(rest) => match rest.parse::<RelPath>() {
                Ok(_) => Ok(trimmed.to_owned()),
                Err(error) => wrong(&format!("is not a plain path: {}", error.why)),
            },
        }
    }
}
