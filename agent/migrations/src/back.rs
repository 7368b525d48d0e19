//! Which migrations go back.

/// How far back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// So many.
    Steps(usize),
    /// All that were applied after this one, which stays.
    After(String),
}

/// A migration of which it is known whether it is applied and has a way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    pub name: &'a str,
    pub has_way_back: bool,
}

/// Why they cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackError {
    #[error("no migration is applied")]
    Nothing,
    #[error("{0} is not applied")]
    NotApplied(String),
    #[error("{0} is the last one that is applied")]
    IsLast(String),
    #[error("only {0} are applied")]
    TooMany(usize),
    #[error("{0} has no way back in the live release")]
    NoWayBack(String),
}

impl BackError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::NoWayBack(name) => {
                let stem = name.strip_suffix(".sql").unwrap_or(name);
                format!(
                    "write {stem}.down.sql beside it and deploy, or restore the backup from before: wharf backup list"
                )
            }
            Self::Nothing | Self::NotApplied(_) | Self::IsLast(_) | Self::TooMany(_) => {
                "see what is applied: wharf migrate status".to_owned()
            }
        }
    }
}

/// Chooses from what is applied (sorted by name) what goes back, the last one first.
///
/// # Errors
/// There is less, or one has no way back: then none goes.
pub fn back(applied: &[Step<'_>], target: &Target) -> Result<Vec<String>, BackError> {
    if applied.is_empty() {
        return Err(BackError::Nothing);
    }
    let count = match target {
        Target::Steps(count) if *count > applied.len() => return Err(BackError::TooMany(applied.len())),
        Target::Steps(count) => *count,
        Target::After(name) => {
            let at = applied.iter().position(|one| one.name == name);
            let at = at.ok_or_else(|| BackError::NotApplied(name.clone()))?;
            applied.len() - at - 1
        }
    };
    match target {
        Target::After(name) if count == 0 => return Err(BackError::IsLast(name.clone())),
        Target::After(_) | Target::Steps(_) => {}
    }
    let chosen: Vec<&Step<'_>> = applied.iter().rev().take(count).collect();
    match chosen.iter().find(|one| !one.has_way_back) {
        Some(one) => Err(BackError::NoWayBack(one.name.to_owned())),
        None => Ok(chosen.iter().map(|one| one.name.to_owned()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_go_back_the_last_one_first() {
        let one = |name, has_way_back| Step { name, has_way_back };
        let all = [one("1.sql", true), one("2.sql", false), one("3.sql", true), one("4.sql", true)];
        let names = |target| back(&all, &target);
        assert_eq!(names(Target::Steps(1)).unwrap(), ["4.sql"]);
        assert_eq!(names(Target::Steps(2)).unwrap(), ["4.sql", "3.sql"]);
        assert_eq!(names(Target::After("2.sql".into())).unwrap(), ["4.sql", "3.sql"]);
        assert_eq!(names(Target::After("1.sql".into())), Err(BackError::NoWayBack("2.sql".into())));
        assert_eq!(names(Target::After("4.sql".into())), Err(BackError::IsLast("4.sql".into())));
        assert_eq!(names(Target::After("9.sql".into())), Err(BackError::NotApplied("9.sql".into())));
        assert_eq!(names(Target::Steps(5)), Err(BackError::TooMany(4)));
        assert_eq!(back(&[], &Target::Steps(1)), Err(BackError::Nothing));
        assert!(BackError::NoWayBack("2.sql".into()).hint().contains("2.down.sql"));
    }
}
