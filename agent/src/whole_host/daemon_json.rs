//! Docker's `daemon.json`: which authorization plugins it asks. Nothing else in it is touched, to the byte.

use crate::context::config_file::{NoObject, appended, property, quoted, span_of, splice, with_object};
use jsonc_parser::ast::{Array, Value};
use jsonc_parser::common::Ranged;

const KEY: &str = "authorization-plugins";

/// What a server without a configuration gets.
pub const EMPTY: &str = "{\n}\n";

/// Whether the file says that a plugin is asked.
pub fn asks(text: &str, name: &str) -> Result<bool, NoObject> {
    with_object(text, |object| {
        property(object, KEY).is_some_and(|there| match &there.value {
            Value::Array(plugins) => place(plugins, name).is_some(),
            _ => false,
        })
    })
}

/// The text that says so, too.
pub fn with(text: &str, name: &str) -> Result<String, NoObject> {
    if asks(text, name)? {
        return Ok(text.to_owned());
    }
    with_object(text, |object| match property(object, KEY).map(|there| &there.value) {
        None => Ok(appended(text, object, KEY, &format!("[{}]", quoted(name)))),
        Some(Value::Array(plugins)) => Ok(match plugins.elements.last() {
            Some(last) => splice(text, last.end(), last.end(), &format!(", {}", quoted(name))),
            None => splice(text, plugins.start(), plugins.end(), &format!("[{}]", quoted(name))),
        }),
        Some(_) => Err(NoObject(None)),
    })?
}

/// The text that does not. A list that would be empty goes altogether.
pub fn without(text: &str, name: &str) -> Result<String, NoObject> {
    with_object(text, |object| {
        let Some(there) = property(object, KEY) else {
            return text.to_owned();
        };
        let Value::Array(plugins) = &there.value else {
            return text.to_owned();
        };
        let Some(at) = place(plugins, name) else {
            return text.to_owned();
        };
        let element = |at: usize| plugins.elements.get(at);
        let (start, end) = match (at.checked_sub(1).and_then(element), element(at), element(at + 1)) {
            (Some(before), Some(it), _) => (before.end(), it.end()),
            (None, Some(it), Some(next)) => (it.start(), next.start()),
            _ => span_of(object, there),
        };
        splice(text, start, end, "")
    })
}

fn place(plugins: &Array<'_>, name: &str) -> Option<usize> {
    plugins.elements.iter().position(|plugin| plugin.as_string_lit().is_some_and(|it| it.value == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_comes_and_goes_without_a_trace() {
        for text in [
            "{}",
            EMPTY,
            "{\n  \"data-root\": \"/srv/docker\",\n  \"log-opts\": {\"max-size\": \"10m\"}\n}\n",
            "{\"authorization-plugins\":[\"other\"],\"debug\":false}",
            "{\n\t\"authorization-plugins\": [\n\t\t\"a\",\n\t\t\"b\"\n\t]\n}",
        ] {
            let with = with(text, "wharf-guard").unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&with).unwrap();
            let plugins = parsed["authorization-plugins"].as_array().unwrap();
            assert_eq!(plugins.last().unwrap(), "wharf-guard", "{with}");
            assert!(asks(&with, "wharf-guard").unwrap() && !asks(text, "wharf-guard").unwrap());
            assert_eq!(super::with(&with, "wharf-guard").unwrap(), with);
            assert_eq!(without(&with, "wharf-guard").unwrap(), text);
            assert_eq!(without(text, "wharf-guard").unwrap(), text);
        }
        let first = "{\"authorization-plugins\": [\"wharf-guard\", \"other\"]}";
        assert_eq!(without(first, "wharf-guard").unwrap(), "{\"authorization-plugins\": [\"other\"]}");
        assert_eq!(
            with("{\"authorization-plugins\": []}", "x").unwrap(),
            "{\"authorization-plugins\": [\"x\"]}"
        );
    }

    #[test]
    fn what_is_no_configuration_is_not_touched() {
        for text in ["", "[]", "{\"a\": ", "nonsense", "{\"authorization-plugins\": \"x\"}"] {
            assert!(with(text, "wharf-guard").is_err(), "{text}");
        }
    }
}
