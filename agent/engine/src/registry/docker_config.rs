//! Docker's configuration for the agent's children.

use serde_json::{Value, json};
use std::path::Path;

/// What the agent's user has, with the agent's own logins. Pure.
///
/// `folder` is the user's own `.docker`: programs that Docker finds there are found still. A credential store of the user's
/// goes on to be asked for the other hosts, and is not asked for those that the agent has a login for.
pub(super) fn merged(mut theirs: Value, own: &Value, folder: Option<&Path>) -> Value {
    if !theirs.is_object() {
        theirs = json!({});
    }
    let Some(config) = theirs.as_object_mut() else { return theirs };
    // Contexts lie in the user's folder; the engine is named to each child anyway.
    config.remove("currentContext");
    let own_auths = own.get("auths").and_then(Value::as_object).cloned().unwrap_or_default();
    for (host, entry) in own_auths {
        insert(config, "auths", &host, entry);
        let asked = config.contains_key("credsStore") || config.contains_key("credHelpers");
        if asked {
            // No helper's name means: in this file.
            insert(config, "credHelpers", &host, json!(""));
        }
    }
    if let Some(folder) = folder {
        let plugins = folder.join("cli-plugins").display().to_string();
        let extra = config.entry("cliPluginsExtraDirs").or_insert_with(|| json!([]));
        match extra.as_array_mut() {
            Some(extra) => extra.push(plugins.into()),
            None => *extra = json!([plugins]),
        }
    }
    theirs
}

fn insert(config: &mut serde_json::Map<String, Value>, map: &str, key: &str, value: Value) {
    let entry = config.entry(map).or_insert_with(|| json!({}));
    match entry.as_object_mut() {
        Some(entry) => {
            entry.insert(key.to_owned(), value);
        }
        None => *entry = json!({ key: value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_stays_and_the_agents_logins_go_before_it() {
        let own = json!({"auths": {"reg.example": {"auth": "own"}}});
        let folder = Some(Path::new("/root/.docker"));
        let plugins = json!(["/root/.docker/cli-plugins"]);
        for (theirs, expected) in [
            (json!({}), json!({"auths": own["auths"], "cliPluginsExtraDirs": plugins})),
            (json!([]), json!({"auths": own["auths"], "cliPluginsExtraDirs": plugins})),
            (
                json!({"auths": {"reg.example": {"auth": "theirs"}, "a.example": {}}, "currentContext": "x", "proxies": 1}),
                json!({
                    "auths": {"reg.example": {"auth": "own"}, "a.example": {}}, "proxies": 1,
                    "cliPluginsExtraDirs": plugins,
                }),
            ),
            (
                json!({"credsStore": "pass", "cliPluginsExtraDirs": ["/opt"]}),
                json!({
                    "auths": own["auths"], "credsStore": "pass", "credHelpers": {"reg.example": ""},
                    "cliPluginsExtraDirs": ["/opt", "/root/.docker/cli-plugins"],
                }),
            ),
        ] {
            assert_eq!(merged(theirs.clone(), &own, folder), expected, "{theirs}");
        }
    }
}
