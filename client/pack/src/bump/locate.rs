//! Where the version stands in the text of an `app.json`.
//!
//! **Invariant**: a [`Located::range`] covers the version alone, without its quotes, so that writing there changes
//! nothing else, however the file is formatted.

use super::{BumpError, Version};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::fmt;
use std::ops::Range;

/// A version and the bytes that it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub version: Version,
    /// In the whole text, without the quotes.
    pub range: Range<usize>,
    pub key: Key,
}

/// Which key holds the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `expo.version`
    Expo,
    /// `version`
    TopLevel,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expo => "expo.version",
            Self::TopLevel => "version",
        })
    }
}

/// Finds the version: `expo.version` where there is an `expo` object, else the top-level `version`. Comments, trailing
/// commas and what else JSON5 allows are understood, as Expo does.
///
/// # Errors
/// No JSON object, neither key, a key twice, or no version at it.
pub fn read_version(text: &str) -> Result<Located, BumpError> {
    // The parser counts from behind a byte order mark.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let skipped = text.len() - body.len();
    let options = ParseOptions { allow_missing_commas: false, ..ParseOptions::default() };
    let parsed = parse_to_ast(body, &CollectOptions::default(), &options)
        .map_err(|source| BumpError::Json { source })?;
    let Some(Value::Object(top)) = parsed.value else { return Err(BumpError::NoObject) };
    let (key, value) = match only(&top, "expo", "expo")? {
        Some(Value::Object(expo)) => {
            (Key::Expo, only(expo, "version", "expo.version")?.ok_or(BumpError::NoExpoVersion)?)
        }
        _ => (Key::TopLevel, only(&top, "version", "version")?.ok_or(BumpError::NoVersion)?),
    };
    let Value::StringLit(literal) = value else { return Err(BumpError::NotText { key: key.to_string() }) };
    let range = literal.range();
    // A literal's first and last bytes are its quotes.
    Ok(Located {
        version: literal.value.parse()?,
        range: skipped + range.start + 1..skipped + range.end - 1,
        key,
    })
}

/// The same text with another version; every other byte stays.
///
/// # Errors
/// As [`read_version`].
pub fn set_version(text: &str, version: &Version) -> Result<String, BumpError> {
    let located = read_version(text)?;
    let mut changed = text.to_owned();
    changed.replace_range(located.range, &version.to_string());
    Ok(changed)
}

/// The value of a key that an object has once.
fn only<'a, 'text>(
    object: &'a Object<'text>,
    key: &str,
    shown: &str,
) -> Result<Option<&'a Value<'text>>, BumpError> {
    let mut found = object.properties.iter().filter(|property| property.name.as_str() == key);
    let first = found.next().map(|property| &property.value);
    if found.next().is_some() {
        return Err(BumpError::Twice { key: shown.to_owned() });
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_version_is_found_in_any_dress() {
        for (text, key) in [
            (r#"{"expo":{"version":"1.0.1"}}"#, Key::Expo),
            (r#"{"version":"9.9.9","expo":{"version":"1.0.1"}}"#, Key::Expo),
            (r#"{"version":"1.0.1"}"#, Key::TopLevel),
            (r#"{"expo":"no object","version":"1.0.1"}"#, Key::TopLevel),
            (
                "\u{feff}{\r\n\t\"expo\" :\r\n{ // ünï\r\n\"version\": /* x */ \"1.0.1\",\r\n},}\r\n",
                Key::Expo,
            ),
            (r#"{"expo":{"a":{"version":"2.0.0"},"version":"1.0.1","b":[{"version":"3.0.0"}]}}"#, Key::Expo),
            (r#"{"expo":{"vers\u0069on":"1.0\u002e1"}}"#, Key::Expo),
            ("{expo:{version:'1.0.1'}}", Key::Expo),
        ] {
            let located = read_version(text).unwrap();
            assert_eq!((located.version, located.key), (Version::new(1, 0, 1), key), "{text}");
            let set = set_version(text, &Version::new(1, 0, 10)).unwrap();
            let expected = format!("{}1.0.10{}", &text[..located.range.start], &text[located.range.end..]);
            assert_eq!(set, expected);
            assert_eq!(read_version(&set).unwrap().version, Version::new(1, 0, 10));
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read_version(&deep), Err(BumpError::Json { .. })));
    }

    /// White space and comments, as people leave them.
    fn gap() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(" ".to_owned()),
            Just("\t".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            "[a-zü\"{},: .0-9]{0,8}".prop_map(|text| format!("/*{text}*/")),
            "[a-zü\"{},: .0-9]{0,8}".prop_map(|text| format!("//{text}\n")),
        ];
        proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zA-Zäß日 {}\\[\\]:,/]{0,10}".prop_map(|text| format!("\"{text}\""))
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf =
            prop_oneof![Just("null".to_owned()), Just("-1.5e3".to_owned()), Just("true".to_owned()), text()];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (gap(), inner.clone(), gap()).prop_map(|(a, value, b)| format!("[{a}{value}{b}]")),
                (gap(), inner, gap()).prop_map(|(a, value, b)| format!("{{{a}\"version\":{value}{b}}}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_the_versions_bytes_change(
            bom in any::<bool>(), gaps in proptest::collection::vec(gap(), 12),
            before in value(), after in value(), nested in any::<bool>(), trailing in any::<bool>(),
            old in any::<(u16, u16, u16)>(), new in any::<(u32, u32, u32)>(),
        ) {
            let g = |at: usize| gaps[at].as_str();
            let comma = if trailing { "," } else { "" };
            let old = format!("{}.{}.{}", old.0, old.1, old.2);
            let head = format!("{}\"before\"{}:{}{before}{},{}\"version\"{}:{}\"", g(0), g(1), g(2), g(3), g(4), g(5), g(6));
            let tail = format!("\"{},\"after\":{after}{}{comma}{}", g(7), g(8), g(9));
            let (open, close) = if nested { ("{\"expo\":{", "}}") } else { ("{", "}") };
            let bom = if bom { "\u{feff}" } else { "" };
            let start = format!("{bom}{}{open}{head}", g(10));
            let end = format!("{tail}{close}{}", g(11));
            let new = Version::new(new.0, new.1, new.2);
            let set = set_version(&format!("{start}{old}{end}"), &new).unwrap();
            prop_assert_eq!(set, format!("{start}{new}{end}"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\":,a-z0-9. \\\\/*\n\u{feff}ü]{0,60}") {
            let _ = read_version(&text);
        }
    }
}
