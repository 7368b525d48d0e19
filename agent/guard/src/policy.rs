//! Request → verdict. Nothing here does I/O.
//!
//! **Invariants**
//! - Whatever changes something is on a list of what is known not to delete a volume, or it is refused.
//! - What is let through is made anew from what was judged: path, query, and the body of every route whose body matters.
//! - A judgement that lacks a fact says which ([`Missing`]); without it the verdict is a refusal.

mod container;
mod create;
mod devices;
mod door;
mod names;
mod paths;
mod privilege;
mod texts;
mod volume;
pub mod whole_host;

use door::Door;

use crate::facts::{ContainerFact, Fact, Facts};
use crate::json::{Json, Object};
use crate::request::{Afterwards, Forward, Refusal, Request, Upgrade};
use crate::target::Target;

/// What one socket lets through besides the rule that volumes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Lets containers be made that command the whole host (privileged, `/:/host`, Docker's own socket, …). Whoever has such
    /// a container can go round the guard; some honest stacks (reverse proxies, monitoring) need one.
    pub allow_root_equivalent: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the engine, as rewritten.
    Forward(Forward),
    /// A container that would take its anonymous volumes with it: it goes to the engine as one that stays, and the proxy
    /// removes it, without the volumes, when it has ended.
    ForwardKeepingVolumes(Forward),
    /// It does not go to the engine.
    Refuse(Refusal),
}

/// What a judgement lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The request's body.
    Body,
    /// Something about the engine's objects.
    Fact(Fact),
}

/// The verdict with what is known; what is unknown refuses.
pub fn verdict(request: &Request, policy: Policy, facts: &Facts) -> Verdict {
    judge(request, policy, facts).unwrap_or_else(|missing| Verdict::Refuse(texts::unknown(&missing)))
}

/// The verdict, or the one thing to find out before there can be one.
pub fn judge(request: &Request, policy: Policy, facts: &Facts) -> Result<Verdict, Missing> {
    match Case::open(request, policy, facts, Door::Socket).and_then(Case::judge) {
        Ok(verdict) => Ok(verdict),
        Err(Stop::Refuse(refusal)) => Ok(Verdict::Refuse(refusal)),
        Err(Stop::Missing(missing)) => Err(missing),
    }
}

/// Why a container made with this would be as good as root; or the one thing to find out first. What cannot be read is told as
/// a reason.
pub fn root_equivalent(host_config: &serde_json::Value, facts: &Facts) -> Result<Option<String>, Fact> {
    let Ok(Json::Object(host)) = Json::parse(host_config.to_string().as_bytes()) else {
        return Ok(Some("what it asks of the host cannot be read".to_owned()));
    };
    match privilege::root_equivalent(&host, facts) {
        Ok(reason) => Ok(reason.map(|reason| reason.trim_end_matches(',').to_owned())),
        Err(Stop::Refuse(refusal)) => Ok(Some(refusal.message)),
        Err(Stop::Missing(Missing::Fact(fact))) => Err(fact),
        Err(Stop::Missing(Missing::Body)) => Ok(Some("what it asks of the host is missing".to_owned())),
    }
}

/// Why a judgement ended early.
enum Stop {
    Refuse(Refusal),
    Missing(Missing),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Fact> for Stop {
    fn from(fact: Fact) -> Self {
        Self::Missing(Missing::Fact(fact))
    }
}

/// One request under judgement.
struct Case<'a> {
    request: &'a Request,
    policy: Policy,
    facts: &'a Facts,
    door: Door,
    target: Target,
}

impl<'a> Case<'a> {
    fn open(request: &'a Request, policy: Policy, facts: &'a Facts, door: Door) -> Result<Self, Stop> {
        let target = Target::parse(&request.target).map_err(|why| {
            Refusal::unclear(format_args!(
                "{why}. The guard lets only addresses through that can be read in one way; the docker and docker \
                 compose commands send such ones."
            ))
        })?;
        Ok(Self { request, policy, facts, door, target })
    }

    fn judge(self) -> Result<Verdict, Stop> {
        let target = self.target.clone();
        let segments = target.segments();
        let method = self.request.method.as_str();
        if matches!(method, "GET" | "HEAD" | "OPTIONS") {
            return self.read(&segments);
        }
        if self.request.content_type.as_deref().is_some_and(is_form) {
            return Err(Refusal::unclear("a form body would be read as part of the query; send JSON").into());
        }
        match (method, segments.as_slice()) {
            ("DELETE", ["containers", _]) => self.container_delete(),
            ("POST", ["containers", "create"]) => self.container_create(),
            ("POST", ["containers", "prune"]) => self.plain(),
            ("POST", ["containers", name, action]) => self.container_action(name, action),
            ("PUT", ["containers", name, "archive"]) => {
                self.container_in_reach(name, None, Afterwards::Nothing)
            }
            ("POST", ["exec", _, "start"]) => self.forward(Some(Upgrade::Tcp), None, Afterwards::Nothing),
            ("POST", ["session" | "grpc"]) => self.forward(Some(Upgrade::H2c), None, Afterwards::Nothing),
            ("POST", ["volumes", "create"]) => self.volume_create(),
            ("DELETE", ["volumes", name]) if self.door == Door::Plugin => self.volume_delete(name),
            (_, ["volumes", ..]) => Err(texts::volumes(self.door, method, &segments).into()),
            (_, ["plugins", ..]) => self.plugin(method, &segments),
            _ if changes_no_volume(method, &segments) => self.plain(),
            (_, ["services" | "nodes" | "swarm" | "tasks", ..]) => Err(texts::swarm(self.door).into()),
            _ => Err(texts::unlisted(self.door, method, &segments).into()),
        }
    }

    /// Reading deletes nothing, as long as the connection stays one that only reads.
    fn read(self, segments: &[&str]) -> Result<Verdict, Stop> {
        match segments {
            ["containers", name, "attach", "ws"] => {
                self.container_in_reach(name, Some(Upgrade::Websocket), Afterwards::Nothing)
            }
            _ => self.forward(None, Some(Vec::new()), Afterwards::Nothing),
        }
    }

    fn plugin(self, method: &str, segments: &[&str]) -> Result<Verdict, Stop> {
        let harmless = matches!(
            (method, segments),
            (
                "POST",
                ["plugins", "pull" | "create"] | ["plugins", _, .., "enable" | "disable" | "set" | "push"]
            )
        );
        if harmless && self.policy.allow_root_equivalent {
            return self.plain();
        }
        Err(texts::plugin(self.door, harmless).into())
    }

    fn plain(self) -> Result<Verdict, Stop> {
        self.forward(None, None, Afterwards::Nothing)
    }

    /// Lets the request through; `Upgrade` only where the route switches protocols.
    fn forward(
        self,
        upgrade: Option<Upgrade>,
        body: Option<Vec<u8>>,
        afterwards: Afterwards,
    ) -> Result<Verdict, Stop> {
        let upgrade = self.upgrade(upgrade)?;
        let Self { request, target, .. } = self;
        Ok(Verdict::Forward(Forward {
            method: request.method.clone(),
            target: target.to_string(),
            upgrade,
            body,
            afterwards,
        }))
    }

    /// The protocol to switch to. A build may ask, as some clients do, and stays what it is.
    fn upgrade(&self, allowed: Option<Upgrade>) -> Result<Option<Upgrade>, Stop> {
        match (self.request.upgrade.as_deref().map(str::trim), allowed) {
            (None, _) => Ok(None),
            (Some(asked), Some(allowed)) if asked.eq_ignore_ascii_case(allowed.as_str()) => Ok(Some(allowed)),
            (Some(_), None) if self.target.segments() == ["build"] => Ok(None),
            (Some(asked), _) => Err(texts::upgrade(asked).into()),
        }
    }

    /// The body as JSON, with the keys of its outermost object folded.
    fn json(&self, known: &[&str]) -> Result<Object, Stop> {
        if self.request.content_type.as_deref().is_some_and(|kind| !is_json(kind)) {
            return Err(Refusal::unclear("the body is not declared as application/json").into());
        }
        let body = self.request.body.as_deref().ok_or(Stop::Missing(Missing::Body))?;
        match Json::parse(body) {
            Ok(Json::Object(object)) => folded(object, known),
            Ok(_) => Err(Refusal::unclear("the body is not a JSON object").into()),
            Err(why) => {
                Err(Refusal::unclear(format_args!("the body cannot be read in one way only: {why}")).into())
            }
        }
    }

    /// A container that the request names, as it is now.
    fn container(&self, name: &str) -> Result<&'a ContainerFact, Stop> {
        names::check(name, "container")?;
        match self.facts.container(name) {
            None => Err(Fact::Container(name.to_owned()).into()),
            Some(None) => Err(Refusal { status: 404, message: format!("No such container: {name}") }.into()),
            Some(Some(fact)) => Ok(fact),
        }
    }
}

fn folded(mut object: Object, known: &[&str]) -> Result<Object, Stop> {
    object.fold(known).map_err(Refusal::unclear)?;
    Ok(object)
}

/// What changes something and is known to leave every volume alone, whoever asks.
fn changes_no_volume(method: &str, segments: &[&str]) -> bool {
    match (method, segments) {
        ("POST", [single]) => matches!(*single, "auth" | "build" | "commit"),
        ("POST", ["build", action]) => matches!(*action, "prune" | "cancel"),
        ("POST", ["images", action]) => matches!(*action, "create" | "load" | "prune"),
        ("POST", ["images", _, .., action]) => matches!(*action, "tag" | "push"),
        ("POST", ["networks", action]) => matches!(*action, "create" | "prune"),
        ("POST", ["networks", _, action]) => matches!(*action, "connect" | "disconnect"),
        ("POST", ["exec", _, action]) => *action == "resize",
        ("POST", ["secrets" | "configs", action]) => *action == "create",
        ("POST", ["secrets" | "configs", _, action]) => *action == "update",
        ("DELETE", ["images", _, ..]) => true,
        ("DELETE", ["networks" | "secrets" | "configs", _]) => true,
        _ => false,
    }
}

fn is_form(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().contains("form-urlencoded")
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.is_empty() || kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests;
