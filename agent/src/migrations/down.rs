//! Which migrations go back, and whether they are those that were confirmed.

use super::source::Migration;
use wharf_migrations::{Applied, Step, Target, back};
use wharf_proto::{Failure, FailureKind};

/// The migrations to take back, the last one first, each with its way back.
///
/// # Errors
/// One has none, or the last ones that are applied are not those that were confirmed.
pub fn chosen<'a>(
    migrations: &'a [Migration],
    applied: &[Applied],
    confirmed: &[String],
) -> Result<Vec<(&'a Migration, &'a wharf_migrations::Script)>, Failure> {
    let way_back = |name: &str| {
        let found = migrations.iter().find(|one| one.name == name)?;
        Some((found, found.down.as_ref()?))
    };
    let steps: Vec<Step<'_>> = applied
        .iter()
        .map(|one| Step { name: &one.name, has_way_back: way_back(&one.name).is_some() })
        .collect();
    let names = back(&steps, &Target::Steps(confirmed.len()))
        .map_err(|error| Failure::new(FailureKind::Refused, error.to_string()).hint(error.hint()))?;
    if names != confirmed || names.is_empty() {
        return Err(Failure::new(FailureKind::Refused, "what is applied is not what was confirmed")
            .cause(format!("the last ones that are applied: {}", names.join(", ")))
            .hint("look again: wharf migrate status"));
    }
    Ok(names.iter().filter_map(|name| way_back(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_migrations::Script;

    #[test]
    fn only_what_was_confirmed_goes_back() {
        let script = || Script::read(b"SELECT 1").unwrap();
        let one = |name: &str, back: bool| Migration {
            name: name.to_owned(),
            script: script(),
            down: back.then(script),
        };
        let row = |name: &str| Applied {
            name: name.to_owned(),
            checksum: String::new(),
            at_seconds: Some(1),
            release: "v1".into(),
        };
        let files = [one("1.sql", false), one("2.sql", true), one("3.sql", true)];
        let applied = [row("1.sql"), row("2.sql"), row("3.sql")];
        let names = |confirmed: &[&str]| {
            let confirmed: Vec<String> = confirmed.iter().map(|name| (*name).to_owned()).collect();
            let chosen = chosen(&files, &applied, &confirmed)?;
            Ok::<_, Failure>(chosen.iter().map(|(one, _)| one.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["3.sql", "2.sql"]).unwrap(), ["3.sql", "2.sql"]);
        for wrong in [&["2.sql"][..], &["2.sql", "3.sql"], &[], &["3.sql", "2.sql", "1.sql"]] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
    }
}
