//! `wharf secrets set`.

use super::{change, value};
use crate::context::{Context, Exit};
use std::io::IsTerminal as _;
use wharf_proto::{Failure, FailureKind, secret::SecretValue};

/// Set secrets, and make anew what uses them; values are asked for, or read from standard input
///
/// Services that use a changed key are recreated; those whose image it goes into are rebuilt without cache. If the app
/// does not prove healthy with the new values, the old ones are put back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// The value of the one key; it stays in your shell's history and can be seen by others on this machine
    #[arg(long, value_name = "VALUE", conflicts_with = "generate")]
    value: Option<String>,
    /// Random values of letters and digits, which nobody is shown
    #[arg(long)]
    generate: bool,
    #[command(flatten)]
    change: change::ChangeArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    check(&args)?;
    // First the configuration, so that nobody types a value in vain.
    context.config()?;
    let mut values: Vec<(String, SecretValue)> = Vec::new();
    for key in &args.keys {
        let value = match (&args.value, args.generate) {
            (Some(value), _) => SecretValue::new(value),
            (None, true) => value::generate(),
            (None, false) => match context.answered(value::ask(key, context.common.yes)).await {
                Some(value) => value?,
                None => return Ok(Exit::INTERRUPTED),
            },
        };
        values.push((key.clone(), value));
    }
    change::send(context, &args.change, |change| change.set.extend(values)).await
}

fn check(args: &Args) -> Result<(), Failure> {
    if let Some((key, _)) = args.keys.iter().find_map(|key| key.split_once('=')) {
        return Err(Failure::new(FailureKind::Config, "a value on the command line is not taken")
            .cause("it would stay in your shell's history, and others on this machine could see it")
            .hint(format!("wharf secrets set {key}, and type it; or pipe it: … | wharf secrets set {key}"))
            .hint(format!("or, knowing that: wharf secrets set {key} --value …")));
    }
    let one_value = args.value.is_some() || (!args.generate && !std::io::stdin().is_terminal());
    if one_value && args.keys.len() > 1 {
        return Err(Failure::new(FailureKind::Config, "there is one value, and there are several keys")
            .hint("set one key at a time, or put them into a file: wharf secrets import FILE"));
    }
    Ok(())
}
