//! Who may come in: a file in the format of OpenSSH's `authorized_keys`.
//!
//! **Invariants**
//! - The file is read at every authentication, so that taking a line out acts at once.
//! - A file that others can write lets nobody in.
//! - A line lets in only what is understood whole; see [`crate::key_options`].

use crate::key_options::{KeyOptionError, KeyOptions, options_length};
use jiff::Timestamp;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use std::{
    fs, io,
    io::Read,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Far above what anybody lists by hand.
const FILE_BYTES: u64 = 1024 * 1024;
const RSA_BITS: u32 = 2048;

/// The line that lets a key in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub comment: String,
    pub command: Option<String>,
}

/// Why a key is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    #[error("no line of {} has this key", file.display())]
    Unknown { file: PathBuf },
    #[error("line {line} of {} has this key, but {why}", file.display())]
    Line { file: PathBuf, line: usize, why: KeyOptionError },
    #[error("{} cannot be read", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error(
        "{} can be written by others (mode {mode:04o}); nobody is let in until `chmod go-w` is run on it",
        path.display()
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error("{} belongs to user {owner}, neither root nor the agent's user; nobody is let in until `chown` is run on it", path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{} is longer than {FILE_BYTES} bytes", file.display())]
    TooLong { file: PathBuf },
    #[error("the key is of a kind that is not accepted: ed25519, ECDSA and RSA from {RSA_BITS} bits are")]
    Kind,
}

/// Looks for `key` in `file`; the first line that lets it in counts.
pub fn look_up(file: &Path, key: &PublicKey, from: IpAddr, now: Timestamp) -> Result<Grant, Denial> {
    if !acceptable(key) {
        return Err(Denial::Kind);
    }
    let text = read(file)?;
    let mut denial = Denial::Unknown { file: file.into() };
    for (number, line) in text.lines().enumerate() {
        match Line::parse(line) {
            Some(line) if line.key.key_data() == key.key_data() => match line.admit(from, now) {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => {}
                Err(why) => denial = Denial::Line { file: file.into(), line: number + 1, why },
            },
            _ => {}
        }
    }
    Err(denial)
}

pub(crate) fn acceptable(key: &PublicKey) -> bool {
    match key.key_data() {
        KeyData::Ed25519(_) | KeyData::Ecdsa(_) => true,
        KeyData::Rsa(rsa) => rsa.key_size() >= RSA_BITS,
        _ => false,
    }
}

/// Reads the file, if it is one that only its owner can have written.
fn read(path: &Path) -> Result<String, Denial> {
    let unreadable = |source| Denial::Unreadable { file: path.into(), source };
    let file = fs::File::open(path).map_err(unreadable)?;
    check(path, &file.metadata().map_err(unreadable)?)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        check(folder, &fs::metadata(folder).map_err(unreadable)?)?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Denial::TooLong { file: path.into() });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), Denial> {
    let owner = metadata.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Err(Denial::Owner { path: path.into(), owner });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Denial::Writable { path: path.into(), mode });
    }
    Ok(())
}

/// A line with a key.
pub(crate) struct Line {
    pub key: PublicKey,
    pub options: Result<KeyOptions, KeyOptionError>,
}

impl Line {
    /// `None` for blank lines, comments, and what is no key.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        if let Some(key) = read_key(line) {
            return Some(Self { key, options: Ok(KeyOptions::default()) });
        }
        let (options, rest) = line.split_at_checked(options_length(line)?)?;
        Some(Self { key: read_key(rest.trim_start())?, options: KeyOptions::parse(options) })
    }

    /// What the line grants; `None` where it speaks of certificates.
    fn admit(self, from: IpAddr, now: Timestamp) -> Result<Option<Grant>, KeyOptionError> {
        let options = self.options?;
        if options.certificate_authority {
            return Ok(None);
        }
        options.admit(from, now)?;
        let comment = self.key.comment().as_str_lossy().to_owned();
        Ok(Some(Grant { comment, command: options.command }))
    }
}

pub(crate) fn read_key(text: &str) -> Option<PublicKey> {
    let kind = text.split([' ', '\t']).next()?;
    if matches!(Algorithm::new(kind), Err(_) | Ok(Algorithm::Other(_))) {
        return None;
    }
    // Blanks other than single spaces are allowed between the parts.
    let mut parts = text.split_whitespace();
    let (kind, key) = (parts.next()?, parts.next()?);
    let comment = parts.collect::<Vec<_>>().join(" ");
    PublicKey::from_openssh(format!("{kind} {key} {comment}").trim_end()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{HashAlg, PrivateKey};
    use std::os::unix::fs::PermissionsExt;

    struct Place {
        _folder: tempfile::TempDir,
        file: PathBuf,
    }

    fn place(text: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorized_keys");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Place { _folder: folder, file }
    }

    fn key() -> PublicKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .unwrap()
            .public_key()
            .clone()
    }

    fn ask(place: &Place, key: &PublicKey) -> Result<Grant, Denial> {
        look_up(&place.file, key, "127.0.0.1".parse().unwrap(), Timestamp::now())
    }

    #[test]
    fn a_listed_key_comes_in_with_its_comment_and_command() {
        let (a, b) = (key(), key());
        let text = format!(
            "# people\n\n  {}\tAda of  home\nrestrict,command=\"wharfd connect --read\" {} bob@ci\r\n",
            a.to_openssh().unwrap(),
            b.to_openssh().unwrap()
        );
        let place = place(&text);
        assert_eq!(ask(&place, &a).unwrap(), Grant { comment: "Ada of home".into(), command: None });
        let grant = ask(&place, &b).unwrap();
        assert_eq!(
            (grant.comment.as_str(), grant.command.as_deref()),
            ("bob@ci", Some("wharfd connect --read"))
        );
        assert!(matches!(ask(&place, &key()), Err(Denial::Unknown { .. })));
    }

    #[test]
    fn lines_that_are_not_understood_let_nobody_in_and_say_so() {
        let key = key();
        let text = key.to_openssh().unwrap();
        for (options, shown) in [
            ("shiny", "the option `shiny` is not known"),
            ("from=\"10.0.0.1\"", "its `from` does not allow 127.0.0.1"),
            ("expiry-time=\"19990101\"", "it expired"),
        ] {
            let place = place(&format!("{options} {text}\n"));
            let denial = ask(&place, &key).unwrap_err().to_string();
            assert!(denial.contains("line 1 of") && denial.ends_with(shown), "{denial}");
        }
        assert!(matches!(
            ask(&place(&format!("cert-authority {text}\n")), &key),
            Err(Denial::Unknown { .. })
        ));
        // A later line may still let it in.
        assert!(ask(&place(&format!("shiny {text}\n{text}\n")), &key).is_ok());
    }

    #[test]
    fn a_file_or_folder_that_others_can_write_lets_nobody_in() {
        let key = key();
        let place = place(&key.to_openssh().unwrap());
        fs::set_permissions(&place.file, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(ask(&place, &key), Err(Denial::Writable { mode: 0o620, .. })));
        fs::set_permissions(&place.file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ask(&place, &key).is_ok());
        fs::set_permissions(place.file.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(ask(&place, &key), Err(Denial::Writable { mode: 0o777, .. })));
    }

    #[test]
    fn weak_keys_are_refused() {
        use russh::keys::ssh_encoding::Mpint;
        let mut modulus = vec![0x80; 128];
        modulus[127] = 1;
        let weak = russh::keys::ssh_key::public::RsaPublicKey::new(
            Mpint::from_positive_bytes(&[1, 0, 1]),
            Mpint::from_positive_bytes(&modulus),
        );
        let weak = PublicKey::new(KeyData::Rsa(weak.unwrap()), "");
        assert_eq!(weak.fingerprint(HashAlg::Sha256).algorithm(), HashAlg::Sha256);
        assert!(matches!(ask(&place(&weak.to_openssh().unwrap()), &weak), Err(Denial::Kind)));
    }
}
