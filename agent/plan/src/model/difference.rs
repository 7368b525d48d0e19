//! Where two models differ, told without any value: values are secrets.

use super::Model;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many differences are told; the rest is counted.
const TOLD: usize = 20;

/// The fields in which two models differ, as paths; empty where they are the same. After `apply`, resolving in place
/// must give the model that was planned with.
pub fn same_model(a: &Model, b: &Model) -> Vec<String> {
    let mut found = Vec::new();
    compare("", &a.value, &b.value, &mut found);
    let more = found.len().saturating_sub(TOLD);
    if more > 0 {
        found.truncate(TOLD);
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(at: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => compare(&at, a, b, found),
                    _ => found.push(at),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}[{index}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        _ => found.push(at.to_owned()),
    }
}
