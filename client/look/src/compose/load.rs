//! Reads Compose files into one model: files laid over each other, `include` and `extends` followed.

use super::{
    Model, Problem,
    interpolate::{self, Use},
    path::{self, Place},
    service::Service,
};
use crate::{facts::Facts, yaml::Yaml};
use std::collections::{BTreeMap, BTreeSet};

/// Files that lead to each other, at most.
const FOLLOWED: usize = 32;

/// The model of `files`, in the order of `-f`. `value` knows the variables.
pub fn load(facts: &Facts, files: &[String], value: &dyn Fn(&str) -> Option<String>) -> Model {
    let mut loader = Loader { facts, value, model: Model::default(), depth: 0 };
    // As with Compose, relative paths of every file start at the first one's folder.
    let folder = files.first().map_or("", |first| path::folder(first)).to_owned();
    let mut services = BTreeMap::new();
    for file in files {
        loader.file(file, &folder, &mut services);
    }
    loader.model.services = services;
    loader.model
}

struct Loader<'a> {
    facts: &'a Facts,
    value: &'a dyn Fn(&str) -> Option<String>,
    model: Model,
    depth: usize,
}

impl Loader<'_> {
    /// Lays one file over `services`.
    fn file(&mut self, file: &str, folder: &str, services: &mut BTreeMap<String, Service>) {
        let Some(yaml) = self.read(file) else { return };
        if let Some(name) = yaml.text_at("name").filter(|name| !name.contains('$')) {
            self.model.name = Some(name.to_owned());
        }
        for included in yaml.get("include").into_iter().flat_map(Yaml::items) {
            self.include(included, folder, services);
        }
        for (name, definition) in yaml.get("services").map(Yaml::pairs).unwrap_or_default() {
            let service = self.service(&yaml, folder, definition);
            let below = services.remove(name);
            let merged = match below {
                Some(below) => below.under(service),
                None => service,
            };
            services.insert(name.clone(), merged);
        }
        for (name, definition) in yaml.get("volumes").map(Yaml::pairs).unwrap_or_default() {
            self.model.volumes.insert(name.clone());
            if definition.text_at("external") == Some("true") {
                self.model.external_volumes.insert(name.clone());
            }
        }
        let given =
            ["configs", "secrets"].into_iter().filter_map(|kind| yaml.get(kind)).flat_map(Yaml::pairs);
        for given in given.filter_map(|(_, definition)| definition.text_at("file")) {
            if let Place::Inside(file) = path::resolve(folder, given) {
                self.model.given_files.insert(file);
            }
        }
    }

    /// Reads a file once more, its uses of variables noted.
    fn read(&mut self, file: &str) -> Option<Yaml> {
        let Some(text) = self.facts.text(file) else {
            self.model.problems.insert(Problem::Missing { file: file.to_owned() });
            return None;
        };
        self.model.files.insert(file.to_owned());
        match Yaml::read(text) {
            Ok(yaml) => {
                yaml.each_text(&mut |text| self.model.uses.extend(interpolate::uses(text)));
                Some(substituted(&yaml, self.value))
            }
            Err(error) => {
                self.model
                    .problems
                    .insert(Problem::NotYaml { file: file.to_owned(), why: error.to_string() });
                None
            }
        }
    }

    /// `include: [file]`, or the long form with `path`, `project_directory` and `env_file`.
    fn include(&mut self, item: &Yaml, folder: &str, services: &mut BTreeMap<String, Service>) {
        if self.depth >= FOLLOWED {
            return;
        }
        self.depth += 1;
        let listed = item.text().is_some().then_some(item).or_else(|| item.get("path"));
        let files: Vec<Place> = listed
            .map(Yaml::texts)
            .unwrap_or_default()
            .into_iter()
            .map(|file| path::resolve(folder, file))
            .collect();
        let mut own = None;
        let mut included = BTreeMap::new();
        for place in files {
            let Place::Inside(file) = place else {
                self.model.problems.insert(Problem::Outside { what: format!("an `include` of {folder}") });
                continue;
            };
            // An included file is a project of its own: its paths start at its folder.
            let directory = own.get_or_insert_with(|| match item.text_at("project_directory") {
                Some(directory) => match path::resolve(folder, directory) {
                    Place::Inside(directory) => directory,
                    _ => path::folder(&file).to_owned(),
                },
                None => path::folder(&file).to_owned(),
            });
            let directory = directory.clone();
            self.file(&file, &directory, &mut included);
        }
        services.extend(included);
        self.depth -= 1;
    }

    fn service(&mut self, yaml: &Yaml, folder: &str, definition: &Yaml) -> Service {
        let service = Service::read(definition, folder);
        let Some(extends) = service.extends.clone() else { return service };
        if self.depth >= FOLLOWED {
            return service;
        }
        self.depth += 1;
        let mut base = match extends.file {
            None => {
                let below = yaml.get("services").and_then(|services| services.get(&extends.service)).cloned();
                below.map(|below| self.service(yaml, folder, &below))
            }
            Some(Place::Inside(other)) => self.read(&other).and_then(|yaml| {
                let below =
                    yaml.get("services").and_then(|services| services.get(&extends.service)).cloned()?;
                // Paths of another file start at its own folder.
                Some(self.service(&yaml, path::folder(&other), &below))
            }),
            Some(_) => None,
        };
        self.depth -= 1;
        // Compose takes neither from what is extended.
        if let Some(base) = &mut base {
            base.depends_on.clear();
            base.profiles.clear();
        }
        base.map_or(service.clone(), |base| base.under(service))
    }
}

fn substituted(yaml: &Yaml, value: &dyn Fn(&str) -> Option<String>) -> Yaml {
    match yaml {
        Yaml::Null => Yaml::Null,
        Yaml::Text(text) => Yaml::Text(interpolate::substitute(text, value)),
        Yaml::List(items) => Yaml::List(items.iter().map(|item| substituted(item, value)).collect()),
        Yaml::Map(pairs) => {
            Yaml::Map(pairs.iter().map(|(key, item)| (key.clone(), substituted(item, value))).collect())
        }
    }
}

/// The uses of variables that have no default anywhere: these the env file must hold.
pub(super) fn without_default(uses: &[Use]) -> BTreeSet<String> {
    let defaulted: BTreeSet<&str> =
        uses.iter().filter(|u| u.default.is_some()).map(|u| u.name.as_str()).collect();
    let bare = uses
        .iter()
        .filter(|u| u.default.is_none() && (u.must_be_set || !defaulted.contains(u.name.as_str())));
    bare.map(|u| u.name.clone()).collect()
}
