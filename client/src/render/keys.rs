//! The keys that may connect, as a table.

use super::{Style, table::table};
use wharf_proto::key::KeyInfo;

/// In the file's order, as they come.
pub fn keys(keys: &[KeyInfo], style: &Style) -> String {
    let rows: Vec<Vec<String>> = keys.iter().map(|key| row(key, style)).collect();
    table(&["NAME", "ROLE", "APPS", "LIMITS", "FINGERPRINT"], &rows, style)
}

fn row(key: &KeyInfo, style: &Style) -> Vec<String> {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let from = key.from.as_ref().map(|from| format!("from {from}"));
    let until = key.expires.map(|at| format!("until {}", style.time(at)));
    let problem = key.problem.as_ref().map(|problem| format!("lets nobody in: {problem}"));
    let limits: Vec<String> = from.into_iter().chain(until).chain(problem).collect();
    vec![
        or_dash(key.comment.clone()),
        or_dash(key.role.map(|role| role.to_string()).unwrap_or_default()),
        or_dash(key.apps.as_ref().map(ToString::to_string).unwrap_or_default()),
        or_dash(limits.join(", ")),
        key.fingerprint.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::{Apps, Role};

    #[test]
    fn who_may_do_what_and_who_cannot() {
        let key = |comment: &str, role, apps| KeyInfo {
            fingerprint: "SHA256:abc".into(),
            kind: "ssh-ed25519".into(),
            comment: comment.into(),
            line: 1,
            role,
            apps,
            from: None,
            expires: None,
            problem: None,
        };
        let named = Apps::Named(["blog".parse().unwrap(), "shop".parse().unwrap()].into());
        let ci = KeyInfo {
            from: Some("10.0.0.*".into()),
            expires: Some("2027-01-31T00:00:00Z".parse().unwrap()),
            ..key("ci", Some(Role::Deploy), Some(named))
        };
        let broken = KeyInfo { problem: Some("it expired".into()), ..key("", None, None) };
        let all = [key("ann@laptop", Some(Role::Admin), Some(Apps::All)), ci, broken];
        insta::assert_snapshot!(keys(&all, &Style::plain()));
    }
}
