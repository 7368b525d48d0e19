//! What goes with an app, as it is written down before anything does.

use crate::jobs::others::Others;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use wharf_proto::{AppSpec, ReleaseId};
use wharf_state::ReleaseRecord;

/// What is known of an app that leaves, and goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    pub spec: AppSpec,
    pub project: String,
    pub live: Option<ReleaseId>,
    /// How many releases are listed.
    pub releases: usize,
    /// The names that Wharf gave to images for its releases, and to none of another app's.
    pub pins: BTreeSet<String>,
    /// Images that were built for it, by their IDs.
    pub built: BTreeSet<String>,
}

impl Leaving {
    /// Of an app with these releases. What another app's releases run stays.
    pub fn plan(
        spec: AppSpec,
        project: String,
        live: Option<ReleaseId>,
        releases: &[ReleaseRecord],
        others: &Others,
    ) -> Self {
        let images = || releases.iter().flat_map(|release| release.images.values());
        Self {
            spec,
            project,
            live,
            releases: releases.len(),
            pins: images()
                .filter_map(|image| image.pinned.clone())
                .filter(|pin| !others.pins.contains(pin))
                .collect(),
            built: images()
                .filter(|image| image.built && !others.images.contains(&image.id))
                .map(|image| image.id.clone())
                .collect(),
        }
    }

    /// `3 releases`.
    pub fn releases_text(&self) -> String {
        if self.releases == 1 { "1 release".to_owned() } else { format!("{} releases", self.releases) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use wharf_proto::Manifest;
    use wharf_state::ReleaseImage;

    #[test]
    fn names_and_images_go_where_no_other_app_has_them() {
        let spec: AppSpec = serde_json::from_value(serde_json::json!({
            "app": "app", "path": "/srv/app", "compose": { "files": ["compose.yml"] }
        }))
        .expect("a spec");
        let image = |id: &str, built, pinned: Option<&str>| ReleaseImage {
            reference: "app-web".into(),
            id: id.into(),
            built,
            pinned: pinned.map(str::to_owned),
        };
        let release = |number, images: Vec<ReleaseImage>| ReleaseRecord {
            app: spec.app.clone(),
            release: ReleaseId(number),
            adopted: false,
            created: jiff::Timestamp::UNIX_EPOCH,
            created_by: String::new(),
            spec: spec.clone(),
            manifest: Manifest::default(),
            images: images.into_iter().enumerate().map(|(at, image)| (format!("s{at}"), image)).collect(),
            inputs: BTreeMap::new(),
            versions: BTreeMap::new(),
            message: None,
            git_commit: None,
            backup: None,
            previous: None,
            promoted: None,
        };
        let releases = [
            release(
                2,
                vec![
                    image("b", true, Some("app-web:v2")),
                    image("db", false, Some("app-db:v2")),
                    // What `web` of an app `app-api` is called too.
                    image("d", true, Some("app-api-web:v2")),
                ],
            ),
            release(1, vec![image("a", true, Some("app-web:v1")), image("c", true, None)]),
        ];
        let mut others = Others::default();
        others.add(&[release(2, vec![image("c", true, None), image("e", true, Some("app-api-web:v2"))])]);
        let plan = Leaving::plan(spec.clone(), "p".into(), Some(ReleaseId(2)), &releases, &others);
        assert_eq!(Vec::from_iter(&plan.pins), ["app-db:v2", "app-web:v1", "app-web:v2"]);
        assert_eq!(Vec::from_iter(&plan.built), ["a", "b", "d"]);
        assert_eq!(plan.releases_text(), "2 releases");
        let read: Leaving = serde_json::from_value(serde_json::to_value(&plan).expect("JSON")).expect("read");
        assert_eq!(read, plan);
    }
}
