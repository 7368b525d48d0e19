//! Keys shown to a server, one at a time.

use crate::{
    client::Client,
    error::{SshError, Stage},
    key_agent::KeyAgent,
    target::Hop,
    tried::{Tried, TriedOutcome},
};
use russh::client::{AuthResult, Handle};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, agent::AgentIdentity};
use russh::{AgentAuthError, MethodKind, SendError};
use std::{sync::Arc, time::Duration};

/// Why no more keys are shown.
pub enum Stop {
    /// There are no more.
    Over,
    /// The server hung up.
    Ended,
    Again,
    Failed(Box<SshError>),
}

impl From<SshError> for Stop {
    fn from(error: SshError) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// A connection that is being authenticated.
pub struct Showing<'a> {
    pub handle: &'a mut Handle<Client>,
    pub hop: &'a Hop,
    pub step: Duration,
    /// The hash for RSA signatures, once the server was asked.
    pub rsa: Option<Option<HashAlg>>,
    pub tried: Vec<Tried>,
}

impl Showing<'_> {
    pub async fn show_agent_key(
        &mut self,
        agent: &mut KeyAgent,
        name: &str,
        key: &PublicKey,
    ) -> Result<bool, Stop> {
        let hash = self.rsa_hash(&key.algorithm()).await?;
        let signing = self.handle.authenticate_publickey_with(&self.hop.user, key.clone(), hash, agent);
        // The agent may ask the person to touch or confirm.
        match tokio::time::timeout(self.step.saturating_mul(3), signing).await {
            Ok(Ok(result)) => self.weigh(name, Some(key), result),
            Ok(Err(AgentAuthError::Send(_))) => {
                self.note(name, Some(key), TriedOutcome::Unanswered);
                Err(Stop::Ended)
            }
            Ok(Err(AgentAuthError::Key(_))) => {
                self.note(name, Some(key), TriedOutcome::NotSigned);
                Ok(false)
            }
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Signs with a key; whether the server took it.
    pub async fn show(&mut self, name: &str, key: &Arc<PrivateKey>) -> Result<bool, Stop> {
        let hash = self.rsa_hash(&key.algorithm()).await?;
        let key_with_hash = PrivateKeyWithHashAlg::new(key.clone(), hash);
        let signing = self.handle.authenticate_publickey(&self.hop.user, key_with_hash);
        match tokio::time::timeout(self.step, signing).await {
            Ok(Ok(result)) => self.weigh(name, Some(key.public_key()), result),
            Ok(Err(_)) => {
                self.note(name, Some(key.public_key()), TriedOutcome::Unanswered);
                Err(Stop::Ended)
            }
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Asks whether the server would take a key, without signing.
    pub async fn would_take(&mut self, name: &str, key: &PublicKey) -> Result<bool, Stop> {
        let hash = self.rsa_hash(&key.algorithm()).await?;
        let mut probe = Probe;
        let asking = self.handle.authenticate_publickey_with(&self.hop.user, key.clone(), hash, &mut probe);
        match tokio::time::timeout(self.step, asking).await {
            Ok(Ok(result)) => self.weigh(name, Some(key), result),
            Ok(Err(Probed::Acceptable)) => Ok(true),
            Ok(Err(Probed::Gone)) => {
                self.note(name, Some(key), TriedOutcome::Unanswered);
                Err(Stop::Ended)
            }
            Err(_) => Err(self.timed_out()),
        }
    }

    fn weigh(&mut self, name: &str, key: Option<&PublicKey>, result: AuthResult) -> Result<bool, Stop> {
        match result {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { partial_success: true, .. } => {
                self.note(name, key, TriedOutcome::NotEnough);
                Err(Stop::Over)
            }
            AuthResult::Failure { remaining_methods, .. } => {
                self.note(name, key, TriedOutcome::Refused);
                match (remaining_methods.is_empty(), remaining_methods.contains(&MethodKind::PublicKey)) {
                    // So russh says that the connection is gone.
                    (true, _) => Err(Stop::Ended),
                    (false, false) => Err(SshError::NoPublicKeys { place: self.hop.place() }.into()),
                    (false, true) => Ok(false),
                }
            }
        }
    }

    /// The hash to sign with: SHA-2, as much as the server takes.
    async fn rsa_hash(&mut self, algorithm: &Algorithm) -> Result<Option<HashAlg>, Stop> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        if let Some(hash) = self.rsa {
            return Ok(hash);
        }
        let best = match tokio::time::timeout(self.step, self.handle.best_supported_rsa_hash()).await {
            Ok(Ok(best)) => best,
            Ok(Err(_)) => return Err(Stop::Ended),
            Err(_) => return Err(self.timed_out()),
        };
        // SHA-1 is never used: a server that wants it refuses the key, and says so.
        let hash = Some(best.flatten().unwrap_or(HashAlg::Sha512));
        self.rsa = Some(hash);
        Ok(hash)
    }

    pub fn note(&mut self, name: &str, key: Option<&PublicKey>, outcome: TriedOutcome) {
        let fingerprint = key.map(|key| key.fingerprint(HashAlg::Sha256).to_string());
        self.tried.push(Tried { key: name.to_owned(), fingerprint, outcome });
    }

    fn timed_out(&self) -> Stop {
        let seconds = self.step.as_secs();
        let (address, during) = (self.hop.address(), Stage::Login);
        SshError::TimedOut { address, during, doing: "checking a key", seconds }.into()
    }
}

/// A signer that signs nothing: being asked is the answer.
struct Probe;

enum Probed {
    Acceptable,
    Gone,
}

impl From<SendError> for Probed {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for Probe {
    type Error = Probed;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        _: Vec<u8>,
    ) -> Result<Vec<u8>, Probed> {
        Err(Probed::Acceptable)
    }
}
