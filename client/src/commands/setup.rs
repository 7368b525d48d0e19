//! `wharf setup`: looks at a server, says what it would do there, asks, does it, and proves that the new way in works.

use crate::{
    config::{self, ServerAddress},
    context::{Context, Exit},
    doctor::{Finding, Level},
    render,
    session::{Asker, Session, SessionError, Ssh, SshOptions, deploy_key},
    setup::{
        self, AgentFile, Facts, Laptop, Login, Plan, Remote, Removal, SetupError, Upgrade,
        config_file::ConfigFile, facts::Sudo, key_line,
    },
    sys,
};
use std::{path::PathBuf, sync::Arc};
use wharf_proto::{Failure, FailureKind, Role};

/// Put the agent on a server, over the OpenSSH that is there
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server and a user who may use sudo (or root), as for ssh; without it, the server of wharf.toml
    #[arg(value_name = "USER@HOST[:PORT]")]
    server: Option<String>,
    /// Replace the agent that is there; if the new one does not answer, the old one is put back
    #[arg(long, conflicts_with_all = ["remove", "role"])]
    upgrade: bool,
    /// Take the agent away; apps run on, backups and their keys stay
    #[arg(long, conflicts_with_all = ["agent", "role"])]
    remove: bool,
    /// The wharfd to install, built for Linux; without it, the one beside this program
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// The private key to log in with
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The most that this laptop's key may do there: read, backup, deploy, operate or admin
    #[arg(long, value_name = "ROLE", default_value = "admin")]
    role: Role,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(serde::Serialize)]
struct Told<'a> {
    text: &'a str,
}

#[derive(serde::Serialize)]
struct Ended<'a> {
    server: &'a str,
    /// Whether anything was to be done.
    changed: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    kept: &'a [String],
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let server = server(&args, context)?;
    let options = SshOptions::of_process(context.common.accept_new_host_key, context.common.yes);
    let ssh = Ssh::new(server.clone(), options.clone());
    let mut remote = Remote::new(ssh.shell().await?);
    let visit = Visit { args, server, options };
    let ended = visit.go(&mut remote, context).await;
    remote.disconnect().await;
    ended
}

fn server(args: &Args, context: &Context) -> Result<ServerAddress, Failure> {
    let mut server = match &args.server {
        Some(text) => ServerAddress::parse(text).map_err(|why| {
            Failure::new(FailureKind::Config, why).hint("write it as for ssh: user@host or user@host:port")
        })?,
        None => {
            context
                .config()
                .map_err(|failure| failure.hint("or name the server: wharf setup USER@HOST"))?
                .server
        }
    };
    if server.is_here {
        return Err(Failure::new(FailureKind::Config, "this machine is not set up over SSH")
            .hint("start an agent here: wharfd serve; docs/CONFIGURATION.md says how it is found")
            .hint("or set it up as a server, where it runs an SSH server: wharf setup USER@localhost"));
    }
    // Not the one of wharf.toml: that is for deploys, and may open nothing else.
    server.identity.clone_from(&args.identity);
    Ok(server)
}

/// One run.
struct Visit {
    args: Args,
    server: ServerAddress,
    options: SshOptions,
}

impl Visit {
    async fn go(&self, remote: &mut Remote, context: &mut Context) -> Result<Exit, Failure> {
        let login = Login::look(remote).await?;
        self.become_root(&login, remote).await?;
        let facts = Facts::look(remote).await?;
        context.console.note(&format!("{}: {}", remote.place(), facts.shown(&login)));
        if self.args.upgrade {
            self.upgrade(&login, &facts, remote, context).await
        } else if self.args.remove {
            self.remove(&login, &facts, remote, context).await
        } else {
            self.install(&login, &facts, remote, context).await
        }
    }

    async fn become_root(&self, login: &Login, remote: &mut Remote) -> Result<(), Failure> {
        let password = match (login.uid, login.sudo) {
            (0, _) | (_, Sudo::Free) => None,
            (_, Sudo::Missing) => {
                let why = "there is no sudo on the server".to_owned();
                return Err(SetupError::NotRoot { user: login.user.clone(), why }.into());
            }
            (_, Sudo::Asks) => {
                let question = format!("Password of {} there, for sudo", login.user);
                let password = self.options.asker.password(question).await;
                if password.is_none() {
                    let why = "sudo asks for a password, and none was given".to_owned();
                    return Err(SetupError::NotRoot { user: login.user.clone(), why }.into());
                }
                password
            }
        };
        remote.rises_by(login.uid != 0, password);
        Ok(remote.check_root(&login.user).await?)
    }

    async fn install(
        &self,
        login: &Login,
        facts: &Facts,
        remote: &Remote,
        context: &mut Context,
    ) -> Result<Exit, Failure> {
        let laptop = self.laptop(remote.place())?;
        let agent = || AgentFile::find(self.args.agent.as_deref(), &login.arch);
        let plan = setup::plan(login, facts, &laptop, agent)?;
        let texts: Vec<String> = plan.steps.iter().map(setup::Step::text).collect();
        let go_on = self.agreed(&texts, context).await;
        for note in &plan.notes {
            context.console.warn(note);
        }
        if !go_on? {
            return Ok(Exit::DONE);
        }
        setup::execute(&plan, &laptop, remote, |text| tell(context, text)).await?;
        self.examine(&laptop, &plan, context).await?;
        self.ended(!plan.steps.is_empty(), &[], context);
        self.next(context);
        Ok(Exit::DONE)
    }

    async fn upgrade(
        &self,
        login: &Login,
        facts: &Facts,
        remote: &Remote,
        context: &mut Context,
    ) -> Result<Exit, Failure> {
        let agent = AgentFile::find(self.args.agent.as_deref(), &login.arch)?;
        let config = self.config(login, facts)?;
        let Some(upgrade) = Upgrade::of(facts, config.state, agent)? else {
            context.console.note("That very agent runs there already.");
            self.ended(false, &[], context);
            return Ok(Exit::DONE);
        };
        if !self.agreed(&upgrade.texts(facts), context).await? {
            return Ok(Exit::DONE);
        }
        if let Err(error) = setup::upgrade(&upgrade, remote, |text| tell(context, text)).await {
            context.console.failure(&error.failure());
            return Ok(Exit(error.exit_code()));
        }
        self.ended(true, &[], context);
        Ok(Exit::DONE)
    }

    async fn remove(
        &self,
        login: &Login,
        facts: &Facts,
        remote: &Remote,
        context: &mut Context,
    ) -> Result<Exit, Failure> {
        let removal = Removal::of(login, facts, &self.config(login, facts)?)?;
        if !self.agreed(&removal.texts(facts), context).await? {
            return Ok(Exit::DONE);
        }
        let kept = setup::remove(&removal, remote, |text| tell(context, text)).await?;
        for path in &kept {
            context.console.note(&format!("kept {path}"));
        }
        if let Some(file) = deploy_key::of(remote.place()) {
            context.console.note(&format!("kept this laptop's key {}", file.display()));
        }
        context.console.note("The apps run on, as ordinary Compose projects; their images keep their names.");
        self.ended(true, &kept, context);
        Ok(Exit::DONE)
    }

    fn config(&self, login: &Login, facts: &Facts) -> Result<ConfigFile, Failure> {
        Ok(ConfigFile::of(facts.config.as_deref(), &login.user, login.uid, self.args.role)?)
    }

    fn laptop(&self, place: &str) -> Result<Laptop, Failure> {
        let key_file = deploy_key::path(place).ok_or_else(|| {
            Failure::new(
                FailureKind::Environment,
                "you have no home folder, where the deploy key would be kept",
            )
        })?;
        let public = wharf_ssh::deploy_key::public_line(&key_file)
            .map_err(|source| SetupError::Key { path: key_file.clone(), source })?;
        Ok(Laptop {
            public: public.map(|line| line.as_str().to_owned()),
            key_file,
            key_name: key_line::name_of(&sys::person()),
            role: self.args.role,
        })
    }

    /// Tells what is to be done; whether it is to be done.
    async fn agreed(&self, texts: &[String], context: &mut Context) -> Result<bool, Failure> {
        for (at, text) in texts.iter().enumerate() {
            match self.args.dry_run && context.console.json {
                true => context.console.object("setup_plan", &Told { text }),
                false => context.console.note(&format!("  {}. {text}", at + 1)),
            }
        }
        if texts.is_empty() {
            context.console.note("Everything is in place; nothing is to be done.");
            return Ok(!self.args.dry_run);
        }
        if self.args.dry_run {
            context.console.note("Nothing was changed.");
            return Ok(false);
        }
        if context.common.yes {
            return Ok(true);
        }
        match self.options.asker {
            Asker::Nobody => {
                Err(Failure::new(FailureKind::Consent, "setup changes the server, and nobody can be asked")
                    .hint("look at it with --dry-run, then say --yes"))
            }
            Asker::Person => {
                let go_on = self.options.asker.confirm("Go on?".into()).await;
                if !go_on {
                    context.console.note("Nothing was changed.");
                }
                Ok(go_on)
            }
        }
    }

    /// Whether the way that was made works, with the key that was made, and whether the server has what deploys need.
    async fn examine(&self, laptop: &Laptop, plan: &Plan, context: &mut Context) -> Result<(), Failure> {
        let server = ServerAddress { identity: Some(laptop.key_file.clone()), ..self.server.clone() };
        let options = SshOptions { key_pem: None, ..self.options.clone() };
        let dial = Arc::new(Ssh::new(server, options));
        context.taken.push(dial.clone());
        let answers = "the agent answers through sshd with the new key";
        match super::doctor::examine(&Session::new(dial, sys::person()), None).await {
            Ok(examined) => {
                let apps = match examined.apps {
                    0 => "no app yet".to_owned(),
                    1 => "one app".to_owned(),
                    count => format!("{count} apps"),
                };
                tell(context, &format!("{answers}; it has {apps}"));
                warn(&examined.findings, context);
            }
            // One that was there before may be older; deploys go through it all the same.
            Err(SessionError::Agent(failure)) if failure.kind == FailureKind::Unsupported => {
                tell(context, answers);
                context.console.warn("it is too old to be examined: wharf setup --upgrade");
            }
            Err(error) => {
                return Err(Failure::from(error)
                    .cause(format!("the agent runs, and listens at {}", plan.socket))
                    .hint("see that sshd on the server reads ~/.ssh/authorized_keys of this user, then run this again"));
            }
        }
        Ok(())
    }

    fn ended(&self, changed: bool, kept: &[String], context: &mut Context) {
        if context.console.json {
            context.console.object("setup", &Ended { server: &self.server.to_string(), changed, kept });
        }
    }

    /// What a person does next.
    fn next(&self, context: &mut Context) {
        let next = match config::load(&context.folder, context.common.env.as_deref()) {
            Ok(config) if config.server.to_string() == self.server.to_string() => {
                "Next: `wharf deploy --dry-run`, and `wharf deploy`".to_owned()
            }
            _ => format!("Next, in the project's folder: `wharf init --server {}`", self.server),
        };
        context.console.note(&next);
    }
}

/// What is not as it should be there.
fn warn(findings: &[Finding], context: &mut Context) {
    for finding in findings.iter().filter(|finding| finding.level > Level::Ok) {
        let Finding { check, text, remedy, .. } = finding;
        context.console.warn(&render::clean(&format!("{check}: {text}; {}", remedy.join("; "))));
    }
}

/// A step that was done.
fn tell(context: &mut Context, text: &str) {
    if context.console.json {
        context.console.object("setup_step", &Told { text });
    } else {
        context.console.note(&format!("  {text}"));
    }
}
