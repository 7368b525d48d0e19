//! Docker's `config.json`: which context is the current one. Nothing else in it is touched, to the byte.

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

const KEY: &str = "currentContext";

/// What a user without a configuration gets.
pub const EMPTY: &str = "{\n}";

/// The file holds no JSON object.
#[derive(Debug)]
pub struct NoObject(pub Option<ParseError>);

/// The current context that the file names; an empty name is none.
pub fn current(text: &str) -> Result<Option<String>, NoObject> {
    with_object(text, |object| {
        let name = property(object, KEY)?.value.as_string_lit()?.value.to_string();
        (!name.is_empty()).then_some(name)
    })
}

/// The text with `name` as the current context, or with none.
pub fn with_current(text: &str, name: Option<&str>) -> Result<String, NoObject> {
    with_object(text, |object| match (property(object, KEY), name) {
        (Some(there), Some(name)) => splice(text, there.value.start(), there.value.end(), &quoted(name)),
        (Some(there), None) => {
            let (start, end) = span_of(object, there);
            splice(text, start, end, "")
        }
        (None, Some(name)) => appended(text, object, KEY, &quoted(name)),
        (None, None) => text.to_owned(),
    })
}

/// Whether the file says nothing at all.
pub fn says_nothing(text: &str) -> bool {
    with_object(text, |object| object.properties.is_empty()).unwrap_or(false)
}

pub(crate) fn with_object<T>(text: &str, look: impl FnOnce(&Object<'_>) -> T) -> Result<T, NoObject> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
        .map_err(|error| NoObject(Some(error)))?;
    match &parsed.value {
        Some(Value::Object(object)) => Ok(look(object)),
        _ => Err(NoObject(None)),
    }
}

/// The last of that name counts, as it does for Docker.
pub(crate) fn property<'a>(object: &'a Object<'a>, key: &str) -> Option<&'a ObjectProp<'a>> {
    object.properties.iter().rfind(|property| property.name.as_str() == key)
}

/// The text with one more property, in the manner of those that are there.
pub(crate) fn appended(text: &str, object: &Object<'_>, key: &str, value: &str) -> String {
    let said = format!("{}: {value}", quoted(key));
    match (object.properties.first(), object.properties.last()) {
        (Some(first), Some(last)) => {
            let gap = text.get(object.start() + 1..first.start()).unwrap_or_default();
            splice(text, last.end(), last.end(), &format!(",{gap}{said}"))
        }
        _ => splice(text, object.start() + 1, object.start() + 1, &format!("\n\t{said}")),
    }
}

/// A property with the comma and the blanks that are its own.
pub(crate) fn span_of(object: &Object<'_>, there: &ObjectProp<'_>) -> (usize, usize) {
    let at = object.properties.iter().position(|property| property.start() == there.start()).unwrap_or(0);
    let before = at.checked_sub(1).and_then(|before| object.properties.get(before));
    match (before, object.properties.get(at + 1)) {
        (Some(before), _) => (before.end(), there.end()),
        (None, Some(next)) => (there.start(), next.start()),
        (None, None) => (object.start() + 1, there.end()),
    }
}

pub(crate) fn splice(text: &str, start: usize, end: usize, new: &str) -> String {
    let (head, tail) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    format!("{head}{new}{tail}")
}

pub(crate) fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_comes_and_goes_without_a_trace() {
        for text in [
            "{}",
            EMPTY,
            "{\n\t\"auths\": {\n\t\t\"r.example\": {\n\t\t\t\"auth\": \"c2VjcmV0\"\n\t\t}\n\t}\n}",
            "{\"a\": 1,   \"b\":[1,2]}\n",
            "{\n  \"psFormat\": \"{{.Names}} \\u00e9\",\n  \"z\": null\n}\n\n",
        ] {
            let with = with_current(text, Some("guard")).unwrap();
            assert_eq!(current(&with).unwrap().as_deref(), Some("guard"), "{with}");
            serde_json::from_str::<serde_json::Value>(&with).unwrap();
            assert_eq!(with_current(&with, None).unwrap(), text);
        }
    }

    #[test]
    fn one_that_was_there_is_replaced_where_it_stands() {
        for text in [
            "{\"currentContext\": \"desk\", \"z\": 1}",
            "{\n\t\"auths\": {},\n\t\"currentContext\": \"desk\",\n\t\"z\": 1\n}",
        ] {
            assert_eq!(current(text).unwrap().as_deref(), Some("desk"));
            let with = with_current(text, Some("guard")).unwrap();
            assert_eq!(with, text.replace("desk", "guard"));
            assert_eq!(with_current(&with, Some("desk")).unwrap(), text);
            let without = with_current(text, None).unwrap();
            assert_eq!(current(&without).unwrap(), None);
            serde_json::from_str::<serde_json::Value>(&without).unwrap();
        }
        assert_eq!(current("{\"currentContext\": \"\"}").unwrap(), None);
        assert!(says_nothing("{ }") && !says_nothing("{\"a\": 1}") && !says_nothing(""));
    }

    #[test]
    fn what_is_no_object_is_not_touched() {
        for text in ["", "[]", "{\"a\": ", "nonsense"] {
            assert!(current(text).is_err() && with_current(text, Some("guard")).is_err(), "{text}");
        }
    }
}
