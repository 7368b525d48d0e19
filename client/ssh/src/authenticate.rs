//! Proving to a host who we are.
//!
//! **Invariant**: the order is the key that was given as text, alone; else the key agent's keys, those that the
//! configuration names first; then key files. A locked file is opened only after the server has said that it takes the key.

use crate::{
    client::Client,
    error::SshError,
    host_key::Prompt,
    identity::{self, Identity, Private},
    key_agent,
    secret::Secret,
    showing::{Showing, Stop},
    target::Hop,
    tried::TriedOutcome,
};
use russh::client::Handle;
use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

const PASSPHRASES: usize = 3;
/// Keys of an agent that are tried; servers give up sooner.
const AGENT_KEYS: usize = 20;

/// Keys that a person has unlocked, kept for when a connection has to be made anew.
#[derive(Default)]
pub struct Keyring {
    unlocked: HashMap<PathBuf, Arc<PrivateKey>>,
    /// Files whose passphrase nobody gave.
    left_locked: Vec<PathBuf>,
}

/// How it went.
pub enum Outcome {
    In,
    /// The server did not wait for a passphrase; with the key unlocked, a new connection will not need to.
    Again,
}

/// Authenticates to `hop`.
pub async fn authenticate(
    handle: &mut Handle<Client>,
    hop: &Hop,
    keyring: &mut Keyring,
    prompt: &dyn Prompt,
    step: Duration,
) -> Result<Outcome, SshError> {
    let mut showing = Showing { handle, hop, step, rsa: None, tried: Vec::new() };
    let ended = match showing.all(keyring, prompt).await {
        Ok(()) => return Ok(Outcome::In),
        Err(Stop::Again) => return Ok(Outcome::Again),
        Err(Stop::Failed(error)) => return Err(*error),
        Err(Stop::Over) => false,
        Err(Stop::Ended) => true,
    };
    Err(SshError::NotAuthenticated { place: hop.place(), tried: showing.tried, ended })
}

impl Showing<'_> {
    /// Shows key after key; `Ok` when one was taken.
    async fn all(&mut self, keyring: &mut Keyring, prompt: &dyn Prompt) -> Result<(), Stop> {
        if let Some(text) = &self.hop.key_pem {
            let key = read_key_text(text)?;
            return self.show("the key given as text", &key).await.and_then(done_or_over);
        }
        let identities = self.identities()?;
        // First of all what this person has just unlocked: the server may be short of patience.
        for identity in &identities {
            if let Some(key) = keyring.unlocked.get(&identity.file).cloned()
                && self.show(&identity.file.display().to_string(), &key).await?
            {
                return Ok(());
            }
        }
        let in_agent = self.agent_keys(&identities).await?;
        let Some(in_agent) = in_agent else { return Ok(()) };
        for identity in &identities {
            let shown = identity.public.as_ref().is_some_and(|public| in_agent.contains(public));
            if !shown
                && !keyring.unlocked.contains_key(&identity.file)
                && self.file(identity, keyring, prompt).await?
            {
                return Ok(());
            }
        }
        Err(Stop::Over)
    }

    /// The key files that are there.
    fn identities(&mut self) -> Result<Vec<Identity>, SshError> {
        let mut found: Vec<Identity> = Vec::new();
        for file in &self.hop.identities {
            let wrong = |why: String| SshError::Identity { file: file.clone(), why };
            match Identity::load(file) {
                Ok(Some(identity)) => match identity.private {
                    Private::Unusable(why) if self.hop.identities_named => {
                        return Err(SshError::Unusable { file: file.clone(), why });
                    }
                    _ if found.iter().any(|other| other.file == identity.file) => {}
                    _ => found.push(identity),
                },
                Ok(None) if self.hop.identities_named => return Err(wrong("there is no such file".into())),
                Ok(None) => {}
                Err(error) if self.hop.identities_named => return Err(wrong(error.to_string())),
                Err(_) => self.note(&file.display().to_string(), None, TriedOutcome::Unreadable),
            }
        }
        Ok(found)
    }

    /// Shows the agent's keys. `None` when one was taken, else those that were shown.
    async fn agent_keys(&mut self, identities: &[Identity]) -> Result<Option<Vec<PublicKey>>, Stop> {
        let Some(socket) = &self.hop.key_agent else { return Ok(Some(Vec::new())) };
        let Some((mut agent, mut keys)) = key_agent::keys(socket, self.handle.agent_session_binding()).await
        else {
            return Ok(Some(Vec::new()));
        };
        let rank = |key: &PublicKey| {
            identities.iter().position(|identity| {
                identity.public.as_ref().is_some_and(|public| public.key_data() == key.key_data())
            })
        };
        if self.hop.identities_only {
            keys.retain(|(key, _)| rank(key).is_some());
        }
        keys.sort_by_key(|(key, _)| rank(key).unwrap_or(usize::MAX));
        keys.truncate(AGENT_KEYS);
        let mut shown = Vec::new();
        for (key, comment) in keys {
            let name = if comment.is_empty() {
                "a key of the key agent".to_owned()
            } else {
                format!("{comment} of the key agent")
            };
            if self.show_agent_key(&mut agent, &name, &key).await? {
                return Ok(None);
            }
            // Compared with what files have, comments aside.
            shown.extend(
                identities
                    .iter()
                    .filter_map(|identity| identity.public.clone())
                    .filter(|public| public.key_data() == key.key_data()),
            );
        }
        Ok(Some(shown))
    }
    /// Shows a key file; a locked one is unlocked if the server would take it.
    async fn file(
        &mut self,
        identity: &Identity,
        keyring: &mut Keyring,
        prompt: &dyn Prompt,
    ) -> Result<bool, Stop> {
        let name = identity.file.display().to_string();
        let text = match &identity.private {
            Private::Open(key) => return self.show(&name, key).await,
            Private::Elsewhere => {
                self.note(&name, identity.public.as_ref(), TriedOutcome::PublicOnly);
                return Ok(false);
            }
            Private::Unusable(why) => {
                self.note(&name, identity.public.as_ref(), *why);
                return Ok(false);
            }
            Private::Locked(text) => text,
        };
        if keyring.left_locked.contains(&identity.file) {
            self.note(&name, identity.public.as_ref(), TriedOutcome::Locked);
            return Ok(false);
        }
        if let Some(public) = &identity.public
            && !self.would_take(&name, public).await?
        {
            return Ok(false);
        }
        match ask(identity, text, prompt).await {
            Some(key) => {
                keyring.unlocked.insert(identity.file.clone(), key.clone());
                if self.handle.is_closed() {
                    return Err(Stop::Again);
                }
                match self.show(&name, &key).await {
                    // It hung up while the person was typing, and it shows only now.
                    Err(Stop::Ended) => Err(Stop::Again),
                    shown => shown,
                }
            }
            None => {
                keyring.left_locked.push(identity.file.clone());
                self.note(&name, identity.public.as_ref(), TriedOutcome::Locked);
                if self.handle.is_closed() { Err(Stop::Again) } else { Ok(false) }
            }
        }
    }
}

fn done_or_over(taken: bool) -> Result<(), Stop> {
    if taken { Ok(()) } else { Err(Stop::Over) }
}

fn read_key_text(text: &Secret) -> Result<Arc<PrivateKey>, SshError> {
    match decode_secret_key(text.expose().trim_start(), None) {
        Ok(key) if !key.is_encrypted() => Ok(Arc::new(key)),
        Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
            Err(SshError::KeyText { why: "it is encrypted".into() })
        }
        Err(_) if identity::locked_in_an_old_format(text.expose()) => {
            Err(SshError::KeyText { why: "it is encrypted".into() })
        }
        Err(_) => Err(SshError::KeyText { why: "it is no private key".into() }),
    }
}

/// Asks for the passphrase, a few times.
async fn ask(identity: &Identity, text: &Secret, prompt: &dyn Prompt) -> Option<Arc<PrivateKey>> {
    for _ in 0..PASSPHRASES {
        let passphrase = prompt.passphrase(&identity.file).await?;
        if let Some(key) = identity::unlock(text, &passphrase).await {
            return Some(key);
        }
    }
    None
}
