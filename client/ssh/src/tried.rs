//! Keys that were tried, and what came of it.

use std::fmt;

/// A key that a server was shown, or could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its file, or where else it is from.
    pub key: String,
    pub fingerprint: Option<String>,
    pub outcome: TriedOutcome,
}

/// What came of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriedOutcome {
    Refused,
    /// The connection ended while it was shown.
    Unanswered,
    /// Accepted, but the server wants something more.
    NotEnough,
    /// It is encrypted, and its passphrase was not given.
    Locked,
    /// The key agent would not sign.
    NotSigned,
    /// The file has the public half, and no key agent the other.
    PublicOnly,
    Exposed,
    Malformed,
    Unreadable,
}

impl TriedOutcome {
    /// What to do about it, for the key `key`.
    pub(crate) fn remedy(self, key: &str) -> Option<String> {
        match self {
            Self::Refused | Self::Unanswered => None,
            Self::NotEnough => {
                Some("let the server ask for this key alone (AuthenticationMethods publickey)".into())
            }
            Self::Locked | Self::PublicOnly => Some(format!("load it into your key agent: `ssh-add {key}`")),
            Self::NotSigned => Some("confirm the use of the key where your key agent asks for it".into()),
            Self::Exposed => Some(format!("run `chmod 600 {key}`")),
            Self::Malformed => Some(
                "name a private key in OpenSSH's format; `ssh-keygen -p -f FILE` rewrites an older one"
                    .into(),
            ),
            Self::Unreadable => Some("see to it that you may read the key's file".into()),
        }
    }
}

impl fmt::Display for TriedOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "refused",
            Self::Unanswered => "no answer",
            Self::NotEnough => "accepted, but the server wants more than a key",
            Self::Locked => "it is encrypted, and its passphrase was not given",
            Self::NotSigned => "the key agent did not sign with it",
            Self::PublicOnly => "only its public half is there, and no key agent has the other",
            Self::Exposed => "others can read the file",
            Self::Malformed => "it is no private key that can be read",
            Self::Unreadable => "the file cannot be read",
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fingerprint {
            Some(fingerprint) => write!(formatter, "{} ({fingerprint}): {}", self.key, self.outcome),
            None => write!(formatter, "{}: {}", self.key, self.outcome),
        }
    }
}
