//! What a key may do, and with which apps.

use crate::AppName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a key may do. Each role may do what the ones before it may, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look: status, logs, releases, jobs.
    Read,
    /// Make backups and prove them.
    Backup,
    /// Deploy and roll back.
    Deploy,
    /// Everything that an app's daily life needs.
    Operate,
    /// Everything, the server's keys included.
    Admin,
}

impl Role {
    /// All of them, least first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Backup, Self::Deploy, Self::Operate, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Backup => "backup",
            Self::Deploy => "deploy",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: read, backup, deploy, operate and admin are")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| RoleError(text.chars().take(100).collect()))
    }
}

/// Which apps a key is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apps {
    /// Every one, those to come included.
    All,
    Named(BTreeSet<AppName>),
}

impl Apps {
    pub fn one(app: AppName) -> Self {
        Self::Named(BTreeSet::from([app]))
    }

    pub fn include(&self, app: &AppName) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(app),
        }
    }

    /// Those that both name.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, apps) | (apps, Self::All) => apps.clone(),
            (Self::Named(ours), Self::Named(theirs)) => Self::Named(ours & theirs),
        }
    }
}

impl fmt::Display for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Named(names) => {
                let names: Vec<&str> = names.iter().map(AppName::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_exactly_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for text in ["", "Admin", "admin ", "root", "reads", "admin\n", "аdmin"] {
            assert!(text.parse::<Role>().is_err(), "{text:?}");
        }
        assert!(Role::ALL.is_sorted());
    }

    #[test]
    fn apps_that_both_name() {
        let named = |names: &[&str]| Apps::Named(names.iter().map(|n| n.parse().unwrap()).collect());
        assert_eq!(named(&["a", "b"]).and(&named(&["b", "c"])), named(&["b"]));
        assert_eq!(Apps::All.and(&named(&["b"])), named(&["b"]));
        assert_eq!(named(&["b"]).and(&Apps::All), named(&["b"]));
        assert_eq!(named(&["a"]).and(&named(&["b"])), named(&[]));
    }
}
