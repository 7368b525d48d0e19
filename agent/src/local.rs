//! The agent's own socket: for `wharfd backup APP` on the server itself, and for `wharfd connect`, by which the server's
//! sshd lets people in.
//!
//! **Invariant**: who connects may do what `wharfd.toml` grants that user, by the kernel's word for who it is; the
//! [`Preamble`] can only lower it.

use crate::config::Config;
use crate::conversation::{Doorman, Guest};
use crate::passwd;
use crate::preamble::{self, Preamble};
use crate::seats::{Party, Seats};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wharf_access::Grant;
use wharf_agent_ssh::Conversation;

/// Connections at once that have not said for whom they are.
const UNNAMED: usize = 32;
/// After an `accept` that failed.
const BREATHER: Duration = Duration::from_millis(200);
/// How long who connected may take to say for whom.
const PREAMBLE_WITHIN: Duration = Duration::from_secs(10);

/// Listens until the listener is dropped with the runtime.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(config: &Config, doorman: Arc<Doorman>) -> io::Result<()> {
    let path = config.socket();
    // Everybody may knock where some may come in; who it is decides.
    let mode = if config.socket.is_empty() { 0o600 } else { 0o666 };
    let listener = bind(&path, mode)?;
    tokio::spawn(accept(listener, doorman));
    Ok(())
}

fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        // Whoever made it is gone: the agent's lock is ours.
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        // Something else is not ours to remove; binding says that it is there.
        Ok(_) | Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        // Below `/run` it is gone after each reboot.
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, doorman: Arc<Doorman>) {
    let (unnamed, seats) = (Arc::new(Semaphore::new(UNNAMED)), Seats::default());
    loop {
        let Ok(place) = Arc::clone(&unnamed).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a local connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let Some((uid, most)) = granted(&stream, &doorman.agent.config) else { continue };
        let (doorman, seats) = (Arc::clone(&doorman), seats.clone());
        tokio::spawn(async move {
            let Some((stream, preamble)) = introduced(stream, uid).await else { return };
            drop(place);
            hold(stream, guest(uid, &preamble, &most), party(uid, &preamble), &seats, &doorman).await;
        });
    }
}

/// Who it is, and the most that one may do.
fn granted(stream: &UnixStream, config: &Config) -> Option<(u32, Grant)> {
    let uid = stream.peer_cred().ok()?.uid();
    let most = config.most_of(uid);
    if most.is_none() {
        tracing::warn!(uid, "a local connection of somebody else: turned away");
    }
    Some((uid, most?))
}

/// The connection, once it has said for whom it is.
async fn introduced(mut stream: UnixStream, uid: u32) -> Option<(UnixStream, Preamble)> {
    match timeout(PREAMBLE_WITHIN, preamble::read(&mut stream)).await {
        Ok(Ok(preamble)) => return Some((stream, preamble)),
        Ok(Err(error)) => tracing::warn!(uid, %error, "a local connection that does not say for whom"),
        Err(_) => tracing::warn!(uid, "a local connection that says nothing"),
    }
    None
}

async fn hold(stream: UnixStream, guest: Guest, party: Party, seats: &Seats, doorman: &Doorman) {
    let (conversation, ends) = match Conversation::over_socket(stream) {
        Ok(both) => both,
        Err(error) => return tracing::warn!(%error, "a local connection that cannot be watched"),
    };
    match seats.take(party) {
        Ok(_seat) => doorman.hold(guest, conversation).await,
        Err(full) => doorman.hold(Guest { grant: Err(full), ..guest }, conversation).await,
    }
    let _ = ends.finish().await;
}

fn party(uid: u32, preamble: &Preamble) -> Party {
    match preamble.from {
        Some(_) => Party::Key(uid, preamble.key_name.clone()),
        None => Party::Local(uid),
    }
}

/// What the audit says of it is the program's word; of whom it is, and the most that it may do, the kernel's.
fn guest(uid: u32, preamble: &Preamble, most: &Grant) -> Guest {
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(128).collect::<String>();
    let name = passwd::by_uid(uid).map_or_else(|| format!("uid {uid}"), |user| user.name);
    let key = match (&preamble.key_name, &preamble.from) {
        (Some(key), _) => format!("{}, by sshd as {name}", plain(key)),
        (None, Some(_)) => format!("not named, by sshd as {name}"),
        (None, None) => format!("none: uid {uid} on the server"),
    };
    let from = preamble.from.as_deref().map_or_else(|| "the server itself".to_owned(), plain);
    Guest { key, from, grant: Ok(most.and(&preamble::grant(preamble))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_access::ForcedCommand;
    use wharf_proto::{Apps, Role};

    #[test]
    fn what_is_said_only_lowers_what_the_user_may() {
        let most = Grant { role: Role::Deploy, apps: Apps::one("blog".parse().unwrap()) };
        for (command, role, apps) in [
            ("wharfd connect", Role::Deploy, most.apps.clone()),
            ("wharfd connect --role admin --app '*'", Role::Deploy, most.apps.clone()),
            ("wharfd connect --role read --app blog --app shop", Role::Read, most.apps.clone()),
            ("wharfd connect --app shop", Role::Deploy, Apps::Named([].into())),
        ] {
            let said = ForcedCommand::parse(command).unwrap();
            let preamble = preamble::of_connect(said, Some("10.0.0.1:9".into()));
            assert_eq!(guest(0, &preamble, &most).grant.unwrap(), Grant { role, apps }, "{command}");
        }
    }
}
