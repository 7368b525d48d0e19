//! Reading fields out of Compose's JSON.
//!
//! By hand rather than by derive: serde's messages quote the value that did not fit, and values here are secrets; and
//! Compose's versions differ in whether they write a number as a number or as text.

use serde_json::Value;
use std::collections::BTreeMap;

/// Text, or what Compose may also write for it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn text_at(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(text)
}

pub(super) fn flag_at(value: &Value, key: &str) -> bool {
    match value.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

pub(super) fn number_at(value: &Value, key: &str) -> Option<u32> {
    text_at(value, key)?.parse().ok()
}

/// The list at `key`; one text stands for a list of one.
pub(super) fn list_at<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    match value.get(key) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(text @ Value::String(_)) => vec![text],
        _ => Vec::new(),
    }
}

pub(super) fn texts_at(value: &Value, key: &str) -> Vec<String> {
    list_at(value, key).into_iter().filter_map(text).collect()
}

/// The fields of the object at `key`.
pub(super) fn fields_at<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// An object of texts, where `null` means "from the surroundings".
pub(super) fn variables_at(value: &Value, key: &str) -> BTreeMap<String, Option<String>> {
    fields_at(value, key).map(|(name, value)| (name.clone(), text(value))).collect()
}
