//! What a job may not leave behind, however it ended. Show 12 of the ship issue.

use crate::{World, docker};
use std::path::PathBuf;

impl World {
    /// What jobs leave beside the app directory: nothing, once they are over.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let beside = self.app_dir.parent().expect("the app directory lies in a folder");
        let entries = std::fs::read_dir(beside).expect("a folder of the test's").flatten();
        entries.map(|entry| entry.path()).filter(|path| *path != self.app_dir).collect()
    }

    /// Asserts that no staging folder, no container that does not run, no image without a name and no tag of a release
    /// that is not listed is left of the app; `when` says after what.
    #[track_caller]
    pub fn nothing_is_left(&self, when: &str) {
        let told = || self.laptop.wharf(&["jobs", "--json"]).stdout;
        assert_eq!(
            self.leftovers(),
            Vec::<PathBuf>::new(),
            "{when}: folders are left; the jobs:\n{}",
            told()
        );
        let stopped = docker::stopped(&self.project);
        assert_eq!(stopped, Vec::<String>::new(), "{when}: containers are left; the jobs:\n{}", told());
        let dangling = docker::dangling_images(&self.app);
        assert_eq!(dangling, Vec::<String>::new(), "{when}: images are left; the jobs:\n{}", told());
        let listed = self.listed();
        for tag in docker::image_tags(&format!("{}-", self.app)) {
            let version = tag.rsplit(':').next().expect("a tag").to_owned();
            // Compose's own names, and those of images that a test made, are no release's.
            let is_of_a_release = version.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
            assert!(
                !is_of_a_release || listed.contains(&version),
                "{when}: {tag} belongs to no listed release {listed:?}"
            );
        }
    }

    /// The releases that `wharf releases` lists; none where the agent does not know the app.
    fn listed(&self) -> Vec<String> {
        let ran = self.laptop.wharf(&["releases", "--json"]);
        let lines = if ran.code == 0 { ran.json() } else { Vec::new() };
        lines.iter().filter_map(|line| Some(line["release"].as_str()?.to_owned())).collect()
    }
}
