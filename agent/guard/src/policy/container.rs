//! Containers that exist: removing, stopping, starting, running something in them.

use super::door::Door;
use super::{Case, Stop, Verdict, privilege, texts};
use crate::json::Json;
use crate::request::{Afterwards, Refusal, Upgrade};

/// The container's place in the path.
const NAME: usize = 1;

impl Case<'_> {
    /// `DELETE /containers/{name}`: never with the volumes.
    pub(super) fn container_delete(mut self) -> Result<Verdict, Stop> {
        let segments = self.target.segments();
        let name = segments.get(NAME).copied().unwrap_or_default();
        if self.target.query().truthy("v") {
            return Err(texts::container_with_volumes(self.door, name).into());
        }
        if let Some(key) = self.target.query().keys().find(|key| !matches!(*key, "v" | "force" | "link")) {
            return Err(Refusal::unclear(format_args!("removing a container knows no {key:?}")).into());
        }
        self.target.query_mut().remove("v");
        self.forward(None, Some(Vec::new()), Afterwards::Nothing)
    }

    /// `POST /containers/{name}/{action}`.
    pub(super) fn container_action(self, name: &str, action: &str) -> Result<Verdict, Stop> {
        match action {
            "stop" | "kill" => self.container_end(name, Afterwards::Nothing),
            "restart" => self.container_start(name, Afterwards::Restart),
            "start" => self.container_start(name, Afterwards::CheckStart),
            "attach" => self.container_in_reach(name, Some(Upgrade::Tcp), Afterwards::Nothing),
            "exec" => self.container_exec(name),
            "update" => self.container_update(),
            "wait" => self.container_wait(name),
            "pause" | "unpause" | "resize" | "rename" => self.plain(),
            _ => Err(texts::unlisted(self.door, "POST", &self.target.segments()).into()),
        }
    }

    /// Ending a container that the engine then removes takes its anonymous volumes along.
    fn container_end(mut self, name: &str, afterwards: Afterwards) -> Result<Verdict, Stop> {
        let fact = self.container(name)?;
        if fact.auto_remove && !fact.anonymous_volumes.is_empty() {
            return Err(texts::ends_with_volumes(name, &fact.anonymous_volumes).into());
        }
        self.target.pin(NAME, &fact.id);
        self.forward(None, None, afterwards)
    }

    fn container_start(self, name: &str, afterwards: Afterwards) -> Result<Verdict, Stop> {
        self.refuse_out_of_reach(name)?;
        self.container_end(name, afterwards)
    }

    /// Acts inside a container: as good as having what the container has.
    pub(super) fn container_in_reach(
        mut self,
        name: &str,
        upgrade: Option<Upgrade>,
        afterwards: Afterwards,
    ) -> Result<Verdict, Stop> {
        if !self.policy.allow_root_equivalent {
            self.refuse_out_of_reach(name)?;
            let id = &self.container(name)?.id;
            self.target.pin(NAME, id);
        }
        self.forward(upgrade, None, afterwards)
    }

    fn container_exec(mut self, name: &str) -> Result<Verdict, Stop> {
        if self.policy.allow_root_equivalent {
            return self.plain();
        }
        self.refuse_out_of_reach(name)?;
        let body = self.json(&["Privileged"])?;
        match body.get("Privileged") {
            None | Some(Json::Null | Json::Bool(false)) => {}
            _ => return Err(texts::root_equivalent("a privileged command").into()),
        }
        let id = &self.container(name)?.id;
        self.target.pin(NAME, id);
        self.forward(None, Some(Json::Object(body).to_bytes()), Afterwards::Nothing)
    }

    fn container_update(self) -> Result<Verdict, Stop> {
        if self.policy.allow_root_equivalent {
            return self.plain();
        }
        let keys = ["Devices", "DeviceCgroupRules", "DeviceRequests"];
        let body = self.json(&keys)?;
        if keys.iter().any(|key| body.given(key).is_some()) {
            return Err(texts::root_equivalent("a device").into());
        }
        self.forward(None, Some(Json::Object(body).to_bytes()), Afterwards::Nothing)
    }

    /// A client that waits for the end of a container which the guard removes means: until it is gone.
    fn container_wait(mut self, name: &str) -> Result<Verdict, Stop> {
        if self.door == Door::Plugin {
            return self.plain();
        }
        let fact = self.container(name)?;
        if fact.kept && self.target.query().get("condition") == Some("next-exit") {
            self.target.query_mut().set("condition", "removed");
        }
        self.target.pin(NAME, &fact.id);
        self.plain()
    }

    fn refuse_out_of_reach(&self, name: &str) -> Result<(), Stop> {
        if self.policy.allow_root_equivalent {
            return Ok(());
        }
        match privilege::root_equivalent(&self.container(name)?.host_config, self.facts)? {
            Some(reason) => {
                Err(texts::root_equivalent(&format!("the container {name:?}, which has {reason},")).into())
            }
            None => Ok(()),
        }
    }
}
