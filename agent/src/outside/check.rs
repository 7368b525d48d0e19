//! What can be said of a database outside the stack without asking it. No text quotes its URL.

use std::collections::BTreeMap;
use wharf_plan::Model;
use wharf_plan::database_url::{DatabaseUrl, UrlError};
use wharf_proto::spec::OutsideSpec;
use wharf_proto::{AppSpec, Failure, FailureKind};

/// Checks what a deploy says of databases outside the stack.
///
/// # Errors
/// What is wrong with it.
pub fn check_spec(spec: &AppSpec) -> Result<(), Failure> {
    let wrong = |text: String, hint: &str| Err(Failure::new(FailureKind::Config, text).hint(hint));
    for one in &spec.postgres {
        let Some(outside) = &one.outside else {
            if one.service.is_empty() {
                return wrong("a [[postgres]] names no service".into(), "write service = \"db\"");
            }
            continue;
        };
        if !one.service.is_empty() || one.user.is_some() {
            let hint = "leave `service` and `user` out, or `url_env`";
            return wrong("a [[postgres]] is said to be in the stack and outside it".into(), hint);
        }
        if let Some(problem) = outside.problem() {
            return wrong(format!("{}: {}", problem.key, problem.message), problem.instead);
        }
        if spec.compose.env_file.is_none() {
            let text = format!("there is no env file that could have {}", outside.url_env);
            return wrong(text, "name it: env_file under [compose] in wharf.toml");
        }
        let other = spec.postgres.iter().find(|other| other.server() == one.server());
        if other.is_some_and(|other| other.outside != one.outside) {
            let text = format!("{} is named twice, with another image or network", outside.url_env);
            return wrong(text, "write the same for both databases");
        }
    }
    Ok(())
}

/// Checks the URLs that a release is going to have.
///
/// # Errors
/// A key that the env file lacks; a URL that cannot be used, or that leads into the stack.
pub fn check_plan(spec: &AppSpec, values: &BTreeMap<String, String>, model: &Model) -> Result<(), Failure> {
    let services: Vec<&str> = model.services().map(|service| service.name.as_str()).collect();
    for one in &spec.postgres {
        let Some(outside) = &one.outside else { continue };
        let key = &outside.url_env;
        if services.contains(&key.as_str()) {
            let text = format!("{key} is a service of the stack and a database outside it");
            return Err(
                Failure::new(FailureKind::Config, text).hint("give the key of the env file another name")
            );
        }
        let url = url_of(outside, values, &services)?;
        if url.database.is_none() && one.database.is_none() {
            return Err(no_database(outside));
        }
    }
    Ok(())
}

/// The URL, which must lead outside the stack.
///
/// # Errors
/// As [`check_plan`].
pub fn url_of(
    outside: &OutsideSpec,
    values: &BTreeMap<String, String>,
    stack: &[&str],
) -> Result<DatabaseUrl, Failure> {
    let key = &outside.url_env;
    let value = values.get(key).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("the env file on the server has no {key}"))
            .cause("[[postgres]] in wharf.toml says that the URL of a database is there")
            .hint(format!("set it: wharf secrets set {key}"))
    })?;
    let url = DatabaseUrl::parse(value).map_err(|error| unusable(key, error))?;
    if url.is_one_of(stack.iter().copied()) {
        let text = format!("{key} leads to {}, which is a service of the stack", url.host);
        return Err(Failure::new(FailureKind::Refused, text)
            .cause("one in the stack is asked in its own container, and is backed up before it is made anew")
            .hint(format!(
                "write service = {:?} under [[postgres]] instead of url_env and image",
                url.host
            )));
    }
    Ok(url)
}

fn unusable(key: &str, error: UrlError) -> Failure {
    let text = format!("the value of {key} in the env file is no URL that can be used for backups");
    Failure::new(FailureKind::Refused, text).cause(error.to_string()).hint(error.hint())
}

/// The failure of a URL without a database, where nothing else names one.
pub fn no_database(outside: &OutsideSpec) -> Failure {
    Failure::new(FailureKind::Refused, format!("{} names no database", outside.url_env))
        .hint("write it at the URL's end, or database = \"myapp\" under [[postgres]]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside() -> OutsideSpec {
        OutsideSpec { url_env: "DATABASE_URL".into(), image: "postgres:17".into(), network: None }
    }

    fn told(value: Option<&str>, stack: &[&str]) -> String {
        let values = value.map(|value| ("DATABASE_URL".to_owned(), value.to_owned()));
        let failure = url_of(&outside(), &values.into_iter().collect(), stack).unwrap_err();
        format!("{}; {}; {}", failure.message, failure.causes.join("; "), failure.hints.join("; "))
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let all = [
            told(None, &[]),
            told(Some("hunter2"), &[]),
            told(Some("postgres://app:hunter2@db/shop"), &["web", "db"]),
            told(Some("postgres://app:hunter2@app-db-1/shop"), &["db", "app-db-1"]),
        ];
        assert!(all.iter().all(|text| !text.contains("hunter2")), "{all:?}");
        assert!(all[0].contains("has no DATABASE_URL") && all[1].contains("does not begin with postgres://"));
        assert!(all[2].contains("write service = \"db\"") && all[3].contains("app-db-1"), "{all:?}");
    }

    #[test]
    fn what_a_client_sends_is_checked_again() {
        let of = |postgres: &str, env_file: &str| {
            let compose = format!(r#"{{"files": ["c.yml"]{env_file}}}"#);
            let json =
                format!(r#"{{"app": "a", "path": "/a", "compose": {compose}, "postgres": [{postgres}]}}"#);
            check_spec(&serde_json::from_str(&json).unwrap())
        };
        let good = r#"{"outside": {"url_env": "A_URL", "image": "postgres:17"}}"#;
        let (file, none) = (r#", "env_file": ".env""#, "");
        assert!(of(good, file).is_ok() && of(r#"{"service": "db"}"#, none).is_ok());
        for wrong in [
            "{}",
            r#"{"service": "db", "outside": {"url_env": "A_URL", "image": "postgres:17"}}"#,
            r#"{"outside": {"url_env": "A URL", "image": "postgres:17"}}"#,
            r#"{"outside": {"url_env": "A_URL", "image": "-v"}}"#,
            r#"{"outside": {"url_env": "A_URL", "image": "p", "network": "host"}}"#,
            &format!(r#"{good}, {{"outside": {{"url_env": "A_URL", "image": "postgres:16"}}}}"#),
        ] {
            assert!(of(wrong, file).is_err(), "{wrong}");
        }
        assert!(of(good, none).is_err());
    }
}
