//! The keys that may connect to the agent's own SSH server, listed and changed from the laptop.
//!
//! **Invariants**
//! - The file is replaced whole or not at all, with the mode and the owner that it had.
//! - Every line that is not the key in question stays as it was, to the byte.
//! - The last key that may do everything is not taken out.
//! - What was given is never quoted unless it is a public key.

mod file;

use crate::agent::Agent;
use crate::audit;
use crate::conversation::Who;
use crate::failures;
use file::KeyFile;
use jiff::Timestamp;
use wharf_access::{ForcedCommand, Grant};
use wharf_agent_ssh::key_list::{self, GivenKey, GivenKeyError, ListedKey};
use wharf_proto::key::{KeyInfo, NewKey};
use wharf_proto::message::{Reply, Request};
use wharf_proto::{Apps, Failure, FailureKind};

/// The longest name of a key.
const NAME_CHARACTERS: usize = 100;

/// Answers the requests about keys. Who may make them is settled: an admin of the whole server.
///
/// # Errors
/// A text that is no public key, a key that is there already or is not there, the last admin's; the disk.
pub async fn requested(agent: &Agent, who: &Who, request: Request) -> Result<Reply, Failure> {
    let path = agent.config.authorized_keys.clone();
    match request {
        Request::Keys => {
            failures::blocking(move || {
                let file = KeyFile::open(&path)?;
                Ok(Reply::Keys { file: path.display().to_string(), keys: infos(&file.text) })
            })
            .await
        }
        Request::KeyAdd { key } => {
            let added = failures::blocking(move || add(&KeyFile::open(&path)?, &key)).await?;
            tell(agent, who, "keys add", &added, "it may connect").await?;
            Ok(Reply::KeyChanged { key: added })
        }
        Request::KeyRemove { key } => {
            let removed = failures::blocking(move || remove(&KeyFile::open(&path)?, &key)).await?;
            tell(agent, who, "keys remove", &removed, "it may connect no more").await?;
            Ok(Reply::KeyChanged { key: removed })
        }
        _ => Err(Failure::new(FailureKind::Unsupported, "this agent does not know that request")
            .hint("upgrade wharfd on the server")),
    }
}

fn add(file: &KeyFile, new: &NewKey) -> Result<KeyInfo, Failure> {
    let given = GivenKey::parse(&new.public_key).map_err(not_a_key)?;
    if let Apps::Named(names) = &new.apps
        && names.is_empty()
    {
        return Err(Failure::new(FailureKind::Config, "the key is for no app").hint("name one: --app NAME"));
    }
    let known = infos(&file.text);
    if let Some(known) = known.iter().find(|key| key.fingerprint == given.fingerprint) {
        let text = format!("this key is there already, in line {} of {}", known.line, file.path.display());
        return Err(Failure::new(FailureKind::Refused, text)
            .hint(format!("to give it other rights, first: wharf keys remove {}", known.fingerprint)));
    }
    let comment: String =
        new.name.as_deref().unwrap_or(&given.comment).chars().take(NAME_CHARACTERS).collect();
    let line = given.line(&options(new), &comment);
    let text = key_list::with_line(&file.text, &line);
    // Read back before it is written: what is granted is what was asked, and the rest is as it was.
    let after = infos(&text);
    let granted = after.last().filter(|key| {
        let asked = (key.role, key.apps.as_ref()) == (Some(new.role), Some(&new.apps));
        key.fingerprint == given.fingerprint && key.problem.is_none() && asked
    });
    let Some(granted) = granted.filter(|_| after.len() == known.len() + 1).cloned() else {
        return Err(Failure::new(FailureKind::Refused, "the key would not get what was asked for it")
            .cause("the line that lets it in is read otherwise than it was meant, or it has expired")
            .hint("leave out --name, or choose a later --expires"));
    };
    file.replace(&text)?;
    Ok(granted)
}

/// What stands before the key in its line.
fn options(new: &NewKey) -> String {
    let mut command = format!("wharfd connect --role {}", new.role);
    if let Apps::Named(names) = &new.apps {
        names.iter().for_each(|name| command += &format!(" --app {name}"));
    }
    let expires = new.expires.map(|at| format!("expiry-time=\"{}\",", at.strftime("%Y%m%d%H%M%SZ")));
    format!("{}restrict,command=\"{command}\"", expires.unwrap_or_default())
}

fn remove(file: &KeyFile, wanted: &str) -> Result<KeyInfo, Failure> {
    let known = infos(&file.text);
    let found = find(&known, wanted)?;
    let text = key_list::without_key(&file.text, &found.fingerprint);
    let had_admin = known.iter().any(is_lasting_admin);
    if had_admin && !infos(&text).iter().any(is_lasting_admin) {
        return Err(Failure::new(FailureKind::Refused, "it is the last key that may do everything")
            .cause("without it, nobody could let anybody in from a laptop any more")
            .hint("first let another in: wharf keys add FILE --role admin --all-apps"));
    }
    file.replace(&text)?;
    Ok(found.clone())
}

/// By fingerprint, with or without `SHA256:`, or by comment.
fn find<'a>(known: &'a [KeyInfo], wanted: &str) -> Result<&'a KeyInfo, Failure> {
    let bare = |text: &str| text.trim_start_matches("SHA256:").to_owned();
    let by_print = known.iter().find(|key| bare(&key.fingerprint) == bare(wanted));
    let mut named: Vec<&KeyInfo> = known.iter().filter(|key| key.comment == wanted).collect();
    named.dedup_by(|a, b| a.fingerprint == b.fingerprint);
    match (by_print, named.as_slice()) {
        (Some(key), _) => Ok(key),
        (None, [key]) => Ok(key),
        (None, []) => Err(Failure::new(FailureKind::NotFound, "there is no such key")
            .cause("a key is named by its fingerprint or its whole comment")
            .hint("see which there are: wharf keys list")),
        (None, several) => {
            let prints: Vec<&str> = several.iter().map(|key| key.fingerprint.as_str()).collect();
            Err(Failure::new(FailureKind::Config, "several keys are called so")
                .hint(format!("name one by its fingerprint: {}", prints.join(", "))))
        }
    }
}

/// Whether it lets somebody do everything, and goes on to.
fn is_lasting_admin(key: &KeyInfo) -> bool {
    let grant = key.role.zip(key.apps.clone()).map(|(role, apps)| Grant { role, apps });
    key.expires.is_none() && grant.is_some_and(|grant| grant.is_of_the_server())
}

fn infos(text: &str) -> Vec<KeyInfo> {
    key_list::list(text, Timestamp::now()).into_iter().map(info).collect()
}

fn info(key: ListedKey) -> KeyInfo {
    let said = match key.command.as_deref().map(ForcedCommand::parse) {
        None => Ok(Grant::everything()),
        Some(said) => said.map(|said| said.grant),
    };
    let (grant, not_ours) = match said {
        Ok(grant) => (Some(grant), None),
        Err(why) => (None, Some(format!("its command is not one of Wharf's: {why}"))),
    };
    let problem = key.problem.or(not_ours);
    let grant = grant.filter(|_| problem.is_none());
    KeyInfo {
        fingerprint: key.fingerprint,
        kind: key.kind,
        comment: key.comment,
        line: u32::try_from(key.line).unwrap_or(u32::MAX),
        role: grant.as_ref().map(|grant| grant.role),
        apps: grant.map(|grant| grant.apps),
        from: key.from,
        expires: key.expires,
        problem,
    }
}

fn not_a_key(error: GivenKeyError) -> Failure {
    let failure = Failure::from_error(FailureKind::Config, &error);
    match error {
        GivenKeyError::Private => failure.hint("give the public one: the file that ends in .pub"),
        GivenKeyError::NotAKey => failure.hint("give the file that ends in .pub, as ssh-keygen wrote it"),
        GivenKeyError::Kind => failure.hint("make another: ssh-keygen -t ed25519"),
    }
}

async fn tell(agent: &Agent, who: &Who, what: &str, key: &KeyInfo, outcome: &str) -> Result<(), Failure> {
    let rights = match (&key.role, &key.apps) {
        (Some(role), Some(apps)) => format!(" ({role} for {apps})"),
        _ => String::new(),
    };
    audit::write(agent, who, None, format!("{what} {}{rights}", key.fingerprint), outcome).await
}

#[cfg(test)]
mod tests;
