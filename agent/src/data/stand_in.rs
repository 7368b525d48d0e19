//! The database to connect to while another one changes its name: nobody can rename the database that he is connected to.
//!
//! **Invariant**: it was connected to before anything was done, since whoever finds out at the swap that there is none has
//! stopped the app for nothing.

use super::database::Address;
use crate::agent::Agent;
use wharf_proto::{AppName, Failure, FailureKind};

/// How many are tried.
const TRIED: usize = 8;
/// What jobs call their own databases begins so; they come and go.
const OF_JOBS: &str = "wharf_";

impl Address {
    /// The same server, with a database to connect to while `live` changes its name.
    ///
    /// # Errors
    /// There is none that the user may connect to.
    pub async fn with_stand_in(self, agent: &Agent, app: &AppName, live: &str) -> Result<Self, Failure> {
        const MAY: &str = "SELECT datname FROM pg_database WHERE datallowconn \
            AND has_database_privilege(datname, 'CONNECT') ORDER BY datname;\n";
        let asked_in = self.home.as_deref().into_iter().chain(["template1", "postgres", live]);
        let mut may = Vec::new();
        for database in asked_in {
            // One that cannot be connected to is no fault yet; where none can be, that is found out below.
            if let Ok(names) = self.run(agent, app, database, MAY).await {
                may = names;
                break;
            }
        }
        let mut said = Vec::new();
        for name in candidates(self.home.as_deref(), &may, live) {
            match self.run(agent, app, name, "SELECT 1;\n").await {
                Ok(_) => return Ok(Self { stand_in: Some(name.to_owned()), ..self }),
                Err(error) => {
                    let failure = error.failure();
                    said.push(failure.causes.into_iter().next().unwrap_or(failure.message));
                }
            }
        }
        Err(none(&self.service, live, said))
    }
}

/// What to try, the best first. `template1` comes late: who is connected to it keeps others from making databases.
fn candidates<'a>(home: Option<&'a str>, may: &'a [String], live: &str) -> Vec<&'a str> {
    let of_jobs = |name: &&str| name.starts_with(OF_JOBS) || *name == "template1";
    let others = may.iter().map(String::as_str).filter(|name| !of_jobs(name));
    let mut all: Vec<&str> = Vec::new();
    for name in home.into_iter().chain(["postgres"]).chain(others).chain(["template1"]) {
        if name != live && !all.contains(&name) {
            all.push(name);
        }
    }
    // The last one is tried in any case.
    if all.len() > TRIED {
        all.drain(TRIED - 1..all.len() - 1);
    }
    all
}

fn none(service: &str, live: &str, said: Vec<String>) -> Failure {
    let text = format!("{live} of {service} cannot be restored over what is live");
    let failure = Failure::new(FailureKind::Refused, text).cause(
        "its name is changed from another database of the server, and none can be connected to; nothing was changed",
    );
    said.into_iter()
        .fold(failure, Failure::cause)
        .hint("let the user connect to the database postgres there, or make an empty one that it may connect to")
        .hint(format!("or restore it beside the live one: wharf backup restore ID --database {live} --as NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_live_never_stands_in_for_itself() {
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let many: Vec<String> = (0..20).map(|number| format!("of_customer_{number:02}")).collect();
        for (home, may, live, expected) in [
            (None, names(&["fitness", "postgres", "template1"]), "fitness", "postgres template1"),
            (Some("shop"), names(&["postgres", "shop"]), "maps", "shop postgres template1"),
            (Some("shop"), names(&["shop"]), "shop", "postgres template1"),
            (Some("postgres"), names(&["postgres", "shop"]), "postgres", "shop template1"),
            // What a job has made may be gone at any moment.
            (
                Some("shop"),
                names(&["maps", "shop", "wharf_restore_x_job1_0"]),
                "shop",
                "postgres maps template1",
            ),
            (None, vec![], "postgres", "template1"),
            (
                None,
                many,
                "fitness",
                "postgres of_customer_00 of_customer_01 of_customer_02 of_customer_03 of_customer_04 of_customer_05 \
                 template1",
            ),
        ] {
            assert_eq!(candidates(home, &may, live).join(" "), expected, "{live} of {may:?}");
        }
    }

    #[test]
    fn a_server_without_another_database_is_told_of() {
        insta::assert_debug_snapshot!(none(
            "DATABASE_URL",
            "postgres",
            vec!["template1: psql: FATAL: no".to_owned()]
        ));
    }
}
