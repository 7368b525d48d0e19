//! Which services use which key of the env file, by the model before Compose puts the values in.

use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// `$$`, which stands for itself, or a variable's name.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)").expect("the pattern is a constant"));

/// Services by key. `model` is what `docker compose config --no-interpolate --format json` prints; a service whose
/// `env_file` is `env_file` takes all `keys`.
pub fn uses(model: &Value, env_file: &str, keys: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let Some(services) = model["services"].as_object() else { return found };
    for (name, service) in services {
        let mut used = variables_in(service);
        for resource in resources(model, service) {
            used.extend(variables_in(resource));
            used.extend(resource["environment"].as_str().map(str::to_owned));
        }
        used.extend(unset_variables(&service["environment"]));
        if takes_file(service, env_file) {
            used.extend(keys.iter().cloned());
        }
        for key in used.into_iter().filter(|key| keys.contains(key)) {
            found.entry(key).or_default().insert(name.clone());
        }
    }
    found
}

/// The variables that strings anywhere below `value` name.
fn variables_in(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => VARIABLE
            .captures_iter(text)
            .filter_map(|found| found.get(1))
            .map(|name| name.as_str().to_owned())
            .collect(),
        Value::Array(items) => items.iter().flat_map(variables_in).collect(),
        Value::Object(fields) => fields.values().flat_map(variables_in).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

/// The `configs` and `secrets` of the model that a service, or its build, is given.
fn resources<'a>(model: &'a Value, service: &'a Value) -> impl Iterator<Item = &'a Value> {
    ["configs", "secrets"].into_iter().flat_map(move |kind| {
        let given = [&service[kind], &service["build"][kind]];
        given.into_iter().filter_map(Value::as_array).flatten().map(move |one| {
            let name = one.as_str().or_else(|| one["source"].as_str()).unwrap_or_default();
            &model[kind][name]
        })
    })
}

/// Variables that are handed on as they are: `environment: [KEY]`.
fn unset_variables(environment: &Value) -> Vec<String> {
    match environment {
        Value::Object(fields) => {
            fields.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key.clone()).collect()
        }
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .filter(|item| !item.contains('='))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn takes_file(service: &Value, env_file: &str) -> bool {
    let is = |value: &Value| value.as_str().or_else(|| value["path"].as_str()) == Some(env_file);
    match &service["env_file"] {
        Value::Array(items) => items.iter().any(is),
        other => is(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_use_what_they_name_and_what_their_files_hold() {
        let model = json!({
            "services": {
                "web": { "env_file": [{ "path": "/app/.env", "required": true }] },
                "db": { "environment": { "A": "pre-${A:-x}", "B": null, "C": "$$C" } },
                "front": { "build": { "args": { "U": "${EXPO_PUBLIC_URL}" } }, "environment": ["D", "E=${F}"] },
                "conf": { "configs": [{ "source": "nginx" }], "secrets": ["token"] },
                "other": { "env_file": "/app/other.env", "image": "x:${UNKNOWN}" },
            },
            "configs": { "nginx": { "content": "port ${PORT}" } },
            "secrets": { "token": { "environment": "TOKEN" } },
        });
        let keys: Vec<String> =
            ["A", "B", "C", "D", "F", "EXPO_PUBLIC_URL", "PORT", "TOKEN", "NOBODY"].map(String::from).into();
        let found = uses(&model, "/app/.env", &keys);
        let of = |key: &str| found.get(key).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("A"), ["db", "web"]);
        assert_eq!(of("B"), ["db", "web"]);
        assert_eq!(of("C"), ["web"]);
        assert_eq!(of("D"), ["front", "web"]);
        assert_eq!(of("F"), ["front", "web"]);
        assert_eq!(of("EXPO_PUBLIC_URL"), ["front", "web"]);
        assert_eq!(of("PORT"), ["conf", "web"]);
        assert_eq!(of("TOKEN"), ["conf", "web"]);
        assert_eq!(of("NOBODY"), ["web"]);
        assert!(!found.contains_key("UNKNOWN"));
    }
}
