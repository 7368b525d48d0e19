//! The text of an `authorized_keys`, listed and edited.
//!
//! **Invariant**: an edit adds one line or takes out the lines of one key. Every other byte stays: comments, blank lines,
//! and lines that are not understood.

use crate::authorized_keys::{Line, acceptable, read_key};
use jiff::Timestamp;
use russh::keys::{HashAlg, PublicKey};

/// A line that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// From 1.
    pub line: usize,
    pub fingerprint: String,
    pub kind: String,
    pub comment: String,
    pub command: Option<String>,
    pub from: Option<String>,
    pub expires: Option<Timestamp>,
    /// Why the line lets nobody in, whoever comes.
    pub problem: Option<String>,
}

/// The lines of `text` that have a key, in their order.
pub fn list(text: &str, now: Timestamp) -> Vec<ListedKey> {
    let each = text.lines().enumerate();
    each.filter_map(|(at, line)| Some(listed(at + 1, Line::parse(line)?, now))).collect()
}

fn listed(number: usize, line: Line, now: Timestamp) -> ListedKey {
    let options = line.options.as_ref().ok();
    let expires = options.and_then(|options| options.expires());
    let problem = match &line.options {
        Err(error) => Some(error.to_string()),
        Ok(options) if options.certificate_authority => Some("certificates are not accepted".to_owned()),
        Ok(_) if !acceptable(&line.key) => Some("its kind of key is not accepted".to_owned()),
        Ok(_) if expires.is_some_and(|end| now >= end) => Some("it expired".to_owned()),
        Ok(_) => None,
    };
    ListedKey {
        line: number,
        fingerprint: fingerprint(&line.key),
        kind: line.key.algorithm().to_string(),
        comment: line.key.comment().as_str_lossy().to_owned(),
        command: options.and_then(|options| options.command.clone()),
        from: options.and_then(|options| options.from().map(str::to_owned)),
        expires,
        problem,
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A public key that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenKey {
    pub fingerprint: String,
    pub comment: String,
    /// Its kind and its bytes, as a line has them.
    text: String,
}

/// Why a text is no public key that can be let in. It is never quoted: it may be a private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GivenKeyError {
    #[error("that is a private key, which must never leave the machine that it was made on")]
    Private,
    #[error("that is not one public key in OpenSSH's form, on one line")]
    NotAKey,
    #[error("this kind of key is not accepted: ed25519, ECDSA and RSA from 2048 bits are")]
    Kind,
}

impl GivenKey {
    /// Reads a public key on one line, without options.
    ///
    /// # Errors
    /// Anything else, without a word of it.
    pub fn parse(text: &str) -> Result<Self, GivenKeyError> {
        if wharf_proto::key::is_private(text) {
            return Err(GivenKeyError::Private);
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(GivenKeyError::NotAKey) };
        let key = read_key(line).ok_or(GivenKeyError::NotAKey)?;
        if !acceptable(&key) {
            return Err(GivenKeyError::Kind);
        }
        let whole = key.to_openssh().map_err(|_| GivenKeyError::NotAKey)?;
        let text = whole.split(' ').take(2).collect::<Vec<_>>().join(" ");
        Ok(Self { fingerprint: fingerprint(&key), comment: key.comment().as_str_lossy().to_owned(), text })
    }

    /// The line that lets it in: with these options, which are right, and this comment.
    pub fn line(&self, options: &str, comment: &str) -> String {
        let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
        format!("{options} {} {}", self.text, comment.trim()).trim_end().to_owned()
    }
}

/// The text with one more line at its end.
pub fn with_line(text: &str, line: &str) -> String {
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{gap}{line}\n")
}

/// The text without the lines of one key.
pub fn without_key(text: &str, fingerprint_of: &str) -> String {
    let is_it = |line: &&str| Line::parse(line).is_some_and(|line| fingerprint(&line.key) == fingerprint_of);
    text.split_inclusive('\n').filter(|line| !is_it(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{Algorithm, PrivateKey};

    fn key(comment: &str) -> (String, PrivateKey) {
        let mut private = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        private.set_comment(comment);
        (private.public_key().to_openssh().unwrap(), private)
    }

    #[test]
    fn lines_with_keys_are_listed_and_every_other_byte_stays() {
        let (ann, bob) = (key("ann of home").0, key("bob").0);
        let old = format!("expiry-time=\"19990101\",from=\"10.0.0.*\" {}", key("old").0);
        let text =
            format!("# people\r\n\n{ann}\n  what is this?\nrestrict,command=\"x\" {bob}\n{old}\n\t{ann}");
        let now = Timestamp::now();
        let keys = list(&text, now);
        let told: Vec<_> = keys.iter().map(|key| (key.line, key.comment.as_str())).collect();
        assert_eq!(told, [(3, "ann of home"), (5, "bob"), (6, "old"), (7, "ann of home")]);
        assert_eq!(keys[1].command.as_deref(), Some("x"));
        assert_eq!(
            (keys[2].problem.as_deref(), keys[2].from.as_deref()),
            (Some("it expired"), Some("10.0.0.*"))
        );
        let fewer = without_key(&text, &keys[0].fingerprint);
        assert_eq!(fewer, format!("# people\r\n\n  what is this?\nrestrict,command=\"x\" {bob}\n{old}\n"));
        assert_eq!(with_line("# no end", "k"), "# no end\nk\n");
        assert_eq!(with_line("", "k"), "k\n");
    }

    #[test]
    fn a_key_that_was_given_becomes_a_line_that_lets_it_in() {
        let (text, _) = key("ann's laptop");
        let given = GivenKey::parse(&format!("\n{text}\n")).unwrap();
        let line = given.line("restrict,command=\"wharfd connect --role read\"", "evil\nssh-ed25519 AAAA");
        assert_eq!(line.lines().count(), 1);
        let keys = list(&line, Timestamp::now());
        assert_eq!((keys.len(), &keys[0].fingerprint), (1, &given.fingerprint));
        assert_eq!(keys[0].command.as_deref(), Some("wharfd connect --role read"));
    }

    #[test]
    fn what_is_no_public_key_is_refused_without_a_word_of_it() {
        let (public, private) = key("x");
        let private = private.to_openssh(Default::default()).unwrap();
        assert_eq!(GivenKey::parse(&private), Err(GivenKeyError::Private));
        let two = format!("{public}\n{public}");
        let with_options = format!("no-pty {public}");
        for text in ["", "hello", &two, &with_options, "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M="] {
            assert_eq!(GivenKey::parse(text), Err(GivenKeyError::NotAKey), "{text:?}");
        }
    }
}
