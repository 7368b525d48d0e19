//! What somebody may do.

use wharf_proto::{Apps, Role};

/// A role, and the apps that it holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub apps: Apps,
}

impl Grant {
    /// Everything.
    pub fn everything() -> Self {
        Self { role: Role::Admin, apps: Apps::All }
    }

    /// What both grants allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { role: self.role.min(other.role), apps: self.apps.and(&other.apps) }
    }

    /// Whether the server as a whole is in it, and not single apps alone.
    pub fn is_of_the_server(&self) -> bool {
        self.role == Role::Admin && self.apps == Apps::All
    }
}
