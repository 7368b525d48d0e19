//! What the env file must hold.
//!
//! **Invariant**: no value leaves this module, in a refusal or otherwise.

use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use wharf_proto::spec::SecretsSpec;

/// The key that is checked whether or not a project names it: it is written into a URL almost everywhere.
const ALWAYS_PLAIN: &str = "DB_PASSWORD";

/// What is wrong with the env file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretsVerdict {
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<String>,
}

/// Checks `env`, the env file as Compose parsed it. `running` tells of a value whether the stack runs with it already:
/// then it works, and is a warning.
pub fn check(
    env: &BTreeMap<String, String>,
    spec: &SecretsSpec,
    running: &dyn Fn(&str) -> bool,
) -> SecretsVerdict {
    let mut verdict = SecretsVerdict::default();
    let missing: BTreeSet<&String> = spec
        .required
        .iter()
        .filter(|key| env.get(*key).is_none_or(|value| value.trim().is_empty()))
        .collect();
    if !missing.is_empty() {
        verdict.refusals.push(Refusal::MissingSecrets { keys: missing.into_iter().cloned().collect() });
    }
    let plain: BTreeSet<&str> = spec.plain.iter().map(String::as_str).chain([ALWAYS_PLAIN]).collect();
    for key in plain {
        if env.get(key).is_none_or(|value| is_plain(value)) {
            continue;
        }
        if running(key) {
            verdict.warnings.push(format!(
                "the value of {key} has characters that break URLs; the stack runs with it already. Change it to letters, \
                 digits, '_' and '-' in the database and in the env file when you can"
            ));
        } else {
            verdict.refusals.push(Refusal::PasswordCharacters { key: key.to_owned() });
        }
    }
    verdict
}

/// Keys whose values are passwords, by the project's word or by their names, and have characters that break URLs.
pub fn odd_passwords(env: &BTreeMap<String, String>, spec: &SecretsSpec) -> Vec<String> {
    let is_password = |key: &str| {
        let key = key.to_ascii_uppercase();
        ["PASS", "PWD", "_PW"].iter().any(|part| key.contains(part))
    };
    env.iter()
        .filter(|(key, value)| (is_password(key) || spec.plain.contains(key)) && !is_plain(value))
        .map(|(key, _)| key.clone())
        .collect()
}

/// What is told of changed keys that are the password of a PostgreSQL that runs already: its image takes
/// `POSTGRES_PASSWORD` for a new volume alone. `given`: its services, and the password that each is given. It is no refusal, since the
/// password may have been changed in the database by hand.
pub fn database_passwords<'a>(
    given: impl Iterator<Item = (&'a str, &'a str)>,
    env: &BTreeMap<String, String>,
    changed: &BTreeSet<String>,
) -> Vec<String> {
    let key_of = |password: &str| {
        changed
            .iter()
            .find(|key| !password.is_empty() && env.get(*key).is_some_and(|value| value == password))
    };
    given
        .filter_map(|(service, password)| Some((service, key_of(password)?)))
        .map(|(service, key)| {
            format!(
                "{key} is the password of {service}, and the database there keeps the one that it has; \
                 this changes both: wharf db password {service}"
            )
        })
        .collect()
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn required_keys_must_be_there_and_not_empty() {
        let spec = SecretsSpec { required: vec!["A".into(), "B".into(), "C".into()], plain: vec![] };
        let verdict = check(&env(&[("A", "x"), ("B", " ")]), &spec, &|_| false);
        assert_eq!(verdict.refusals, [Refusal::MissingSecrets { keys: vec!["B".into(), "C".into()] }]);
    }

    #[test]
    fn passwords_are_of_plain_characters() {
        let spec = SecretsSpec { required: vec![], plain: vec!["TOKEN".into()] };
        for (value, good) in [
            ("aZ09_-", true),
            ("p@ss", false),
            ("a#b", false),
            ("a:b", false),
            ("a/b", false),
            ("ä", false),
            ("a b", false),
            ("", true),
        ] {
            for key in ["DB_PASSWORD", "TOKEN"] {
                let verdict = check(&env(&[(key, value)]), &spec, &|_| false);
                assert_eq!(verdict.refusals.is_empty(), good, "{key}={value}");
                let verdict = check(&env(&[(key, value)]), &spec, &|_| true);
                assert!(verdict.refusals.is_empty());
                assert_eq!(verdict.warnings.is_empty(), good);
            }
            assert!(check(&env(&[("OTHER", value)]), &spec, &|_| false).refusals.is_empty());
        }
    }

    #[test]
    fn a_databases_own_password_is_told_of_where_it_changes() {
        let env = env(&[("DB_PASSWORD", "new"), ("OTHER", "same"), ("EMPTY", "")]);
        let told = |password: &str, changed: &[&str]| {
            let changed = changed.iter().map(|key| (*key).to_owned()).collect();
            database_passwords([("db", password)].into_iter(), &env, &changed)
        };
        insta::assert_snapshot!(told("new", &["DB_PASSWORD", "OTHER"]).join("\n"), @"DB_PASSWORD is the password of db, and the database there keeps the one that it has; this changes both: wharf db password db");
        assert!(told("new", &["OTHER"]).is_empty());
        assert!(told("", &["EMPTY"]).is_empty());
    }

    #[test]
    fn passwords_are_told_by_their_names() {
        let env = env(&[("POSTGRES_PASSWORD", "a%b"), ("PGPASS", "ab"), ("SECRET", "a@b"), ("TOKEN", "a/b")]);
        let spec = SecretsSpec { required: vec![], plain: vec!["TOKEN".into()] };
        assert_eq!(odd_passwords(&env, &spec), ["POSTGRES_PASSWORD", "TOKEN"]);
    }

    #[test]
    fn no_text_holds_the_value() {
        let env = env(&[("DB_PASSWORD", "hunter@2")]);
        let verdict = check(&env, &SecretsSpec::default(), &|_| false);
        let told = format!("{verdict:?} {:?}", verdict.refusals[0].to_failure());
        assert!(!told.contains("hunter"));
        assert!(!check(&env, &SecretsSpec::default(), &|_| true).warnings[0].contains("hunter"));
    }
}
