//! The commands, one file each.

mod audit;
mod backup;
mod completions;
mod db;
mod deploy;
mod doctor;
mod down;
mod error_lines;
mod exec;
mod follow;
mod forget;
mod init;
mod jobs;
mod keys;
mod lock;
mod logs;
mod man;
mod migrate;
mod pack;
mod program;
mod promote;
mod prune;
mod registry;
mod releases;
mod report;
mod restart;
mod rollback;
mod scale;
mod secrets;
mod setup;
mod status;

#[cfg(test)]
mod tests;

use crate::context::{Context, Exit};
use clap::Subcommand;
use wharf_proto::Failure;

/// What `wharf` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Args),
    Setup(Box<setup::Args>),
    Deploy(Box<deploy::Args>),
    Promote(Box<promote::Args>),
    Releases(releases::Args),
    Rollback(rollback::Args),
    Jobs(jobs::Args),
    Status(status::Args),
    Logs(logs::Args),
    Doctor(doctor::Args),
    Pack(pack::Args),
    Audit(audit::Args),
    Backup(backup::Args),
    Secrets(secrets::Args),
    /// Run a command in a running container of a service
    Exec(program::Args),
    /// Run a command in a new container like a service's, which is removed afterwards
    Run(program::Args),
    Db(db::Args),
    Restart(restart::Args),
    Scale(scale::Args),
    Prune(prune::Args),
    Registry(registry::Args),
    Forget(forget::Args),
    Lock(lock::LockArgs),
    Unlock(lock::UnlockArgs),
    Keys(keys::Args),
    Migrate(migrate::Args),
    Report(report::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Down(down::Args),
}

/// Runs a command, renders its failure, and says how the process ends.
pub async fn run(command: Command, context: &mut Context) -> Exit {
    let ended = match command {
        Command::Init(args) => interruptible(context, init::run, args).await,
        Command::Setup(args) => interruptible(context, setup::run, *args).await,
        Command::Deploy(args) => deploy::run(*args, context).await,
        Command::Promote(args) => promote::run(*args, context).await,
        Command::Releases(args) => interruptible(context, releases::run, args).await,
        Command::Rollback(args) => rollback::run(args, context).await,
        Command::Jobs(args) => interruptible(context, jobs::run, args).await,
        Command::Status(args) => interruptible(context, status::run, args).await,
        Command::Logs(args) => interruptible(context, logs::run, args).await,
        Command::Doctor(args) => interruptible(context, doctor::run, args).await,
        Command::Pack(args) => interruptible(context, pack::run, args).await,
        Command::Audit(args) => interruptible(context, audit::run, args).await,
        Command::Backup(args) => backup::run(args, context).await,
        Command::Exec(args) => exec::exec(args, context).await,
        Command::Run(args) => exec::run(args, context).await,
        Command::Db(args) => db::run(args, context).await,
        Command::Secrets(args) => secrets::run(args, context).await,
        Command::Restart(args) => restart::run(args, context).await,
        Command::Keys(args) => keys::run(args, context).await,
        Command::Migrate(args) => migrate::run(args, context).await,
        Command::Registry(args) => registry::run(args, context).await,
        Command::Forget(args) => forget::run(args, context).await,
        Command::Lock(args) => interruptible(context, lock::lock, args).await,
        Command::Unlock(args) => interruptible(context, lock::unlock, args).await,
        Command::Prune(args) => prune::run(args, context).await,
        Command::Scale(args) => scale::run(args, context).await,
        Command::Report(args) => interruptible(context, report::run, args).await,
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
        Command::Down(args) => down::run(&args, context.common.verbose),
    };
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            context.console.failure(&failure);
            Exit(failure.exit_code())
        }
    }
}

/// Commands that change nothing simply end when the person asks to stop.
async fn interruptible<A>(
    context: &mut Context,
    command: impl AsyncFnOnce(A, &mut Context) -> Result<Exit, Failure>,
    args: A,
) -> Result<Exit, Failure> {
    let stopped = context.stopped();
    tokio::select! {
        ended = command(args, context) => ended,
        () = stopped => Ok(Exit::INTERRUPTED),
    }
}

/// The agent answered something else than what was asked.
fn wrong_reply(expected: &str) -> Failure {
    Failure::new(
        wharf_proto::FailureKind::Internal,
        format!("the server answered something else than {expected}"),
    )
    .hint("this is a bug of Wharf's: please report it with the versions of wharf and wharfd")
}
