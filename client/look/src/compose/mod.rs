//! Compose files, read without Docker: which ones, and what they say together.

mod choose;
pub mod interpolate;
mod load;
pub mod path;
mod service;

pub use choose::{Choice, choose};
pub use load::load;
pub use service::{Build, Extends, Mount, Port, Service, Source};

use interpolate::Use;
use std::collections::{BTreeMap, BTreeSet};

/// What Compose files say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// The project's name, where a file gives it one.
    pub name: Option<String>,
    pub services: BTreeMap<String, Service>,
    /// Named volumes that are declared.
    pub volumes: BTreeSet<String>,
    pub external_volumes: BTreeSet<String>,
    /// Every file that was read: the chosen ones, and what they include and extend.
    pub files: BTreeSet<String>,
    /// Files that `configs` and `secrets` are made of, where they lie in the project.
    pub given_files: BTreeSet<String>,
    /// Every use of a variable.
    pub uses: Vec<Use>,
    pub problems: BTreeSet<Problem>,
}

/// What keeps a file from being read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    Missing { file: String },
    NotYaml { file: String, why: String },
    Outside { what: String },
}

impl Model {
    /// Variables that the files use and give no default: the env file must hold them.
    pub fn without_default(&self) -> BTreeSet<String> {
        load::without_default(&self.uses)
    }

    /// Services that run with these profiles.
    pub fn running(&self, profiles: &[String]) -> impl Iterator<Item = (&str, &Service)> {
        let profiles = profiles.to_vec();
        let runs = move |service: &Service| {
            service.profiles.is_empty() || service.profiles.iter().any(|profile| profiles.contains(profile))
        };
        self.services
            .iter()
            .filter(move |(_, service)| runs(service))
            .map(|(name, service)| (name.as_str(), service))
    }
}
