//! Striking secrets out of what a build says.

use super::source::read_small;
use super::{BuildError, BuildSpec, SecretSource};

/// What stands where a secret was.
const MARK: &str = "***";
/// Shorter values are words like `1` or `prod`: striking them out would garble everything and hide nothing.
const SHORTEST_BYTES: usize = 6;

/// Knows the secret values of one build.
pub(super) struct Redactor {
    values: Vec<String>,
}

impl Redactor {
    pub(super) fn new(spec: &BuildSpec) -> Result<Self, BuildError> {
        let mut values = Vec::new();
        for source in spec.secrets.values() {
            match source {
                SecretSource::Value(value) => values.push(value.clone()),
                SecretSource::File(path) => {
                    values.push(String::from_utf8_lossy(&read_small(path)?).into_owned());
                }
            }
        }
        values.extend(
            spec.args.iter().filter(|(name, value)| is_secret(name, value)).map(|(_, value)| value.clone()),
        );
        Ok(Self::of(values))
    }

    fn of(values: Vec<String>) -> Self {
        // A secret of several lines is printed line by line.
        let mut values: Vec<String> = values
            .iter()
            .flat_map(|value| value.lines())
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST_BYTES)
            .map(str::to_owned)
            .collect();
        // The longest first, so that one that contains another goes whole.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    pub(super) fn clean(&self, text: String) -> String {
        self.values.iter().fold(text, |text, value| {
            if text.contains(value.as_str()) { text.replace(value.as_str(), MARK) } else { text }
        })
    }
}

/// Whether an argument is not for everybody's eyes: BuildKit puts the values of arguments into the names of steps.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PRIVATE", "CREDENTIAL", "API_KEY", "ACCESS_KEY"];
    // postgres://user:password@host
    let login = value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    login || words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_and_words_are_not() {
        let redactor =
            Redactor::of(vec!["hunter22\nsecond-line\n".into(), "prod".into(), "hunter22-long".into()]);
        assert_eq!(redactor.clean("a hunter22-long prod second-line".into()), "a *** prod ***");
        assert!(is_secret("NPM_TOKEN", "x") && is_secret("DATABASE_URL", "postgres://u:p@db/app"));
        assert!(!is_secret("EXPO_PUBLIC_URL", "https://api.example/v1"));
    }
}
