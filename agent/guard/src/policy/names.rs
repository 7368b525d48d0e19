//! Names out of a body: the guard asks the engine about them by path, so they must be plain there too.

use super::Stop;
use crate::request::Refusal;
use crate::target::Target;

/// Takes a name only if it stands for itself in a path.
pub fn check(name: &str, what: &str) -> Result<(), Stop> {
    // A leading part keeps a name that looks like a version from being taken for one.
    match Target::parse(&format!("/{what}s/{name}/json")) {
        Ok(target) if !name.contains(['?', '#']) && target.segments().len() >= 3 => Ok(()),
        _ => Err(Refusal::unclear(format_args!("{name:?} is not the name of a {what}")).into()),
    }
}
