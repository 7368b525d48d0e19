//! The person's key agent (`ssh-agent`).

use russh::keys::PublicKey;
use russh::keys::agent::{
    AgentIdentity, AgentSessionBinding,
    client::{AgentClient, AgentStream},
};
use std::{path::Path, time::Duration};

/// The agent may ask the person whether a key may be listed or used.
const LIST: Duration = Duration::from_secs(20);

pub type KeyAgent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

/// The agent at `socket`, bound to the session, with its keys and their comments. An agent that is not there or does not
/// answer has no keys.
pub async fn keys(
    socket: &Path,
    binding: Option<&AgentSessionBinding>,
) -> Option<(KeyAgent, Vec<(PublicKey, String)>)> {
    let listing = async {
        let mut agent = open(socket).await?;
        if let Some(binding) = binding {
            // Older agents do not know it; it only frees keys that are meant for certain hosts.
            if let Err(error) = agent.bind_session(binding, false).await {
                tracing::debug!(%error, "the key agent cannot be bound to a session");
            }
        }
        let identities = agent.request_identities().await?;
        Ok::<_, russh::keys::Error>((agent, identities))
    };
    match tokio::time::timeout(LIST, listing).await {
        Ok(Ok((agent, identities))) => Some((agent, identities.into_iter().filter_map(plain).collect())),
        Ok(Err(error)) => {
            tracing::debug!(socket = %socket.display(), %error, "the key agent has no keys");
            None
        }
        Err(_) => {
            tracing::warn!(socket = %socket.display(), "the key agent does not answer");
            None
        }
    }
}

fn plain(identity: AgentIdentity) -> Option<(PublicKey, String)> {
    match identity {
        AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
        AgentIdentity::Certificate { .. } => None,
    }
}

#[cfg(unix)]
async fn open(socket: &Path) -> Result<KeyAgent, russh::keys::Error> {
    Ok(AgentClient::connect_uds(socket).await?.dynamic())
}

#[cfg(windows)]
async fn open(pipe: &Path) -> Result<KeyAgent, russh::keys::Error> {
    Ok(AgentClient::connect_named_pipe(pipe).await?.dynamic())
}
