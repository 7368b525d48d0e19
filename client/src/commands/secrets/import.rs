//! `wharf secrets import`.

use super::{change, value};
use crate::context::{Context, Exit};
use std::path::{Path, PathBuf};
use wharf_proto::{Failure, FailureKind, secret::SecretValue};

/// Set every key of an env file of this machine; other keys on the server stay
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, read as Compose reads env files; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    change: change::ChangeArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let text = if args.file == Path::new("-") {
        value::piped("any key", value::read_stdin()?)?
    } else {
        let text = std::fs::read_to_string(context.folder.join(&args.file)).map_err(|error| {
            Failure::new(FailureKind::Config, format!("cannot read {}", args.file.display()))
                .cause(error.to_string())
                .hint("name an env file of this machine, or `-` for standard input; nothing was changed")
        })?;
        SecretValue::new(text)
    };
    change::send(context, &args.change, |change| change.import = Some(text)).await
}
