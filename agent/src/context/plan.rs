//! What is to be written, from what was found. No I/O.

use super::config_file::{self, NoObject};
use super::store::{Before, CONFIG, Stored};

/// What a user's Docker configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub config: Option<String>,
    pub stored: Option<Stored>,
    /// What of the folders and files that are needed is not there.
    pub missing: Vec<&'static str>,
    /// Whether the context that our note names as the one before is still there.
    pub before_is_there: bool,
}

/// Installing: the context first, then that it is the current one.
#[derive(Debug, PartialEq, Eq)]
pub struct Installing {
    /// The note for our context, where it must be written.
    pub context: Option<Before>,
    pub config: Option<String>,
    /// What is the current context until then.
    pub was: Option<String>,
}

/// Removing: first what is current, then the context.
#[derive(Debug, PartialEq, Eq)]
pub struct Removing {
    pub config: Option<Config>,
    /// The current context afterwards.
    pub current: Option<String>,
    /// One that was current before, and is there no more.
    pub lost: Option<String>,
    /// Empty folders of ours.
    pub folders: Vec<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Config {
    Write(String),
    /// It was not there before us, and says nothing.
    Delete,
}

#[derive(Debug)]
pub enum Unfit {
    NotOurs,
    Config(NoObject),
}

impl From<NoObject> for Unfit {
    fn from(error: NoObject) -> Self {
        Self::Config(error)
    }
}

/// Makes `name`, which leads to `socket`, the current context.
pub fn install(found: &Found, name: &str, socket: &str) -> Result<Installing, Unfit> {
    let text = found.config.as_deref().unwrap_or(config_file::EMPTY);
    let current = config_file::current(text)?;
    let is_current = current.as_deref() == Some(name);
    let context = match &found.stored {
        Some(Stored::Foreign) => return Err(Unfit::NotOurs),
        Some(Stored::Ours { socket: there, before }) => {
            // Chosen anew over what its owner chose meanwhile.
            let chosen = if is_current { before.current.clone() } else { current.clone() };
            let next = Before { current: chosen, made: before.made.clone() };
            (there != socket || next != *before).then_some(next)
        }
        // Ours was taken away by hand while it was the current one: there is nothing to go back to but the default.
        None => {
            Some(Before { current: current.clone().filter(|_| !is_current), made: found.missing.clone() })
        }
    };
    let config = if is_current { None } else { Some(config_file::with_current(text, Some(name))?) };
    Ok(Installing { context, config, was: current.filter(|_| !is_current) })
}

/// Puts back what was before; `None` where there is nothing of ours.
pub fn remove(found: &Found, name: &str) -> Result<Option<Removing>, Unfit> {
    let before = match &found.stored {
        None => return Ok(None),
        Some(Stored::Foreign) => return Err(Unfit::NotOurs),
        Some(Stored::Ours { before, .. }) => before,
    };
    let text = found.config.as_deref().unwrap_or(config_file::EMPTY);
    let current = config_file::current(text)?;
    let mut removing = Removing {
        config: None,
        current: current.clone(),
        lost: None,
        folders: before.made.iter().copied().filter(|made| *made != CONFIG).rev().collect(),
    };
    if current.as_deref() == Some(name) {
        let (kept, lost) = before.current.clone().map_or((None, None), |before| {
            if found.before_is_there { (Some(before), None) } else { (None, Some(before)) }
        });
        let next = config_file::with_current(text, kept.as_deref())?;
        let ours = before.made.contains(&CONFIG) && config_file::says_nothing(&next);
        removing.config = Some(if ours { Config::Delete } else { Config::Write(next) });
        (removing.current, removing.lost) = (kept, lost);
    }
    Ok(Some(removing))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "/run/wharf/docker.sock";

    fn found(config: Option<&str>, before: Option<Before>) -> Found {
        let stored = before.map(|before| Stored::Ours { socket: SOCKET.into(), before });
        Found { config: config.map(str::to_owned), stored, missing: Vec::new(), before_is_there: true }
    }

    fn before(current: Option<&str>) -> Before {
        Before { current: current.map(str::to_owned), made: Vec::new() }
    }

    #[test]
    fn installing_notes_what_was_and_twice_changes_nothing() {
        let desk = r#"{"currentContext": "desk"}"#;
        let guard = r#"{"currentContext": "guard"}"#;
        let first = install(&found(Some(desk), None), "guard", SOCKET).unwrap();
        assert_eq!(first.context, Some(before(Some("desk"))));
        assert_eq!((first.config.as_deref(), first.was.as_deref()), (Some(guard), Some("desk")));
        let again = found(Some(guard), Some(before(Some("desk"))));
        let again = install(&again, "guard", SOCKET).unwrap();
        assert_eq!(again, Installing { context: None, config: None, was: None });
        // Another socket: the note stays. Another choice of the owner's: that is what to go back to.
        let moved = install(&found(Some(guard), Some(before(Some("desk")))), "guard", "/other").unwrap();
        assert_eq!(moved.context, Some(before(Some("desk"))));
        let chosen = install(&found(Some("{}"), Some(before(Some("desk")))), "guard", SOCKET).unwrap();
        assert_eq!(chosen.context, Some(before(None)));
        // Ours taken away by force.
        let forced = install(&found(Some(guard), None), "guard", SOCKET).unwrap();
        assert_eq!(forced.context, Some(before(None)));
    }

    #[test]
    fn removing_puts_back_only_what_is_still_ours() {
        let guard = r#"{"currentContext": "guard"}"#;
        let removing = remove(&found(Some(guard), Some(before(Some("desk")))), "guard").unwrap().unwrap();
        assert_eq!(removing.config, Some(Config::Write(r#"{"currentContext": "desk"}"#.into())));
        let mut lost = found(Some(guard), Some(before(Some("desk"))));
        lost.before_is_there = false;
        let removing = remove(&lost, "guard").unwrap().unwrap();
        assert_eq!(removing.config, Some(Config::Write("{}".into())));
        assert_eq!(removing.lost.as_deref(), Some("desk"));
        // Its owner chose another one meanwhile.
        let removing = remove(&found(Some(r#"{"currentContext": "x"}"#), Some(before(None))), "guard");
        let removing = removing.unwrap().unwrap();
        assert_eq!((removing.config, removing.current.as_deref()), (None, Some("x")));
        assert_eq!(remove(&found(Some(guard), None), "guard").unwrap(), None);
    }

    #[test]
    fn a_file_that_was_not_there_goes_again_unless_it_got_something_to_say() {
        let made = Before { current: None, made: vec!["contexts", CONFIG] };
        let guard = config_file::with_current(config_file::EMPTY, Some("guard")).unwrap();
        let removing = remove(&found(Some(&guard), Some(made.clone())), "guard").unwrap().unwrap();
        assert_eq!((removing.config, removing.folders), (Some(Config::Delete), vec!["contexts"]));
        let login = r#"{"auths": {"r": {}}, "currentContext": "guard"}"#;
        let removing = remove(&found(Some(login), Some(made)), "guard").unwrap().unwrap();
        assert_eq!(removing.config, Some(Config::Write(r#"{"auths": {"r": {}}}"#.into())));
    }

    #[test]
    fn somebody_elses_context_is_left_alone() {
        let mut foreign = found(Some("{}"), None);
        foreign.stored = Some(Stored::Foreign);
        assert!(matches!(install(&foreign, "guard", SOCKET), Err(Unfit::NotOurs)));
        assert!(matches!(remove(&foreign, "guard"), Err(Unfit::NotOurs)));
        assert!(matches!(install(&found(Some("nonsense"), None), "guard", SOCKET), Err(Unfit::Config(_))));
    }
}
