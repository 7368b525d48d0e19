//! The way to the agent, stage by stage.

use super::Finding;
use wharf_proto::Failure;
use wharf_ssh::Stage;

const STAGES: [Stage; 6] =
    [Stage::Settings, Stage::Address, Stage::Connection, Stage::HostKey, Stage::Login, Stage::Agent];

/// The stages up to the one that failed, or all.
pub fn network(place: &str, ended: Result<(), (Stage, &Failure)>) -> Vec<Finding> {
    let failed = ended.err();
    let reached = STAGES.into_iter().take_while(|stage| failed.is_none_or(|(at, _)| *stage < at));
    let mut findings: Vec<Finding> =
        reached.map(|stage| Finding::ok(check(stage), fine(stage, place))).collect();
    findings.extend(failed.map(|(stage, failure)| Finding::of_failure(check(stage), failure)));
    findings
}

/// The way to the agent on this machine, which has one stage.
pub fn here(ended: Result<(), &Failure>) -> Finding {
    match ended {
        Ok(()) => Finding::ok(check(Stage::Agent), format!("{} on this machine", fine(Stage::Agent, ""))),
        Err(failure) => Finding::of_failure(check(Stage::Agent), failure),
    }
}

fn check(stage: Stage) -> &'static str {
    match stage {
        Stage::Settings => "ssh settings",
        Stage::Address => "address",
        Stage::Connection => "connection",
        Stage::HostKey => "host key",
        Stage::Login => "login",
        Stage::Agent => "agent",
    }
}

fn fine(stage: Stage, place: &str) -> String {
    match stage {
        Stage::Settings => format!("they say how to reach {place}"),
        Stage::Address => "the name leads to an address".to_owned(),
        Stage::Connection => "an SSH server answers".to_owned(),
        Stage::HostKey => "it is the one that is known".to_owned(),
        Stage::Login => "a key of yours is accepted".to_owned(),
        Stage::Agent => "wharfd answers".to_owned(),
    }
}
