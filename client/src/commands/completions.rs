//! `wharf completions`.

use crate::{
    cli::Cli,
    context::{Context, Exit},
};
use clap::CommandFactory as _;
use clap_complete::Shell;
use wharf_proto::Failure;

/// Print what a shell needs to complete wharf's commands and flags
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wharf", &mut script);
    context.console.data(&String::from_utf8_lossy(&script));
    Ok(Exit::DONE)
}
