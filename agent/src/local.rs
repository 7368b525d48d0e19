//! The agent's own socket: for `wharfd backup APP` on the server itself, from a crontab or a systemd timer.
//!
//! **Invariant**: only root and the agent's own user are listened to, by the kernel's word and not by the file's mode
//! alone.

use crate::conversation::Doorman;
use crate::layout::Layout;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use wharf_agent_ssh::{Handler, Peer, serve_stream};

/// Conversations at once.
const CONVERSATIONS: usize = 16;
/// After an `accept` that failed.
const BREATHER: Duration = Duration::from_millis(200);

/// Listens until the listener is dropped with the runtime. A socket that cannot be made is told of, and the agent serves
/// on without it: deploys do not need it.
pub fn listen(layout: &Layout, doorman: Arc<Doorman>) {
    let path = layout.socket();
    // Whoever made it is gone: the agent's lock is ours.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    match listener {
        Ok(listener) => drop(tokio::spawn(accept(listener, doorman))),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no local socket: `wharfd backup` will not work")
        }
    }
}

async fn accept(listener: UnixListener, doorman: Arc<Doorman>) {
    let seats = Arc::new(Semaphore::new(CONVERSATIONS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a local connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let Some(peer) = peer(&stream) else { continue };
        let doorman: Arc<dyn Handler> = doorman.clone();
        tokio::spawn(async move {
            let (reader, writer) = stream.into_split();
            let _ = serve_stream(reader, writer, peer, doorman).await;
            drop(seat);
        });
    }
}

/// Who it is, where that is somebody to listen to.
fn peer(stream: &UnixStream) -> Option<Peer> {
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
        tracing::warn!(uid, "a local connection of somebody else: turned away");
        return None;
    }
    Some(Peer {
        key_fingerprint: String::new(),
        key_comment: format!("none: uid {uid} on the server"),
        key_command: None,
        user: String::new(),
        from: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    })
}
