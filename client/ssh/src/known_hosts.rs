//! `known_hosts`: which keys a host is known by.
//!
//! Plain, wildcard and hashed names, `[host]:port`, several files, `@revoked`. `@cert-authority` lines are passed over: host
//! certificates are not asked for, so such a line neither admits nor refuses anything.
//!
//! **Invariant**: where a host is known by any key, another key is a *changed* one, also if it is of another type: else
//! whoever stands in between need only show a type that is not listed to be taken for new.

use crate::{config_file::wildcard, private_file};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Far above the largest in use.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
const DEFAULT_PORT: u16 = 22;

/// What the files say of one host.
#[derive(Debug, Clone, Default)]
pub struct KnownHost {
    keys: Vec<KnownKey>,
}

#[derive(Debug, Clone)]
struct KnownKey {
    place: Place,
    key: PublicKey,
    revoked: bool,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    pub line: usize,
}

/// What to make of a key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Known,
    Unknown,
    /// Another key is known: where, and its fingerprint.
    Changed(Place, String),
    Revoked(Place),
}

/// A file that cannot be read or written.
#[derive(Debug)]
pub struct FileError {
    pub file: PathBuf,
    pub source: io::Error,
}

/// The name that a host is listed under.
pub fn listed_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") }
}

impl KnownHost {
    /// Reads what `files` say of `name`. A file that is not there says nothing.
    pub fn load(files: &[PathBuf], name: &str) -> Result<Self, FileError> {
        let mut known = Self::default();
        for file in files {
            let mut bytes = Vec::new();
            match fs::File::open(file).and_then(|open| open.take(FILE_BYTES).read_to_end(&mut bytes)) {
                Ok(_) => known.add(file, &String::from_utf8_lossy(&bytes), name),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(FileError { file: file.clone(), source }),
            }
        }
        Ok(known)
    }

    fn add(&mut self, file: &Path, text: &str, name: &str) {
        for (number, line) in text.lines().enumerate() {
            let Some((marker, patterns, key)) = split_line(line) else { continue };
            let revoked = match marker {
                None => false,
                Some("@revoked") => true,
                Some(_) => continue,
            };
            if matches_patterns(patterns, name)
                && let Ok(key) = PublicKey::from_openssh(key)
            {
                self.keys.push(KnownKey {
                    place: Place { file: file.into(), line: number + 1 },
                    key,
                    revoked,
                });
            }
        }
    }

    /// Judges a key that the host shows.
    pub fn judge(&self, key: &PublicKey) -> Verdict {
        let same = |known: &&KnownKey| known.key.key_data() == key.key_data();
        if let Some(known) = self.keys.iter().filter(|known| known.revoked).find(same) {
            return Verdict::Revoked(known.place.clone());
        }
        let mut listed = self.keys.iter().filter(|known| !known.revoked);
        if listed.clone().any(|known| same(&known)) {
            return Verdict::Known;
        }
        // The line that the person has to look at: one of the same type, if there is one.
        let of_type = listed.clone().find(|known| known.key.algorithm() == key.algorithm());
        match of_type.or_else(|| listed.next()) {
            Some(known) => {
                Verdict::Changed(known.place.clone(), known.key.fingerprint(HashAlg::Sha256).to_string())
            }
            None => Verdict::Unknown,
        }
    }

    /// Key algorithms to ask for: those of the known keys first, so that a server with several shows the one that is known.
    pub fn algorithms(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let is_known = |algorithm: &&Algorithm| {
            self.keys.iter().any(|known| !known.revoked && same_type(&known.key.algorithm(), algorithm))
        };
        let known = all.iter().filter(is_known);
        known.chain(all.iter().filter(|algorithm| !is_known(algorithm))).cloned().collect()
    }
}

/// RSA is one type of key, whatever hash it signs with.
fn same_type(a: &Algorithm, b: &Algorithm) -> bool {
    matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || a == b
}

/// Adds a key to a file, made where it is missing.
pub fn learn(file: &Path, name: &str, key: &PublicKey, hashed: bool) -> Result<(), FileError> {
    let failed = |source| FileError { file: file.into(), source };
    let key = key.to_openssh().map_err(|error| failed(io::Error::other(error)))?;
    // Without the comment, which the server does not send anyway.
    let key: Vec<&str> = key.split_whitespace().take(2).collect();
    let name = if hashed { hash(name, &rand::random::<[u8; 20]>()) } else { name.to_owned() };
    private_file::append(file, &format!("{name} {}\n", key.join(" "))).map_err(failed)
}

/// Marker, host patterns and key of a line.
fn split_line(line: &str) -> Option<(Option<&str>, &str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (first, rest) = line.split_once([' ', '\t'])?;
    if !first.starts_with('@') {
        return Some((None, first, rest.trim_start()));
    }
    let (patterns, rest) = rest.trim_start().split_once([' ', '\t'])?;
    Some((Some(first), patterns, rest.trim_start()))
}

fn matches_patterns(patterns: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(negated, name) => return false,
            Some(_) => {}
            None if pattern.starts_with("|1|") => matched |= matches_hash(pattern, name),
            None => matched |= wildcard(pattern, name),
        }
    }
    matched
}

/// `|1|salt|HMAC-SHA1(salt, name)`, both in base64.
fn matches_hash(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('|').skip(2);
    let (Some(salt), Some(digest), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(salt), Ok(digest)) = (BASE64.decode(salt.as_bytes()), BASE64.decode(digest.as_bytes())) else {
        return false;
    };
    mac(&salt, name).is_some_and(|mac| mac.verify_slice(&digest).is_ok())
}

fn hash(name: &str, salt: &[u8]) -> String {
    match mac(salt, name) {
        Some(mac) => {
            format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(&mac.finalize().into_bytes()))
        }
        None => name.to_owned(),
    }
}

fn mac(salt: &[u8], name: &str) -> Option<Hmac<Sha1>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{EcdsaCurve, PrivateKey};

    fn key(algorithm: Algorithm) -> PublicKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap().public_key().clone()
    }

    fn ed25519() -> PublicKey {
        key(Algorithm::Ed25519)
    }

    fn known(text: &str, name: &str) -> KnownHost {
        let mut known = KnownHost::default();
        known.add(Path::new("known_hosts"), text, name);
        known
    }

    #[test]
    fn names_in_every_form() {
        let key = ed25519();
        let line = key.to_openssh().unwrap();
        let hashed = hash("[home.example]:2222", b"any salt that is");
        for (patterns, name, expected) in [
            ("home.example", "home.example", true),
            ("Home.Example", "home.example", true),
            ("a,home.example,b", "home.example", true),
            ("*.example", "home.example", true),
            ("*.example,!home.example", "home.example", false),
            ("home.example", "[home.example]:2222", false),
            ("[home.example]:2222", "[home.example]:2222", true),
            (&hashed, "[home.example]:2222", true),
            (&hashed, "home.example", false),
            ("|1|rubbish", "home.example", false),
        ] {
            let verdict = known(&format!("# x\n\n{patterns} {line}\n"), name).judge(&key);
            assert_eq!(verdict, if expected { Verdict::Known } else { Verdict::Unknown }, "{patterns}");
        }
    }

    #[test]
    fn a_line_that_ssh_keygen_hashed_is_found() {
        // Made by `ssh-keygen -H` of "example.com"; from russh's own test.
        let text = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
        assert_eq!(known(text, "example.com").keys.len(), 1);
        assert_eq!(known(text, "example.org").keys.len(), 0);
    }

    #[test]
    fn a_key_of_another_type_is_a_changed_one_too() {
        let (old, new) = (key(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }), ed25519());
        let known = known(&format!("\nhome {}\n", old.to_openssh().unwrap()), "home");
        let Verdict::Changed(place, fingerprint) = known.judge(&new) else { panic!("not changed") };
        assert_eq!(place.line, 2);
        assert_eq!(fingerprint, old.fingerprint(HashAlg::Sha256).to_string());
        let order = known.algorithms(&[Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }]);
        assert_eq!(order.first(), Some(&old.algorithm()));
    }

    #[test]
    fn a_revoked_key_is_refused_though_it_is_listed_and_authorities_say_nothing() {
        let key = ed25519();
        let line = key.to_openssh().unwrap();
        let revoked = known(&format!("home {line}\n@revoked * {line}\n"), "home");
        assert!(matches!(revoked.judge(&key), Verdict::Revoked(place) if place.line == 2));
        let authority = known(&format!("@cert-authority * {line}\n"), "home");
        assert_eq!(authority.judge(&key), Verdict::Unknown);
        // What is only revoked makes the host no known one.
        assert_eq!(known(&format!("@revoked * {line}\n"), "home").judge(&ed25519()), Verdict::Unknown);
    }

    #[test]
    fn what_is_learned_is_known_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/known_hosts");
        let (one, two) = (ed25519(), ed25519());
        learn(&file, "one", &one, false).unwrap();
        // As an editor may leave it.
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.trim_end()).unwrap();
        learn(&file, &listed_name("TWO", 2222), &two, true).unwrap();
        let files = [folder.path().join("missing"), file.clone()];
        assert_eq!(KnownHost::load(&files, "one").unwrap().judge(&one), Verdict::Known);
        assert_eq!(KnownHost::load(&files, "[two]:2222").unwrap().judge(&two), Verdict::Known);
        assert!(!fs::read_to_string(&file).unwrap().contains("two"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        }
    }
}
