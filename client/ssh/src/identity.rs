//! Private keys in files.

use crate::{private_file, secret::Secret, tried::TriedOutcome};
use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

const FILE_BYTES: u64 = 256 * 1024;

/// A key file, as far as it can be read without a passphrase.
#[derive(Debug, Clone)]
pub struct Identity {
    pub file: PathBuf,
    /// Unknown only of encrypted keys in old formats without a `.pub` beside them.
    pub public: Option<PublicKey>,
    pub private: Private,
}

#[derive(Debug, Clone)]
pub enum Private {
    Open(Arc<PrivateKey>),
    /// The file's text: it is decrypted when it is needed.
    Locked(Secret),
    /// The file has the public half alone: only a key agent can have the other.
    Elsewhere,
    Unusable(TriedOutcome),
}

impl Identity {
    /// Reads a key file; `None` where there is none.
    pub fn load(file: &Path) -> io::Result<Option<Self>> {
        let open = match fs::File::open(file) {
            Ok(open) => open,
            // The private half may be in an agent alone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(public_half(file).map(|key| Self::new(file, Some(key), Private::Elsewhere)));
            }
            Err(error) => return Err(error),
        };
        let exposed = private_file::exposed(&open.metadata()?);
        let mut text = String::new();
        open.take(FILE_BYTES).read_to_string(&mut text)?;
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            return Ok(Some(Self::new(file, Some(public), Private::Elsewhere)));
        }
        if exposed {
            let private = Private::Unusable(TriedOutcome::Exposed);
            return Ok(Some(Self::new(file, public_half(file), private)));
        }
        Ok(Some(Self::parse(file, text)))
    }

    fn parse(file: &Path, text: String) -> Self {
        match PrivateKey::from_openssh(&text) {
            Ok(key) if key.is_encrypted() => {
                let public = key.public_key().clone();
                Self::new(file, Some(public), Private::Locked(Secret::new(text)))
            }
            Ok(key) => Self::new(file, Some(key.public_key().clone()), Private::Open(Arc::new(key))),
            Err(_) if locked_in_an_old_format(&text) => {
                Self::new(file, public_half(file), Private::Locked(Secret::new(text)))
            }
            Err(_) => match decode_secret_key(&text, None) {
                Ok(key) => Self::new(file, Some(key.public_key().clone()), Private::Open(Arc::new(key))),
                Err(_) => Self::new(file, public_half(file), Private::Unusable(TriedOutcome::Malformed)),
            },
        }
    }

    fn new(file: &Path, public: Option<PublicKey>, private: Private) -> Self {
        Self { file: file.into(), public, private }
    }
}

/// Encrypted as PKCS #8, or as the one kind of older PEM that can be decrypted.
pub fn locked_in_an_old_format(text: &str) -> bool {
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("DEK-Info: AES-128-CBC,")
}

/// The key in `file` with `.pub` after it.
fn public_half(file: &Path) -> Option<PublicKey> {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PublicKey::read_openssh_file(Path::new(&name)).ok()
}

/// Decrypts a key's text; `None` where the passphrase is wrong. The key derivation takes its time: it runs elsewhere.
pub async fn unlock(text: &Secret, passphrase: &Secret) -> Option<Arc<PrivateKey>> {
    let (text, passphrase) = (text.clone(), passphrase.clone());
    let decoding =
        tokio::task::spawn_blocking(move || decode_secret_key(text.expose(), Some(passphrase.expose())).ok());
    decoding.await.ok().flatten().filter(|key| !key.is_encrypted()).map(Arc::new)
}
