//! A Compose project on the disk, and what is done with it.

use super::command::Run;
use super::{ComposeCli, ComposeError};
use crate::StreamKind;
use crate::connection::DEFAULT_SOCKET;
use crate::supervise::{SuperviseSpec, Supervisor};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `config` may take.
const CONFIG_LIMIT: Duration = Duration::from_secs(60);
/// What `up` and `stop` may take beyond the time that they are given for containers.
const GRACE: Duration = Duration::from_secs(120);

/// A Compose project on the disk.
#[derive(Debug, Clone)]
pub struct ComposeProject {
    pub cli: ComposeCli,
    /// What relative paths in the files start from.
    pub project_directory: PathBuf,
    /// In the order of `-f`.
    pub files: Vec<PathBuf>,
    pub env_file: Option<PathBuf>,
    /// The folder of Docker's configuration, with logins; `None`: that of the agent's user.
    pub docker_config: Option<PathBuf>,
    pub profiles: Vec<String>,
    /// `None`: the name that Compose chooses itself.
    pub project: Option<String>,
    /// The engine's socket; `None`: the default one.
    pub docker_socket: Option<PathBuf>,
    /// Through what the commands are started; `None`: directly, and they may outlive the agent.
    pub supervisor: Option<Arc<Supervisor>>,
}

/// What `up` brings up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpSpec {
    /// Empty: every service of the project.
    pub services: Vec<String>,
    pub recreate: Recreate,
    /// How many containers services are to have, other than the files say. Each must be named above or be what one of
    /// those depends on.
    pub scale: BTreeMap<String, u32>,
    /// How long to wait until all are healthy.
    pub wait_limit: Duration,
}

/// Which containers `up` makes anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recreate {
    /// Those whose definition or image has changed.
    #[default]
    Changed,
    /// All, though nothing that Compose knows of has changed (a mounted file has).
    All,
    /// None.
    Nothing,
}

impl ComposeProject {
    /// The model, as JSON. **It holds secrets**: never log or store it.
    ///
    /// # Errors
    /// The files are not a project; the error carries what Compose says of them.
    pub async fn config(&self) -> Result<String, ComposeError> {
        self.command("config", ["config", "--format", "json"], CONFIG_LIMIT).printing().await
    }

    /// The model before Compose puts values in, as JSON: no value of the env file is in it.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn config_without_values(&self) -> Result<String, ComposeError> {
        let args = ["config", "--no-interpolate", "--format", "json"];
        self.command("config", args, CONFIG_LIMIT).printing().await
    }

    /// The hash of each service, as its containers carry it in the label `com.docker.compose.config-hash`.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn config_hashes(&self) -> Result<BTreeMap<String, String>, ComposeError> {
        let printed = self.command("config", ["config", "--hash", "*"], CONFIG_LIMIT).printing().await?;
        let pair = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            words.next().zip(words.next()).ok_or_else(|| ComposeError::Malformed {
                subcommand: "config",
                why: "a line is not a service and its hash".to_owned(),
            })
        };
        printed.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
    }

    /// Starts services, recreates those that changed, and waits until all are running or healthy.
    ///
    /// # Errors
    /// One did not come up in time, ended, or could not be made.
    pub async fn up(&self, spec: &UpSpec, mut on_line: impl FnMut(&str) + Send) -> Result<(), ComposeError> {
        let seconds = spec.wait_limit.as_secs().max(1).to_string();
        let mut args: Vec<OsString> =
            ["up", "-d", "--no-build", "--wait", "--wait-timeout"].map(OsString::from).into();
        args.push(seconds.into());
        match spec.recreate {
            Recreate::Changed => {}
            Recreate::All => args.push("--force-recreate".into()),
            Recreate::Nothing => args.push("--no-recreate".into()),
        }
        for (service, replicas) in &spec.scale {
            args.extend(["--scale".into(), format!("{service}={replicas}").into()]);
        }
        args.extend(spec.services.iter().map(OsString::from));
        let run = self.command("up", args, spec.wait_limit + GRACE);
        run.streaming(|_, line| on_line(line)).await?.success("up")
    }

    /// Stops services; their containers stay. Empty: all.
    ///
    /// # Errors
    /// One could not be stopped.
    pub async fn stop(
        &self,
        services: &[String],
        patience: Duration,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Result<(), ComposeError> {
        let mut args: Vec<OsString> = vec!["stop".into(), "-t".into(), patience.as_secs().to_string().into()];
        args.extend(services.iter().map(OsString::from));
        // They are stopped by their order of dependence, one layer after the other.
        let limit = patience.saturating_mul(4) + GRACE;
        self.command("stop", args, limit).streaming(|_, line| on_line(line)).await?.success("stop")
    }

    /// Starts containers that are there, each after what it depends on; none is made anew.
    ///
    /// # Errors
    /// One could not be started.
    pub async fn start(
        &self,
        services: &[String],
        limit: Duration,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Result<(), ComposeError> {
        let mut args: Vec<OsString> = vec!["start".into()];
        args.extend(services.iter().map(OsString::from));
        self.command("start", args, limit + GRACE).streaming(|_, line| on_line(line)).await?.success("start")
    }

    /// Removes the project's containers and networks. Its volumes stay: there is no way to ask for more.
    ///
    /// # Errors
    /// One could not be removed.
    pub async fn down(
        &self,
        patience: Duration,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Result<(), ComposeError> {
        let args: [OsString; 3] = ["down".into(), "-t".into(), patience.as_secs().to_string().into()];
        let limit = patience.saturating_mul(4) + GRACE;
        self.command("down", args, limit).streaming(|_, line| on_line(line)).await?.success("down")
    }

    /// Builds one service by Compose itself, for what [`crate::Engine::build`] cannot do (ssh mounts). What it builds
    /// with comes from the files; nothing secret is on the command line.
    ///
    /// # Errors
    /// The build failed; the error carries its last lines.
    pub async fn build_fallback(
        &self,
        service: &str,
        no_cache: bool,
        pull: bool,
        limit: Duration,
        mut on_line: impl FnMut(StreamKind, &str) + Send,
    ) -> Result<(), ComposeError> {
        let mut args: Vec<OsString> = ["--progress", "plain", "build"].map(OsString::from).into();
        args.extend(no_cache.then(|| "--no-cache".into()));
        args.extend(pull.then(|| "--pull".into()));
        args.push(service.into());
        let run = self.command("build", args, limit);
        run.streaming(|kind, line| on_line(kind, line)).await?.success("build")
    }

    /// A command with the project's own arguments and a clean environment.
    pub(super) fn command<T: Into<OsString>>(
        &self,
        subcommand: &'static str,
        args: impl IntoIterator<Item = T>,
        limit: Duration,
    ) -> Run {
        let mut all = self.cli.first_args().to_vec();
        // Nobody reads colours or a moving picture here.
        all.extend(["--ansi".into(), "never".into()]);
        let mut option = |name: &str, value: OsString| all.extend([name.into(), value]);
        option("--project-directory", self.project_directory.clone().into());
        self.files.iter().for_each(|file| option("-f", file.clone().into()));
        self.env_file.iter().for_each(|file| option("--env-file", file.clone().into()));
        self.profiles.iter().for_each(|profile| option("--profile", profile.into()));
        self.project.iter().for_each(|project| option("-p", project.into()));
        all.extend(args.into_iter().map(Into::into));
        let mut spec = SuperviseSpec::new(self.cli.program(), all);
        spec.cwd = Some(self.project_directory.clone());
        // Always named: the user's docker configuration may have chosen another engine than the one we look at.
        let socket = self.docker_socket.as_deref().unwrap_or(Path::new(DEFAULT_SOCKET));
        let mut host = OsString::from("unix://");
        host.push(socket);
        spec.env.push(("DOCKER_HOST".into(), host));
        spec.env
            .extend(self.docker_config.iter().map(|folder| ("DOCKER_CONFIG".into(), folder.clone().into())));
        Run { spec, supervisor: self.supervisor.clone(), subcommand, limit }
    }
}
