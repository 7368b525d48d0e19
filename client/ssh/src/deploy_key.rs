//! A key of Wharf's own, for one way in alone.
//!
//! **Invariant**: the file is its owner's alone, and either whole or not there; one that is there is never replaced.

use crate::{identity::Identity, identity::Private, private_file};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use std::{io, path::Path};

/// The public half of a key, as `authorized_keys` has it, without a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicLine(String);

impl PublicLine {
    /// `ssh-ed25519 AAAA…`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(key: &PublicKey) -> io::Result<Self> {
        let mut key = key.clone();
        key.set_comment("");
        Ok(Self(key.to_openssh().map_err(io::Error::other)?.trim().to_owned()))
    }
}

/// The public half of the key in `file`; `None` where there is no such file.
///
/// # Errors
/// The file cannot be read, or is no key that can be used without a passphrase.
pub fn public_line(file: &Path) -> io::Result<Option<PublicLine>> {
    match Identity::load(file)? {
        None => Ok(None),
        Some(Identity { private: Private::Open(key), .. }) => PublicLine::of(key.public_key()).map(Some),
        Some(Identity { private: Private::Unusable(why), .. }) => Err(io::Error::other(why.to_string())),
        Some(_) => Err(io::Error::other("it is no private key without a passphrase")),
    }
}

/// Makes a new ed25519 key in `file`, and the folder where it is missing.
///
/// # Errors
/// There is one already, or the disk fails.
pub fn create(file: &Path, comment: &str) -> io::Result<PublicLine> {
    let mut key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .map_err(io::Error::other)?;
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    private_file::create(file, &text)?;
    PublicLine::of(key.public_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys/home");
        assert_eq!(public_line(&file).unwrap(), None);
        let made = create(&file, "wharf ada@laptop").unwrap();
        assert!(made.as_str().starts_with("ssh-ed25519 AAAA") && made.as_str().split(' ').count() == 2);
        assert_eq!(public_line(&file).unwrap(), Some(made));
        let before = std::fs::read(&file).unwrap();
        assert!(create(&file, "again").is_err());
        assert_eq!(std::fs::read(&file).unwrap(), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        }
    }
}
