//! How many containers a service may have.
//!
//! **Invariant**: what was set with `wharf scale` changes the number of containers alone: the service's definition stays
//! what the Compose files say, so that a plain `docker compose up` recreates nothing.

use crate::data::keeps_database;
use crate::facts::ImageFacts;
use crate::model::{Model, Service};
use crate::refusal::{Refusal, Unscalable};
use std::collections::BTreeSet;
use wharf_proto::operate::ServiceScale;

/// Refuses the numbers that `scales` sets for services of `model` and that cannot be. `images` knows images by reference.
pub fn check_scales(
    model: &Model,
    scales: &[ServiceScale],
    images: &dyn Fn(&str) -> Option<ImageFacts>,
) -> Vec<Refusal> {
    let refusal = |scale: &ServiceScale| {
        let service = model.service(&scale.service)?;
        let why = obstacle(model, service, scale.replicas?, images)?;
        Some(Refusal::CannotScale { service: service.name.clone(), replicas: scale.replicas?, why })
    };
    scales.iter().filter_map(refusal).collect()
}

/// What keeps a service from having so many containers.
fn obstacle(
    model: &Model,
    service: &Service,
    replicas: u32,
    images: &dyn Fn(&str) -> Option<ImageFacts>,
) -> Option<Unscalable> {
    if replicas == 1 {
        return None;
    }
    // None of it is no better: the data would be away, and backups would fail.
    let image = images(&model.image_reference(service));
    if keeps_database(model, service, image.as_ref()) {
        return Some(Unscalable::Database);
    }
    if replicas == 0 {
        return None;
    }
    if let Some(name) = &service.container_name {
        return Some(Unscalable::ContainerName(name.clone()));
    }
    // A range has room for several.
    let fixed = service.ports.iter().find_map(|port| port.published.as_ref().filter(|p| !p.contains('-')));
    if let Some(port) = fixed {
        return Some(Unscalable::Port(port.clone()));
    }
    service.has_host_network().then_some(Unscalable::HostNetwork)
}

impl Model {
    /// The model with the numbers of containers that were set.
    #[must_use]
    pub fn scaled(mut self, scales: &[ServiceScale]) -> Self {
        for scale in scales {
            self.set_replicas(&scale.service, scale.replicas);
        }
        self
    }

    /// These services and everything that they depend on: what `docker compose up` looks at when it is given their names.
    pub fn with_dependencies<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = names.into_iter().collect();
        while let Some(name) = open.pop() {
            let Some(service) = self.service(name) else { continue };
            if found.insert(service.name.as_str()) {
                open.extend(service.depends_on.keys().map(String::as_str));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"name":"p","services":{
        "api":{"image":"api","depends_on":{"db":{"condition":"service_healthy"},"cache":{"condition":"service_started"}}},
        "cache":{"image":"redis:7"},
        "db":{"image":"postgres:17","volumes":[
            {"type":"volume","source":"data","target":"/var/lib/postgresql/data"}]},
        "host":{"image":"x","network_mode":"host"},
        "named":{"image":"x","container_name":"the-one"},
        "range":{"image":"x","ports":[{"target":80,"published":"8080-8089"}]},
        "web":{"image":"x","ports":[{"target":80,"published":"8080"}],
            "depends_on":{"api":{"condition":"service_started"}}}},
        "volumes":{"data":{}}}"#;

    fn model() -> Model {
        Model::parse(CONFIG, "/app", "/app").unwrap()
    }

    fn scale(service: &str, replicas: u32) -> ServiceScale {
        ServiceScale { service: service.into(), replicas: Some(replicas), memory_bytes: None }
    }

    #[test]
    fn what_stands_in_the_way_of_a_second_container() {
        let why = |service: &str, replicas| {
            let found = check_scales(&model(), &[scale(service, replicas)], &|_| None);
            found.into_iter().next().map(|refusal| match refusal {
                Refusal::CannotScale { why, .. } => why,
                other => panic!("{other}"),
            })
        };
        for service in ["api", "cache", "range", "gone"] {
            assert_eq!(why(service, 3), None, "{service}");
        }
        assert_eq!(why("web", 2), Some(Unscalable::Port("8080".into())));
        assert_eq!(why("named", 2), Some(Unscalable::ContainerName("the-one".into())));
        assert_eq!(why("host", 2), Some(Unscalable::HostNetwork));
        assert_eq!(why("db", 2), Some(Unscalable::Database));
        assert_eq!(why("db", 0), Some(Unscalable::Database));
        for service in ["web", "named", "host", "db"] {
            assert_eq!(why(service, 1), None, "{service}");
        }
        assert_eq!(why("web", 0), None);
    }

    #[test]
    fn numbers_are_set_and_nothing_else() {
        let before = model();
        let after = before.clone().scaled(&[scale("api", 3), scale("gone", 9)]);
        assert_eq!(after.service("api").unwrap().replicas, 3);
        assert_eq!(after.service("web").unwrap().replicas, 1);
        assert!(crate::model::same_model(&before, &after).is_empty());
    }

    #[test]
    fn what_compose_looks_at_beside_what_it_is_told() {
        let model = model();
        let names = |names: &[&'static str]| Vec::from_iter(model.with_dependencies(names.iter().copied()));
        assert_eq!(names(&["web"]), ["api", "cache", "db", "web"]);
        assert_eq!(names(&["cache", "gone"]), ["cache"]);
    }
}
