//! Where to go, and by what.

use crate::{
    config_file,
    error::SshError,
    expand::{self, Tokens},
    host_text::HostText,
    known_hosts, openssh_config,
    secret::Secret,
    settings::Settings,
};
use std::path::PathBuf;

/// Hosts on the way, the server included.
const HOPS: usize = 8;

/// What people say besides the host.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A private key's file. The server is shown this key alone.
    pub identity: Option<PathBuf>,
    /// A private key itself, for pipelines. It alone is shown, to jump hosts too.
    pub key_pem: Option<Secret>,
    /// Instead of the person's own `known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// Instead of `~/.ssh/config` and the system's.
    pub ssh_config: Option<PathBuf>,
    pub resolver: Resolver,
}

/// What reads the SSH configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The OpenSSH client, or where there is none this crate.
    #[default]
    Auto,
    /// This crate, which knows a few keywords.
    BuiltIn,
}

/// A server, and the hosts to jump through on the way to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Never empty; the last one is the server.
    pub(crate) hops: Vec<Hop>,
}

/// One host to authenticate to.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub hostname: String,
    pub port: u16,
    pub user: String,
    /// What it is listed under in `known_hosts`.
    pub listed: String,
    /// Where its key is looked for. The first is where it is remembered.
    pub known_hosts: Vec<PathBuf>,
    pub hash_known_hosts: bool,
    pub identities: Vec<PathBuf>,
    /// An identity that was named must be there; those of the configuration may be missing.
    pub identities_named: bool,
    pub identities_only: bool,
    pub key_agent: Option<PathBuf>,
    pub key_pem: Option<Secret>,
}

impl Target {
    /// What `host` (`[user@]host[:port]`, or an alias) means here, as `ssh` would see it.
    ///
    /// # Errors
    /// The text or the SSH configuration is wrong, or asks for what is not supported.
    pub async fn resolve(host: &str, options: &Options) -> Result<Self, SshError> {
        let mut hops = Vec::new();
        let mut next = Some(HostText::parse(host)?);
        // From the server back to the first host that is reached directly.
        while let Some(text) = next.take() {
            let is_server = hops.is_empty();
            let settings = read_settings(&text, options).await?;
            if settings.proxy_command.as_deref().is_some_and(|command| !command.eq_ignore_ascii_case("none"))
            {
                return Err(SshError::ProxyCommand { host: text.host });
            }
            let jumps = jump_hosts(settings.proxy_jump.as_deref())?;
            hops.push(Hop::new(&text, settings, options, is_server)?);
            // All but the first of a list are reached from the one before; only the first has a way of its own.
            let mut jumps = jumps.into_iter();
            next = jumps.next();
            let mut between = Vec::new();
            for jump in jumps {
                let settings = read_settings(&jump, options).await?;
                between.push(Hop::new(&jump, settings, options, false)?);
            }
            hops.extend(between.into_iter().rev());
            if hops.len() + usize::from(next.is_some()) > HOPS {
                return Err(SshError::TooManyJumps { host: host.to_owned(), limit: HOPS });
            }
        }
        hops.reverse();
        Ok(Self { hops })
    }

    /// Shows the server this key alone.
    #[must_use]
    pub fn showing_only(mut self, identity: PathBuf) -> Self {
        if let Some(server) = self.hops.last_mut() {
            server.identities = vec![identity];
            server.identities_named = true;
            server.identities_only = true;
        }
        self
    }

    /// `user@host`, or `user@host:port` where the port is not SSH's own: for people.
    pub fn place(&self) -> String {
        self.hops.last().map(Hop::place).unwrap_or_default()
    }
}

async fn read_settings(text: &HostText, options: &Options) -> Result<Settings, SshError> {
    let config = options.ssh_config.as_deref();
    if options.resolver == Resolver::Auto
        && let Some(settings) = openssh_config::settings(text, config).await?
    {
        return Ok(settings);
    }
    let mut settings = Settings { user: text.user.clone(), port: text.port, ..Settings::default() };
    match config {
        Some(file) => config_file::read(file, &text.host, true, &mut settings)?,
        None => {
            if let Some(home) = expand::home() {
                config_file::read(&home.join(".ssh/config"), &text.host, false, &mut settings)?;
            }
            config_file::read("/etc/ssh/ssh_config".as_ref(), &text.host, false, &mut settings)?;
        }
    }
    Ok(settings)
}

fn jump_hosts(list: Option<&str>) -> Result<Vec<HostText>, SshError> {
    match list {
        Some(list) if !list.eq_ignore_ascii_case("none") => {
            list.split(',').map(|host| HostText::parse(host.trim())).collect()
        }
        _ => Ok(Vec::new()),
    }
}

impl Hop {
    fn new(
        text: &HostText,
        settings: Settings,
        options: &Options,
        is_server: bool,
    ) -> Result<Self, SshError> {
        let port = text.port.or(settings.port).unwrap_or(22);
        let user = text.user.clone().or(settings.user).or_else(expand::local_user);
        let user = user.ok_or_else(|| SshError::NoUser { host: text.host.clone() })?;
        let mut tokens = Tokens { hostname: text.host.clone(), original: text.host.clone(), port, user };
        if let Some(hostname) = &settings.hostname {
            tokens.hostname = tokens.text(hostname);
        }
        let listed = match &settings.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None => known_hosts::listed_name(&tokens.hostname, port),
        };
        let paths = |texts: &[String], defaults: &[&str]| -> Vec<PathBuf> {
            match texts {
                [] => defaults.iter().filter_map(|text| tokens.path(text)).collect(),
                texts => texts.iter().filter_map(|text| tokens.path(text)).collect(),
            }
        };
        let named = options.identity.as_ref().filter(|_| is_server);
        let mut identities = paths(&settings.identity_files, &DEFAULT_IDENTITIES);
        match (&options.identity, named) {
            (_, Some(named)) => identities = vec![named.clone()],
            // To a jump host it is one more that may fit.
            (Some(more), None) => identities.push(more.clone()),
            (None, None) => {}
        }
        let mut known = match &options.known_hosts {
            Some(file) => vec![file.clone()],
            None => paths(&settings.user_known_hosts, &["~/.ssh/known_hosts"]),
        };
        known.extend(paths(&settings.global_known_hosts, &["/etc/ssh/ssh_known_hosts"]));
        Ok(Self {
            port,
            listed,
            known_hosts: known,
            hash_known_hosts: settings.hash_known_hosts.unwrap_or(false),
            identities,
            identities_named: named.is_some(),
            identities_only: named.is_some() || settings.identities_only.unwrap_or(false),
            key_agent: key_agent(settings.identity_agent.as_deref(), &tokens),
            key_pem: options.key_pem.clone(),
            hostname: tokens.hostname,
            user: tokens.user,
        })
    }

    /// Where it is, for people.
    pub fn address(&self) -> String {
        match (self.port, self.hostname.contains(':')) {
            (22, _) => self.hostname.clone(),
            (port, true) => format!("[{}]:{port}", self.hostname),
            (port, false) => format!("{}:{port}", self.hostname),
        }
    }

    /// Where it is and as whom, for people.
    pub fn place(&self) -> String {
        format!("{}@{}", self.user, self.address())
    }
}

const DEFAULT_IDENTITIES: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// The socket (on Windows: pipe) of the key agent.
fn key_agent(setting: Option<&str>, tokens: &Tokens) -> Option<PathBuf> {
    let from_environment =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match setting {
        Some(text) if text.eq_ignore_ascii_case("none") => None,
        Some("SSH_AUTH_SOCK") | None => {
            let default = if cfg!(windows) { Some(r"\\.\pipe\openssh-ssh-agent".into()) } else { None };
            from_environment("SSH_AUTH_SOCK").or(default)
        }
        Some(text) => match text.strip_prefix('$') {
            Some(variable) => from_environment(variable.trim_matches(['{', '}'])),
            None => tokens.path(text),
        },
    }
}
