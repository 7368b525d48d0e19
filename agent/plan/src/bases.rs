//! Images of a project that others of the same project are built from.
//!
//! **Invariant**: an image is built after those that it is made from. Where they are made from each other, the order is any,
//! and each service comes once all the same.

use crate::model::{Model, Service};
use std::collections::{BTreeMap, BTreeSet};

/// The services whose images a service's own is made from, by service. Those that are made from none are left out.
pub type MadeFrom = BTreeMap<String, BTreeSet<String>>;

/// The other services of the project that build what `service` calls `image`.
pub fn builders<'a>(
    model: &'a Model,
    service: &'a Service,
    image: &str,
) -> impl Iterator<Item = &'a Service> {
    let image = plain(image).to_owned();
    model.services().filter(move |other| {
        other.name != service.name
            && other.build.is_some()
            && plain(&model.image_reference(other)) == image.as_str()
    })
}

/// The services whose images `service` is made from, where it is made from the images `from`.
pub fn bases(model: &Model, service: &Service, from: &[String]) -> BTreeSet<String> {
    from.iter().flat_map(|image| builders(model, service, image)).map(|base| base.name.clone()).collect()
}

/// The services, each after those whose images it is made from; in starting order where that leaves a choice.
pub fn build_order<'a>(model: &'a Model, made_from: &MadeFrom) -> Vec<&'a Service> {
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for service in model.start_order() {
        visit(model, made_from, service, &mut seen, &mut order);
    }
    order
}

fn visit<'a>(
    model: &'a Model,
    made_from: &MadeFrom,
    service: &'a Service,
    seen: &mut BTreeSet<&'a str>,
    order: &mut Vec<&'a Service>,
) {
    if !seen.insert(&service.name) {
        return;
    }
    for base in made_from.get(&service.name).into_iter().flatten() {
        if let Some(base) = model.service(base) {
            visit(model, made_from, base, seen, order);
        }
    }
    order.push(service);
}

/// An image's name as people write it.
pub fn plain(reference: &str) -> &str {
    let short = ["docker.io/library/", "docker.io/"].iter().find_map(|prefix| reference.strip_prefix(prefix));
    let short = short.unwrap_or(reference);
    short.strip_suffix(":latest").unwrap_or(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::parse(
            r#"{"name":"shop","services":{
                "api":{"build":{"context":"/a/api"},"depends_on":{"db":{"condition":"service_started"}}},
                "base":{"image":"shop/base","build":{"context":"/a/base"}},
                "core":{"build":{"context":"/a/core"}},
                "db":{"image":"postgres:17"},
                "web":{"build":{"context":"/a/web"}}}}"#,
            "/a",
            "/a",
        )
        .unwrap()
    }

    #[test]
    fn what_another_service_builds_is_told_from_what_registries_have() {
        let model = model();
        for (service, from, expected) in [
            ("web", &["shop/base"][..], &["base"][..]),
            ("web", &["docker.io/shop/base:latest", "shop-core", "python:3"], &["base", "core"]),
            ("web", &["shop/base:1", "shop/base@sha256:00", "python:3"], &[]),
            // Nobody builds that one here.
            ("web", &["postgres:17"], &[]),
            // What it is called itself is what was there before.
            ("base", &["shop/base"], &[]),
        ] {
            let from: Vec<String> = from.iter().map(|&image| image.to_owned()).collect();
            let bases = bases(&model, model.service(service).unwrap(), &from);
            assert_eq!(bases.iter().collect::<Vec<_>>(), expected, "{service} {from:?}");
        }
    }

    #[test]
    fn each_is_built_once_and_after_what_it_is_made_from() {
        let model = model();
        for (made_from, expected) in [
            (&[][..], "db api base core web"),
            (&[("base", &["web"][..])], "db api web base core"),
            (&[("api", &["base"]), ("base", &["core"])], "db core base api web"),
            (&[("api", &["base", "core", "web"]), ("db", &["web"])], "web db base core api"),
            // Made from each other, or from what is not there.
            (&[("base", &["core"]), ("core", &["web"]), ("web", &["base"])], "db api web core base"),
            (&[("web", &["web", "nosuch"])], "db api base core web"),
        ] {
            let made_from: MadeFrom = made_from
                .iter()
                .map(|(of, bases)| ((*of).to_owned(), bases.iter().map(|&base| base.to_owned()).collect()))
                .collect();
            let order: Vec<&str> = build_order(&model, &made_from).iter().map(|s| s.name.as_str()).collect();
            assert_eq!(order.join(" "), expected, "{made_from:?}");
        }
    }
}
