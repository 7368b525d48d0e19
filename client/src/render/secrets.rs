//! The env file's keys as a table.

use super::{Style, table::table};
use wharf_proto::secret::{SecretInfo, SecretList};

/// By name, as they come.
pub fn secrets(list: &SecretList, style: &Style) -> String {
    let rows: Vec<Vec<String>> = list.secrets.iter().map(row).collect();
    table(&["KEY", "DIGEST", "SERVICES", "SAME VALUE IN"], &rows, style)
}

fn row(secret: &SecretInfo) -> Vec<String> {
    let digest = match (&secret.digest, secret.required) {
        (Some(digest), _) => digest.clone(),
        (None, true) => "MISSING".to_owned(),
        (None, false) => "-".to_owned(),
    };
    let releases: Vec<String> = secret.releases.iter().map(ToString::to_string).collect();
    vec![secret.key.clone(), digest, or_dash(&secret.services), or_dash(&releases)]
}

fn or_dash(items: &[String]) -> String {
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::ReleaseId;

    #[test]
    fn keys_and_who_uses_them() {
        let secret = |key: &str, digest: Option<&str>, services: &[&str], releases: &[u32]| SecretInfo {
            key: key.into(),
            digest: digest.map(str::to_owned),
            required: true,
            services: services.iter().map(|&service| service.to_owned()).collect(),
            releases: releases.iter().map(|&number| ReleaseId(number)).collect(),
        };
        let list = SecretList {
            app: "fit".parse().unwrap(),
            file: "/srv/fit/.env.prod".into(),
            secrets: vec![
                secret("DB_PASSWORD", Some("5d6a1c0b"), &["backend", "db"], &[3, 2]),
                secret("SECRET_KEY", None, &[], &[]),
            ],
        };
        insta::assert_snapshot!(secrets(&list, &Style::plain()), @r"
        KEY          DIGEST    SERVICES     SAME VALUE IN
        DB_PASSWORD  5d6a1c0b  backend, db  v3, v2
        SECRET_KEY   MISSING   -            -
        ");
    }
}
