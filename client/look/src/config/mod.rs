//! `wharf.toml` from what was found: a new one, or what an old one lacks.
//!
//! **Invariant**: of a file that a person wrote, no byte changes; what is added is added between or after what is there,
//! and only where they asked for it.

mod add;
mod mongo;
mod parts;
mod write;

pub use add::{Addition, Additions, Said, add, missing, said};
pub use write::write;

/// What nobody can see in a project: where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    pub app: Option<String>,
    /// `user@host:port`
    pub server: Option<String>,
    /// The app directory on the server.
    pub path: Option<String>,
}

impl Answers {
    /// The app's name: what was said, else what was found.
    pub fn app<'a>(&'a self, findings: &'a crate::Findings) -> &'a str {
        self.app.as_deref().unwrap_or(&findings.app)
    }
}

/// Where an app lies on a server unless somebody says otherwise: in the home folder of who logs in.
pub fn default_path(server: &str, app: &str) -> String {
    match server.rsplit_once('@') {
        Some((user, _)) if user != "root" => format!("/home/{user}/{app}"),
        _ => format!("/srv/{app}"),
    }
}
