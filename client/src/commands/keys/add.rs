//! `wharf keys add`.

use crate::{
    commands::wrong_reply,
    context::{Context, Exit},
};
use jiff::Timestamp;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};
use wharf_proto::{
    AppName, Apps, Failure, FailureKind, Role,
    key::{NewKey, is_private},
    message::{Reply, Request},
};

/// Far above what a public key takes.
const KEY_BYTES: u64 = 64 * 1024;

/// Let a public key in
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that ends in .pub; `-`: standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it may do: read, backup, deploy, operate, admin; each may do what the ones before it may
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Only with this app (repeatable); without it, with this project's
    #[arg(long, value_name = "NAME", conflicts_with = "all_apps")]
    app: Vec<AppName>,
    /// With every app of the server, those to come included
    #[arg(long)]
    all_apps: bool,
    /// What the audit calls it; without it, the key's own comment
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Until then: a time with its zone (2027-01-31T00:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    const FORMS: &str = "write day, time and zone: 2027-01-31T18:00:00Z, or 2027-01-31T18:00:00+01:00";
    let time: Timestamp = text.parse().map_err(|_| format!("it is no time; {FORMS}"))?;
    if time <= Timestamp::now() { Err(format!("it is over; {FORMS}, of a time to come")) } else { Ok(time) }
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let public_key = read(&args.file)?;
    let apps = match (args.all_apps, args.app.is_empty()) {
        (true, _) => Apps::All,
        (false, true) => Apps::one(config.spec.app.clone()),
        (false, false) => Apps::Named(args.app.into_iter().collect()),
    };
    let key = NewKey { public_key, role: args.role, apps, name: args.name, expires: args.expires };
    let Reply::KeyChanged { key } = context.session(&config).ask(Request::KeyAdd { key }).await? else {
        return Err(wrong_reply("the key"));
    };
    let rights = match (&key.role, &key.apps) {
        (Some(role), Some(Apps::All)) => format!("it may connect, with the role {role} for every app"),
        (Some(role), Some(apps)) => format!("it may connect, with the role {role} for {apps}"),
        _ => "it may connect".to_owned(),
    };
    super::tell(context, &key, &rights);
    Ok(Exit::DONE)
}

/// A public key. A private one is neither sent nor shown.
fn read(file: &Path) -> Result<String, Failure> {
    let source =
        if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let wrong = |why: String| {
        Failure::new(FailureKind::Config, format!("cannot read a key from {source}")).cause(why)
    };
    let reader: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| {
            wrong(error.to_string())
                .hint("give the public key's file, which ends in .pub: ~/.ssh/id_ed25519.pub, for example")
                .hint("make a new pair: ssh-keygen -t ed25519 -f FILE; or give the key on standard input: -")
        })?)
    };
    let mut bytes = Vec::new();
    reader.take(KEY_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > KEY_BYTES {
        return Err(wrong(format!("it is longer than {KEY_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text".into()))?;
    if is_private(&text) {
        return Err(Failure::new(
            FailureKind::Config,
            format!("{source} is a private key: nothing was sent"),
        )
        .cause("a private key must never leave the machine that it was made on")
        .hint("give the public one: the file that ends in .pub"));
    }
    if text.trim().is_empty() {
        return Err(wrong("it is empty".into()).hint("give the file that ends in .pub"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_key_ends() {
        assert!(moment("2127-01-31T00:00:00Z").is_ok() && moment("2127-01-31T00:00:00+01:00").is_ok());
        for text in ["tomorrow", "2127-01-31", "30d", ""] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(moment(text).unwrap_err(), @"it is no time; write day, time and zone: 2027-01-31T18:00:00Z, or 2027-01-31T18:00:00+01:00");
            }
        }
        assert!(moment("2020-01-31T00:00:00Z").unwrap_err().starts_with("it is over; write"));
    }

    #[test]
    fn a_file_that_is_not_there() {
        let failure = read(Path::new("/missing.pub")).unwrap_err();
        assert_eq!((failure.kind, failure.hints.len()), (FailureKind::Config, 2));
        insta::assert_snapshot!(failure.message, @"cannot read a key from /missing.pub");
    }
}
