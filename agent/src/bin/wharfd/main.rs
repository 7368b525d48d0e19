//! `wharfd`: the agent on the server. Everything is in the library; here are arguments, signals and exit codes.

mod arguments;
mod ask;
mod ending;
mod guard;
mod owner;
mod process;
mod serve;

use arguments::{Arguments, Command, Internal, Volume};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(serve) => serve::serve(serve),
        Command::Hello { config } => ask::hello(&config),
        Command::Backup(backup) => ask::backup(backup),
        Command::Connect { .. } => serve::connect(),
        Command::Recover(recover) => owner::recover(recover),
        Command::Guard(guard) => guard::run(guard),
        Command::Volume(Volume::Delete(chosen)) => owner::delete(chosen),
        Command::Internal(Internal::Run { command }) => wharf_engine::supervise::child_main(command),
        Command::Internal(Internal::Hook { sandbox, command }) => {
            wharf_engine::sandbox::hook_main(&sandbox, &command)
        }
        Command::Internal(Internal::HookInside { sandbox, command }) => {
            wharf_engine::sandbox::hook_inside_main(&sandbox, &command)
        }
        Command::Internal(Internal::Backup) => wharf_backup::child_main(),
    }
}
