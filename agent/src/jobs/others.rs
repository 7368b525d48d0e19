//! What the releases of other apps run. No job of an app takes it away.
//!
//! The names of images are told apart by app and service, joined by a hyphen, and are the same for `web` of `shop-api` and
//! `api-web` of `shop`.

use crate::agent::Agent;
use crate::failures;
use std::collections::BTreeSet;
use wharf_proto::{AppName, Failure};
use wharf_state::ReleaseRecord;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// By their IDs.
    pub images: BTreeSet<String>,
    /// The names that Wharf gave to them.
    pub pins: BTreeSet<String>,
}

impl Others {
    /// What apps other than `app` have.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn than(agent: &Agent, app: &AppName) -> Result<Self, Failure> {
        let mut others = Self::default();
        for other in agent.state.apps().await.map_err(|e| failures::of_state(&e))? {
            if other.app != *app {
                let releases = agent.state.releases(&other.app).await;
                others.add(&releases.map_err(|e| failures::of_state(&e))?);
            }
        }
        Ok(others)
    }

    pub fn add(&mut self, releases: &[ReleaseRecord]) {
        for image in releases.iter().flat_map(|release| release.images.values()) {
            self.images.insert(image.id.clone());
            self.pins.extend(image.pinned.clone());
        }
    }
}
