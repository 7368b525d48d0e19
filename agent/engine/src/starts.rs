//! Containers as they start, told by the engine's own events.

use crate::container::{LABEL_ONE_OFF, LABEL_PROJECT, LABEL_SERVICE};
use crate::{Engine, EngineError};
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, StreamExt, future};
use std::collections::HashMap;

/// A container of a Compose project that has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub container: String,
    pub project: String,
    pub service: String,
}

impl Engine {
    /// Each start of a container of this Compose project (`None`: of any), new or not, from `since` (seconds since 1970)
    /// on. The engine remembers its last events, so that none is missed between a look at the containers and this call.
    pub fn starts(
        &self,
        project: Option<&str>,
        since: i64,
    ) -> impl Stream<Item = Result<Start, EngineError>> + Send + use<> {
        let label =
            project.map_or_else(|| LABEL_PROJECT.to_owned(), |name| format!("{LABEL_PROJECT}={name}"));
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), vec!["start".to_owned()]),
            ("label".to_owned(), vec![label]),
        ]);
        let options = EventsOptions { since: Some(since.to_string()), until: None, filters: Some(filters) };
        let events = self.docker.events(Some(options));
        events.filter_map(|event| {
            future::ready(match event {
                Ok(event) => start(event).map(Ok),
                Err(source) => Some(Err(EngineError::of("tell of its events", source))),
            })
        })
    }
}

/// `None` for what serves no service: a one-off command.
fn start(event: EventMessage) -> Option<Start> {
    let actor = event.actor?;
    let mut labels = actor.attributes?;
    if labels.get(LABEL_ONE_OFF).is_some_and(|one_off| one_off.eq_ignore_ascii_case("true")) {
        return None;
    }
    Some(Start {
        container: actor.id?,
        project: labels.remove(LABEL_PROJECT)?,
        service: labels.remove(LABEL_SERVICE)?,
    })
}
