//! Secrets in the text of files that are shipped: tokens whose form alone says what they are, and private keys inside of
//! other texts. Keys that are files of their own are left out already, see [`crate::LeftOut`].
//!
//! **Invariants**: what is found is named by file, line and kind; its value goes nowhere. A rule that also fits what is no
//! secret does not belong here: these refuse a deploy.

use memchr::{memchr_iter, memmem};
use regex::bytes::Regex;
use std::{collections::HashSet, fmt, sync::LazyLock};
use wharf_proto::RelPath;

/// A longer file is data, or generated.
pub(crate) const SCANNED_BYTES: u64 = 1024 * 1024;
/// A text has no zero in its beginning.
const TEXT_HEAD_BYTES: usize = 8 * 1024;
/// Fewer distinct characters are a placeholder (`ghp_xxxxxxxx…`).
const DISTINCT_BYTES: usize = 8;
/// One file names so many; who mends them is told of the rest.
const MOST: usize = 20;

/// A secret in a file that would be shipped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposed {
    pub path: RelPath,
    pub line: usize,
    /// What it is, with its article.
    pub kind: &'static str,
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} holds {}", self.path, self.line, self.kind)
    }
}

/// Kind, and form. Each begins with letters that hardly stand in other texts.
const RULES: [(&str, &str); 15] = [
    ("an access key of AWS", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    ("a token of GitHub", r"gh[pousr]_[A-Za-z0-9]{36}"),
    ("a token of GitHub", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("a token of GitLab", r"glpat-[A-Za-z0-9_-]{20,}"),
    ("a token of Slack", r"xox[bpars]-[0-9]{8,}-[A-Za-z0-9-]{20,}"),
    ("a live key of Stripe", r"[sr]k_live_[A-Za-z0-9]{24,}"),
    ("a token of npm", r"npm_[A-Za-z0-9]{36}"),
    ("a token of PyPI", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
    ("a token of Docker Hub", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    ("a key of SendGrid", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("a key of OpenAI", r"sk-proj-[A-Za-z0-9_-]{40,}"),
    ("a key of Anthropic", r"sk-ant-api03-[A-Za-z0-9_-]{80,}"),
    ("a token of DigitalOcean", r"do[opr]_v1_[a-f0-9]{64}"),
    ("a token of a Telegram bot", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    (
        "a private key",
        r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----(?:\\r)?(?:\\n|\s)[\s\\n]*[A-Za-z0-9+/]{40}[A-Za-z0-9+/\\=\s]{24,}",
    ),
];

/// What every secret of the rules contains: a text without any of them needs no closer look.
const SIGNS: [&[u8]; 16] = [
    b"AKIA", b"ASIA", b"_pat_", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"glpat-", b"xox", b"k_live_",
    b"npm_", b"pypi-Ag", b"SG.", b"sk-", b"_v1_",
];
const MORE_SIGNS: [&[u8]; 2] = [b":AA", b"PRIVATE KEY-----"];

static FORMS: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| RULES.iter().filter_map(|(kind, form)| Some((*kind, Regex::new(form).ok()?))).collect());
static FINDERS: LazyLock<Vec<memmem::Finder<'static>>> =
    LazyLock::new(|| SIGNS.iter().chain(&MORE_SIGNS).map(|sign| memmem::Finder::new(*sign)).collect());

/// The secrets in a file's content, by line.
pub(crate) fn find(path: &RelPath, content: &[u8]) -> Vec<Exposed> {
    let is_text = !content.get(..TEXT_HEAD_BYTES).unwrap_or(content).contains(&0);
    if !is_text || !FINDERS.iter().any(|finder| finder.find(content).is_some()) {
        return Vec::new();
    }
    let mut found: Vec<Exposed> = FORMS
        .iter()
        .flat_map(|(kind, form)| form.find_iter(content).map(move |at| (*kind, at)))
        .filter(|(_, at)| stands_alone(content, at.start(), at.end()) && is_no_placeholder(at.as_bytes()))
        .map(|(kind, at)| {
            let before = content.get(..at.start()).unwrap_or_default();
            Exposed { path: path.clone(), line: memchr_iter(b'\n', before).count() + 1, kind }
        })
        .collect();
    found.sort();
    found.dedup();
    found.truncate(MOST);
    found
}

/// Not a part of a longer word, such as a digest or an integrity line.
fn stands_alone(content: &[u8], start: usize, end: usize) -> bool {
    let word = |byte: Option<&u8>| {
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'/'))
    };
    !word(start.checked_sub(1).and_then(|at| content.get(at))) && !word(content.get(end))
}

fn is_no_placeholder(secret: &[u8]) -> bool {
    let tail = secret.get(secret.len().saturating_sub(32)..).unwrap_or(secret);
    let distinct: HashSet<u8> = tail.iter().copied().collect();
    distinct.len() >= DISTINCT_BYTES && memmem::find(&secret.to_ascii_lowercase(), b"example").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters and digits, never the same twice in a row, put together here so that no file holds a token.
    fn random(length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..length).map(|at| char::from(LETTERS[(at * 37 + 11) % LETTERS.len()])).collect()
    }

    fn kinds(text: &str) -> Vec<(usize, &'static str)> {
        let path: RelPath = "a.py".parse().unwrap();
        find(&path, text.as_bytes()).into_iter().map(|exposed| (exposed.line, exposed.kind)).collect()
    }

    #[test]
    fn each_rule_finds_its_own_in_the_middle_of_a_text() {
        let upper =
            |length| random(length * 2).to_ascii_uppercase().replace(['8', '9'], "A")[..length].to_owned();
        let hex: String = random(200)
            .bytes()
            .map(|b| char::from(b"0123456789abcdef"[usize::from(b % 16)]))
            .take(64)
            .collect();
        let digits = "7391824650";
        for (secret, kind) in [
            (format!("AKIA{}", upper(16)), "an access key of AWS"),
            (format!("ghp_{}", random(36)), "a token of GitHub"),
            (format!("github_pat_{}_{}", random(22), random(59)), "a token of GitHub"),
            (format!("glpat-{}", random(20)), "a token of GitLab"),
            (format!("xoxb-{digits}-{}", random(30)), "a token of Slack"),
            (format!("sk_live_{}", random(24)), "a live key of Stripe"),
            (format!("npm_{}", random(36)), "a token of npm"),
            (format!("pypi-AgEIcHlwaS5vcmc{}", random(80)), "a token of PyPI"),
            (format!("dckr_pat_{}", random(27)), "a token of Docker Hub"),
            (format!("SG.{}.{}", random(22), random(43)), "a key of SendGrid"),
            (format!("sk-proj-{}", random(48)), "a key of OpenAI"),
            (format!("sk-ant-api03-{}", random(93)), "a key of Anthropic"),
            (format!("dop_v1_{hex}"), "a token of DigitalOcean"),
            (format!("{digits}:AA{}", random(33)), "a token of a Telegram bot"),
            (format!("-----BEGIN PRIVATE KEY-----\\n{}\\n{}", random(55), random(55)), "a private key"),
            (format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n", random(120)), "a private key"),
        ] {
            assert_eq!(kinds(&format!("# first\nTOKEN = \"{secret}\"\n")), [(2, kind)], "{kind}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            format!("ghp_{}", "x".repeat(36)),
            format!("sha512-{}ghp_{}", random(10), random(36)),
            "sk_test_4eC39HqLyjWDarjtT1zdp7dc".to_owned(),
            "if text.startswith('-----BEGIN RSA PRIVATE KEY-----'):".to_owned(),
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n".to_owned(),
            format!("12345678:AA{}", random(34)),
            "os.environ['GITHUB_TOKEN']".to_owned(),
        ] {
            assert_eq!(kinds(&text), [], "{text}");
        }
        assert_eq!(kinds(&format!("\0 ghp_{}", random(36))), []);
    }

    #[test]
    fn the_value_is_not_told() {
        let token = format!("ghp_{}", random(36));
        let path: RelPath = "config/settings.py".parse().unwrap();
        let told = find(&path, format!("\n\nT={token}").as_bytes())[0].to_string();
        assert_eq!(told, "config/settings.py:3 holds a token of GitHub");
    }
}
