//! Files that are secrets, by name and by content.
//!
//! **Invariant**: nothing here shows a file's content; only its path and the rule that took it leave this module.

use memchr::memmem;
use std::fmt;
use wharf_proto::RelPath;

/// A file that was not packed since it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub path: RelPath,
    pub reason: Reason,
}

/// Why a file is taken for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `.env`, `.env.*`
    EnvFile,
    /// Named as private keys are.
    KeyName,
    /// Holds a private key.
    KeyContent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvFile => "env file",
            Self::KeyName => "named like a private key",
            Self::KeyContent => "holds a private key",
        })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.reason)
    }
}

/// A longer file is no private key.
pub(crate) const SNIFF_FILE_BYTES: u64 = 64 * 1024;
/// Where a private key begins at the latest: what OpenSSL writes before it (`Bag Attributes`, a certificate) is shorter.
pub(crate) const SNIFF_HEAD_BYTES: usize = 16 * 1024;

/// Names of env files that are meant to be shown.
const ENV_EXAMPLES: [&str; 4] = [".example", ".sample", ".template", ".dist"];
const PUTTY: &[u8] = b"PuTTY-User-Key-File-";
const KEY_NAMES: [&str; 6] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"];
const KEY_ENDINGS: [&str; 8] = [".pem", ".key", ".p12", ".pfx", ".ppk", ".p8", ".jks", ".keystore"];

/// What a file's name says of it.
pub(crate) fn by_name(name: &[u8]) -> Option<Reason> {
    let name = name.to_ascii_lowercase();
    let ends = |ending: &&str| name.ends_with(ending.as_bytes());
    if name == b".env" || name.starts_with(b".env.") {
        return (!ENV_EXAMPLES.iter().any(ends)).then_some(Reason::EnvFile);
    }
    let is_key = KEY_NAMES.iter().any(|key| key.as_bytes() == name) || KEY_ENDINGS.iter().any(ends);
    is_key.then_some(Reason::KeyName)
}

/// Whether the head of a small file begins a private key on a line of its own. Code that mentions such a line in a
/// string or comment does not.
pub(crate) fn holds_private_key(head: &[u8]) -> bool {
    // Nearly every file ends here, and quickly.
    if memmem::find(head, b"PRIVATE KEY").is_none() && memmem::find(head, PUTTY).is_none() {
        return false;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).any(|line| {
        line.starts_with(PUTTY)
            || (line.starts_with(b"-----BEGIN ")
                && (line.ends_with(b"PRIVATE KEY-----") || line.ends_with(b"PRIVATE KEY BLOCK-----")))
    })
}

/// Whether all of a `.pem` is certificates and public keys: a database's CA bundle, which images need.
pub(crate) fn is_public_pem(name: &[u8], content: &[u8]) -> bool {
    const PUBLIC: [&[u8]; 6] = [
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN TRUSTED CERTIFICATE-----",
        b"-----BEGIN PUBLIC KEY-----",
        b"-----BEGIN RSA PUBLIC KEY-----",
        b"-----BEGIN X509 CRL-----",
        b"-----BEGIN DH PARAMETERS-----",
    ];
    let mut blocks = content
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.starts_with(b"-----BEGIN"))
        .peekable();
    name.to_ascii_lowercase().ends_with(b".pem")
        && blocks.peek().is_some()
        && blocks.all(|line| PUBLIC.contains(&line))
}

/// A longer `.pem` is not looked into, and stays a secret.
pub(crate) const PUBLIC_PEM_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for (name, expected) in [
            (".env", Some(Reason::EnvFile)),
            (".env.prod", Some(Reason::EnvFile)),
            (".ENV.Local", Some(Reason::EnvFile)),
            (".env.example", None),
            (".env.prod.sample", None),
            (".env.template", None),
            (".env.dist", None),
            (".env.example.local", Some(Reason::EnvFile)),
            (".envrc", None),
            ("env", None),
            ("id_rsa", Some(Reason::KeyName)),
            ("id_ed25519", Some(Reason::KeyName)),
            ("id_rsa.pub", None),
            ("server.pem", Some(Reason::KeyName)),
            ("SERVER.KEY", Some(Reason::KeyName)),
            ("upload.keystore", Some(Reason::KeyName)),
            ("keys.ts", None),
            ("monkey", None),
        ] {
            assert_eq!(by_name(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn keys_are_known_by_their_first_line() {
        for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let text = format!("-----BEGIN {kind}PRIVATE KEY-----\nMIIE\n");
            assert!(holds_private_key(text.as_bytes()), "{kind}");
            assert!(
                holds_private_key(format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes()),
                "{kind}"
            );
        }
        assert!(holds_private_key(b"Bag Attributes\n    x: y\n-----BEGIN PRIVATE KEY-----\n"));
        assert!(holds_private_key(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n"));
        assert!(holds_private_key(b"PuTTY-User-Key-File-3: ssh-ed25519\n"));
        assert!(!holds_private_key(b"-----BEGIN CERTIFICATE-----\n"));
        assert!(!holds_private_key(b"if head.contains(\"-----BEGIN RSA PRIVATE KEY-----\") {\n"));
    }

    #[test]
    fn a_bundle_of_certificates_is_no_secret() {
        let bundle =
            b"# CA\n-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n";
        assert!(is_public_pem(b"global-bundle.pem", bundle));
        assert!(!is_public_pem(b"server.key", bundle));
        assert!(!is_public_pem(b"a.pem", b"who knows"));
        let both = [bundle.as_slice(), b"-----BEGIN PRIVATE KEY-----\n"].concat();
        assert!(!is_public_pem(b"a.pem", &both));
    }
}
