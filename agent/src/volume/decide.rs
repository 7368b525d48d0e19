//! Whether a volume may be deleted: pure, from facts that were gathered before.

use jiff::{SignedDuration, Timestamp};
use wharf_proto::backup::Proof;
use wharf_proto::{AppName, BackupId, Failure, FailureKind};

/// How old a backup, and the drill that proved it, may be.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// What is known when somebody wants to delete a volume.
#[derive(Debug, Clone)]
pub struct Facts {
    pub name: String,
    pub exists: bool,
    /// The containers that have it, running or not.
    pub users: Vec<String>,
    /// The backups that hold it, of whichever app.
    pub backups: Vec<Holding>,
    /// When something in it was changed last; `None`: that cannot be told.
    pub changed: Option<Timestamp>,
}

/// A backup that holds the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub app: AppName,
    pub id: BackupId,
    pub made: Timestamp,
    pub proof: Proof,
    /// Whether it is in its repository, not only remembered.
    pub there: bool,
    pub files: u64,
    pub size_bytes: u64,
}

/// Who may ask for it at all, before anything is looked at.
///
/// # Errors
/// Nobody but root at a terminal.
pub fn may_ask(name: &str, is_root: bool, at_terminal: bool) -> Result<(), Failure> {
    let failure = match (is_root, at_terminal) {
        (true, true) => return Ok(()),
        (false, _) => Failure::new(FailureKind::Refused, "only root deletes a volume"),
        (true, false) => Failure::new(
            FailureKind::Refused,
            "a volume is deleted by a person at a terminal, and there is none",
        )
        .cause("its name has to be typed: there is no flag for that"),
    };
    Err(failure.hint(format!("on the server itself: sudo wharfd volume delete {name}")))
}

/// The backup by which the volume may go.
///
/// # Errors
/// Why it may not; nothing was changed.
pub fn decide(facts: &Facts, now: Timestamp) -> Result<&Holding, Failure> {
    let name = &facts.name;
    let refused = |text: String| Failure::new(FailureKind::Refused, text);
    if !facts.exists {
        return Err(Failure::new(FailureKind::NotFound, format!("there is no volume {name} on this server"))
            .hint("see what there is: docker volume ls"));
    }
    if !facts.users.is_empty() {
        return Err(refused(format!("the volume {name} is in use"))
            .cause(format!("these containers have it: {}", facts.users.join(", ")))
            .hint("take it out of the Compose files and deploy, or remove the containers; then back it up once more"));
    }
    let backup = fresh(facts, now)?;
    match facts.changed {
        Some(changed) if changed < backup.made => Ok(backup),
        Some(changed) => Err(again(
            name,
            format!(
                "something in it was changed at {changed}, after backup {} of {} was begun",
                backup.id.short(),
                backup.made
            ),
        )),
        None => Err(again(name, "it cannot be told whether something in it was changed since".to_owned())),
    }
}

/// The newest backup of the volume that is fresh, proven and there; or what the newest one lacks.
fn fresh(facts: &Facts, now: Timestamp) -> Result<&Holding, Failure> {
    let name = &facts.name;
    let within_the_hour = |at: Timestamp| (at - FRESH..=at + FRESH).contains(&now);
    let lacks = |backup: &Holding| match &backup.proof {
        _ if !backup.there => Some("it is not in its repository any more".to_owned()),
        _ if !within_the_hour(backup.made) => {
            Some(format!("it was made at {}, more than an hour ago", backup.made))
        }
        Proof::Proven { at } if within_the_hour(*at) => None,
        Proof::Proven { at } => Some(format!("it was proven at {at}, more than an hour ago")),
        Proof::Failed { why, .. } => Some(format!("its drill failed: {why}")),
        Proof::Unproven | Proof::Unknown => Some("no drill has proven it".to_owned()),
    };
    let mut newest: Vec<&Holding> = facts.backups.iter().collect();
    newest.sort_by_key(|backup| std::cmp::Reverse(backup.made));
    if let Some(good) = newest.iter().find(|backup| lacks(backup).is_none()) {
        return Ok(good);
    }
    Err(match newest.first() {
        None => again(name, "no backup holds it".to_owned()).hint(
            "a backup holds what [[volume]] in wharf.toml names; a volume that nothing mounts any more can be named, too",
        ),
        Some(backup) => {
            let why = lacks(backup).unwrap_or_default();
            again(name, format!("its newest backup is {} of {}: {why}", backup.id.short(), backup.app))
        }
    })
}

fn again(name: &str, why: String) -> Failure {
    let text = format!("no backup of the volume {name} was made and proven within the last hour");
    Failure::new(FailureKind::Refused, text).cause(why).hint(
        "in the project, on the laptop: wharf backup create && wharf backup verify; then try again here",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).unwrap()
    }

    fn holding(made: i64, proof: Proof) -> Holding {
        Holding {
            app: "shop".parse().unwrap(),
            id: BackupId("abcd1234ef".into()),
            made: at(made),
            proof,
            there: true,
            files: 3,
            size_bytes: 10,
        }
    }

    fn good() -> Facts {
        Facts {
            name: "shop_media".into(),
            exists: true,
            users: vec![],
            backups: vec![holding(-600, Proof::Proven { at: at(-60) })],
            changed: Some(at(-601)),
        }
    }

    #[test]
    fn a_volume_goes_only_by_a_fresh_proven_backup_of_what_it_is() {
        assert_eq!(decide(&good(), at(0)).unwrap().id.0, "abcd1234ef");
        type Spoil = fn(&mut Facts);
        let cases: [(&str, Spoil, &str); 12] = [
            ("absent", |f| f.exists = false, "there is no volume"),
            ("used", |f| f.users = vec!["shop-web-1".into()], "shop-web-1"),
            ("none", |f| f.backups.clear(), "no backup holds it"),
            ("unproven", |f| f.backups[0].proof = Proof::Unproven, "no drill"),
            ("unknown", |f| f.backups[0].proof = Proof::Unknown, "no drill"),
            ("bad", |f| f.backups[0].proof = Proof::Failed { at: at(0), why: "rot".into() }, "rot"),
            ("old", |f| f.backups[0].made = at(-3601), "it was made at"),
            ("old proof", |f| f.backups[0].proof = Proof::Proven { at: at(-3601) }, "it was proven at"),
            ("of another clock", |f| f.backups[0].proof = Proof::Proven { at: at(3601) }, "it was proven at"),
            ("gone", |f| f.backups[0].there = false, "not in its repository"),
            ("changed since", |f| f.changed = Some(at(-600)), "something in it was changed"),
            ("not to be told", |f| f.changed = None, "cannot be told"),
        ];
        for (what, spoil, told) in cases {
            let mut facts = good();
            spoil(&mut facts);
            let failure = decide(&facts, at(0)).expect_err(what);
            let text = format!("{failure} {:?}", failure.causes);
            assert!(text.contains(told), "{what}: {text}");
            assert_eq!(failure.exit_code(), if what == "absent" { 2 } else { 3 }, "{what}");
            assert!(!failure.hints.is_empty(), "{what}");
        }
    }

    #[test]
    fn nobody_but_root_at_a_terminal_asks() {
        may_ask("v", true, true).unwrap();
        for (is_root, at_terminal, told) in
            [(false, true, "only root"), (false, false, "only root"), (true, false, "at a terminal")]
        {
            let failure = may_ask("v", is_root, at_terminal).unwrap_err();
            assert!(failure.exit_code() == 3 && failure.message.contains(told), "{failure}");
        }
    }

    #[test]
    fn an_older_good_backup_does_where_nothing_was_changed_since() {
        let mut facts = good();
        facts.backups.insert(0, holding(-30, Proof::Unproven));
        assert_eq!(decide(&facts, at(0)).unwrap().made, at(-600));
        facts.changed = Some(at(-100));
        decide(&facts, at(0)).unwrap_err();
    }
}
