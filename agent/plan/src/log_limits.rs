//! Which containers are to be given a limit to their logs.
//!
//! **Invariants**
//! - A service's own `logging:` is never added to, and nothing is made anew because of it.
//! - A container is made anew for its log alone only where a deploy can say so before, and never twice for the same. What
//!   does not run is not: its log grows no more, and a one-shot that did its work would do it once more.

use crate::facts::{ContainerFacts, ContainerState, LogFacts, UNLIMITED_LOGS};
use crate::model::{Model, Service};
use std::collections::BTreeMap;
use wharf_proto::plan::{ContainerAction, ServicePlan};
use wharf_proto::spec::LogLimit;

/// Why a service's containers are to be made with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// It has no containers yet, or none that runs and some that would write without the limit.
    New,
    /// The log of one grows without end.
    Unlimited,
    /// The log of one has a limit that Wharf set, and is to have another.
    Other,
}

/// The services whose containers are not as `limit` says.
pub fn lacking(model: &Model, now: &[ContainerFacts], limit: &LogLimit) -> BTreeMap<String, Lack> {
    let lack = |service: &Service| {
        if service.has_own_logging() || service.replicas == 0 {
            return None;
        }
        let own: Vec<_> = now.iter().filter(|c| c.service == service.name && !c.one_off).collect();
        if own.is_empty() {
            return Some(Lack::New);
        }
        let lack = own.iter().filter(|c| writes(c)).find_map(|c| lack_of(&c.log, limit));
        lack.or_else(|| own.iter().any(|c| lack_of(&c.log, limit).is_some()).then_some(Lack::New))
    };
    model.services().filter_map(|service| Some((service.name.clone(), lack(service)?))).collect()
}

fn writes(container: &ContainerFacts) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting)
}

fn lack_of(log: &LogFacts, limit: &LogLimit) -> Option<Lack> {
    if log.is_unlimited() {
        return Some(Lack::Unlimited);
    }
    let same = log.max_size.as_deref() == Some(limit.max_size.as_str())
        && log.max_files.as_deref() == Some(limit.max_files.to_string().as_str());
    (log.by_wharf && log.driver == UNLIMITED_LOGS && !same).then_some(Lack::Other)
}

/// Has the containers made anew that lack the limit, where nothing else does; the names of those services.
pub fn make_anew(plans: &mut [ServicePlan], lacking: &BTreeMap<String, Lack>) -> Vec<String> {
    let mut made = Vec::new();
    for plan in plans {
        let why = match lacking.get(&plan.service) {
            None | Some(Lack::New) => continue,
            Some(Lack::Unlimited) => "its log has no limit",
            Some(Lack::Other) => "the limit of its log changed",
        };
        if matches!(plan.container, ContainerAction::Keep | ContainerAction::Create) {
            plan.container = ContainerAction::Recreate;
            plan.why.push(why.to_owned());
            made.push(plan.service.clone());
        }
    }
    made
}

/// What the plan says of logs: the limit, and who is given it by this job.
pub fn told(plans: &[ServicePlan], lacking: &BTreeMap<String, Lack>, limit: &LogLimit) -> Option<String> {
    let made = |plan: &&ServicePlan| {
        matches!(plan.container, ContainerAction::Create | ContainerAction::Recreate)
            && lacking.contains_key(&plan.service)
    };
    let names: Vec<&str> = plans.iter().filter(made).map(|plan| plan.service.as_str()).collect();
    (!names.is_empty()).then(|| format!("at most {limit} for each container of {}", names.join(", ")))
}

/// The services that keep containers whose logs have no limit.
pub fn kept(plans: &[ServicePlan], lacking: &BTreeMap<String, Lack>) -> Vec<String> {
    let unlimited = |plan: &&ServicePlan| {
        plan.container == ContainerAction::Keep && lacking.get(&plan.service) == Some(&Lack::Unlimited)
    };
    plans.iter().filter(unlimited).map(|plan| plan.service.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_proto::plan::ImageAction;

    fn container(service: &str, log: &LogFacts) -> ContainerFacts {
        serde_json::from_value(serde_json::json!({
            "id": "1", "name": format!("p-{service}-1"), "service": service, "state": "running", "project": "p",
            "config_hash": "", "working_dir": "", "config_files": [], "one_off": false, "image_id": "", "image": "",
            "health": null, "exit_code": null, "oom_killed": false, "restarts": 0, "started_at": null,
            "restart_policy": "no", "mounts": [], "log": log,
        }))
        .unwrap()
    }

    fn log(driver: &str, max_size: Option<&str>, by_wharf: bool) -> LogFacts {
        let max_files = max_size.map(|_| "5".to_owned());
        LogFacts {
            driver: driver.into(),
            max_size: max_size.map(Into::into),
            max_files,
            by_wharf,
            path: None,
        }
    }

    fn plan(service: &str, container: ContainerAction) -> ServicePlan {
        ServicePlan { service: service.into(), image: ImageAction::Keep, container, why: vec![] }
    }

    fn limit() -> LogLimit {
        LogLimit { max_size: "20m".into(), max_files: 5 }
    }

    #[test]
    fn who_lacks_the_limit() {
        let model = Model::parse(
            r#"{"name":"p","services":{"web":{"image":"x"},"none":{"image":"x","scale":0},
                "own":{"image":"x","logging":{"driver":"json-file"}}}}"#,
            "/a",
            "/a",
        )
        .unwrap();
        for (log, lack) in [
            (log("json-file", None, false), Some(Lack::Unlimited)),
            (log("json-file", Some("20m"), true), None),
            (log("json-file", Some("50m"), true), Some(Lack::Other)),
            // The engine's own limit, or a person's.
            (log("json-file", Some("50m"), false), None),
            (log("local", None, false), None),
            (log("journald", None, true), None),
        ] {
            let now = [container("web", &log), container("own", &log)];
            let found = lacking(&model, &now, &limit());
            assert_eq!(found.get("web").copied(), lack, "{log:?}");
            assert_eq!(found.len(), usize::from(lack.is_some()));
        }
        // One that did its work has its limit with its next making, and is not made for it.
        for (log, lack) in
            [(log("json-file", None, false), Some(Lack::New)), (log("local", None, false), None)]
        {
            let ended = ContainerFacts { state: ContainerState::Exited, ..container("web", &log) };
            let one_off = ContainerFacts { one_off: true, ..container("web", &log) };
            let found = lacking(&model, &[ended, one_off], &limit());
            assert_eq!(found.get("web").copied(), lack, "{log:?}");
        }
        assert_eq!(lacking(&model, &[], &limit()), BTreeMap::from([("web".to_owned(), Lack::New)]));
    }

    #[test]
    fn what_is_made_anew_and_what_is_said_of_it() {
        let lacking = [("a", Lack::Unlimited), ("b", Lack::Other), ("c", Lack::New), ("d", Lack::Unlimited)];
        let lacking = lacking.map(|(service, lack)| (service.to_owned(), lack)).into();
        let mut plans = vec![
            plan("a", ContainerAction::Keep),
            plan("b", ContainerAction::Keep),
            plan("c", ContainerAction::Create),
            plan("d", ContainerAction::Recreate),
            plan("e", ContainerAction::Recreate),
        ];
        assert_eq!(kept(&plans, &lacking), ["a"]);
        assert_eq!(
            told(&plans, &lacking, &limit()).unwrap(),
            "at most 5 files of 20m for each container of c, d"
        );
        assert_eq!(make_anew(&mut plans, &lacking), ["a", "b"]);
        assert_eq!(plans[0].why, ["its log has no limit"]);
        assert_eq!(plans[1].why, ["the limit of its log changed"]);
        assert!(plans[3].why.is_empty());
        assert_eq!(
            told(&plans, &lacking, &limit()).unwrap(),
            "at most 5 files of 20m for each container of a, b, c, d"
        );
        assert!(kept(&plans, &lacking).is_empty() && told(&plans[4..], &lacking, &limit()).is_none());
    }
}
