//! Finding a `docker compose` that is new enough.

use super::ComposeError;
use crate::supervise::{SuperviseSpec, spawn_directly};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Major and minor version that has all we ask for.
pub(super) const OLDEST: (u32, u32) = (2, 20);
/// How long a candidate may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
const VERSION_BYTES: u64 = 256;
/// Where Docker's packages put the plugin, which also works when called by itself.
const PLUGIN_FOLDERS: [&str; 5] = [
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
];

/// How to call Compose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeCli {
    program: PathBuf,
    /// `compose` for the docker command, nothing for a Compose that is a program of its own.
    first_args: Vec<OsString>,
    version: String,
}

impl ComposeCli {
    /// The first on `PATH` that is new enough: each `docker` (an older one may stand before it), then the plugin and the
    /// program `docker-compose` by themselves.
    ///
    /// # Errors
    /// [`ComposeError::NotFound`] with what was found instead.
    pub async fn locate() -> Result<Self, ComposeError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::locate_in(&path, PLUGIN_FOLDERS.map(Path::new)).await
    }

    async fn locate_in(
        path: &std::ffi::OsStr,
        plugins: impl IntoIterator<Item = &Path>,
    ) -> Result<Self, ComposeError> {
        let folders: Vec<PathBuf> =
            std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
        let docker = folders.iter().map(|folder| (folder.join("docker"), vec![OsString::from("compose")]));
        let plugin = plugins.into_iter().map(|folder| (folder.join("docker-compose"), Vec::new()));
        let own = folders.iter().map(|folder| (folder.join("docker-compose"), Vec::new()));
        let mut tried = Vec::new();
        for (program, first_args) in docker.chain(plugin).chain(own) {
            if !program.is_file() {
                continue;
            }
            match version(&program, &first_args).await {
                Some(version) if is_new_enough(&version) => return Ok(Self { program, first_args, version }),
                Some(version) => tried.push(format!("{} is version {version}", program.display())),
                None => tried.push(format!("{} does not tell a version", program.display())),
            }
        }
        Err(ComposeError::NotFound { tried })
    }

    /// As it tells it: `2.26.1-4`.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn first_args(&self) -> &[OsString] {
        &self.first_args
    }
}

async fn version(program: &Path, first_args: &[OsString]) -> Option<String> {
    let mut args = first_args.to_vec();
    args.extend(["version".into(), "--short".into()]);
    let mut child = spawn_directly(&SuperviseSpec::new(program, args)).ok()?;
    let stdout = child.take_stdout()?;
    let told = async {
        let mut text = String::new();
        stdout.take(VERSION_BYTES).read_to_string(&mut text).await.ok()?;
        (child.wait().await.ok()? == 0).then_some(text)
    };
    let text = tokio::time::timeout(VERSION_LIMIT, told).await.ok()??;
    let version = text.trim().trim_start_matches('v');
    (!version.is_empty()).then(|| version.to_owned())
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake(folder: &Path, name: &str, script: &str) {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn versions_are_numbers_and_not_text() {
        for (version, expected) in [
            ("2.26.1-4", true),
            ("2.20.0", true),
            ("2.9.0", false),
            ("1.29.2", false),
            ("5.0.1", true),
            ("x", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[tokio::test]
    async fn an_old_or_broken_one_that_stands_first_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> =
            ["old", "broken", "good", "plugin"].map(|name| dir.path().join(name)).into();
        folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        fake(&folders[0], "docker", "echo 2.3.4");
        fake(&folders[1], "docker", "echo unknown command >&2; exit 1");
        let path = std::env::join_paths(&folders[..3]).unwrap();
        let error = ComposeCli::locate_in(&path, []).await.unwrap_err();
        assert!(error.to_string().contains("2.3.4"), "{error}");
        fake(&folders[3], "docker-compose", "[ \"$1\" = version ] && echo v2.24.5");
        let plugin = ComposeCli::locate_in(&path, [folders[3].as_path()]).await.unwrap();
        assert_eq!((plugin.version(), plugin.first_args().len()), ("2.24.5", 0));
        fake(&folders[2], "docker", "[ \"$1\" = compose ] && echo 2.26.1");
        let docker = ComposeCli::locate_in(&path, [folders[3].as_path()]).await.unwrap();
        assert_eq!(docker.program(), folders[2].join("docker"));
    }
}
