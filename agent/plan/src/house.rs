//! Which images nobody needs any more, for `wharf prune`.
//!
//! **Invariant**: an image goes only where it is certain to be this app's: it has one of the names that Wharf gives, or Compose
//! wrote the app's project into it. What a container of anybody's was made from stays, and so does what a listed release of
//! any app runs.

use std::collections::BTreeSet;
use wharf_proto::{AppName, ReleaseId};

/// An image, as the engine lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…`
    pub id: String,
    /// `NAME:TAG`
    pub names: Vec<String>,
    /// The Compose project that it was built for, where Compose built it.
    pub project: Option<String>,
    /// What it does not share with others.
    pub size_bytes: u64,
}

/// What is known of the engine and of the apps.
#[derive(Debug)]
pub struct HouseFacts<'a> {
    pub app: &'a AppName,
    pub project: &'a str,
    /// The other apps of this server.
    pub others: &'a [AppName],
    /// The app's own releases.
    pub listed: &'a BTreeSet<ReleaseId>,
    /// Their services that have an image: what others called so by chance is not theirs.
    pub services: &'a BTreeSet<String>,
    pub images: &'a [Image],
    /// IDs that containers or listed releases need, of whichever app.
    pub needed: &'a BTreeSet<String>,
}

/// Something that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unneeded {
    /// A name that Wharf gave for a release; the image goes with its last one.
    Name { name: String, id: String, release: ReleaseId, size_bytes: u64 },
    /// An image that no name leads to.
    Nameless { id: String, size_bytes: u64 },
}

/// What goes.
pub fn unneeded(facts: &HouseFacts) -> Vec<Unneeded> {
    let mut found = Vec::new();
    for image in facts.images.iter().filter(|image| !facts.needed.contains(&image.id)) {
        let (id, all) = (image.id.clone(), image.names.len());
        if image.names.is_empty() && image.project.as_deref() == Some(facts.project) {
            found.push(Unneeded::Nameless { id, size_bytes: image.size_bytes });
            continue;
        }
        let ours = image.names.iter().filter_map(|name| Some((name, release_of(name, image, facts)?)));
        let old: Vec<_> = ours.filter(|(_, release)| !facts.listed.contains(release)).collect();
        for (at, (name, release)) in old.iter().enumerate() {
            // It frees room only with its last name.
            let last = old.len() == all && at + 1 == all;
            found.push(Unneeded::Name {
                name: (*name).clone(),
                id: id.clone(),
                release: *release,
                size_bytes: if last { image.size_bytes } else { 0 },
            });
        }
    }
    found
}

/// The release that a name of the form `APP-SERVICE:vN` is for, of a service that the app has or of an image that Compose
/// built for it. Where another app's name begins alike, `a` and `a-b`, it might be that one's, and is nobody's.
fn release_of(name: &str, image: &Image, facts: &HouseFacts) -> Option<ReleaseId> {
    let (repository, tag) = name.rsplit_once(':')?;
    let belongs = |app: &AppName| {
        let service = repository.strip_prefix(app.as_str()).and_then(|rest| rest.strip_prefix('-'));
        service.is_some_and(|service| !service.is_empty() && !service.contains('/'))
    };
    if !belongs(facts.app) || facts.others.iter().any(belongs) {
        return None;
    }
    let service = repository.get(facts.app.as_str().len() + 1..)?;
    if !facts.services.contains(service) && image.project.as_deref() != Some(facts.project) {
        return None;
    }
    let digits = tag.strip_prefix('v')?;
    let number: u32 = digits.parse().ok()?;
    // `v01` and `v+1` are somebody else's.
    (number.to_string() == digits).then_some(ReleaseId(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, names: &[&str], project: Option<&str>) -> Image {
        Image {
            id: id.into(),
            names: names.iter().map(|name| (*name).into()).collect(),
            project: project.map(str::to_owned),
            size_bytes: 7,
        }
    }

    /// What goes of one image, as names or `nameless`.
    fn goes(image: Image, others: &[&str], needed: &[&str]) -> Vec<String> {
        let others: Vec<AppName> = others.iter().map(|name| name.parse().unwrap()).collect();
        let needed = needed.iter().map(|id| (*id).to_owned()).collect();
        let found = unneeded(&HouseFacts {
            app: &"shop".parse().unwrap(),
            project: "shopproject",
            others: &others,
            listed: &BTreeSet::from([ReleaseId(3), ReleaseId(4)]),
            services: &["web", "web-api"].map(str::to_owned).into(),
            images: &[image],
            needed: &needed,
        });
        found
            .into_iter()
            .map(|gone| match gone {
                Unneeded::Name { name, size_bytes, .. } => format!("{name} {size_bytes}"),
                Unneeded::Nameless { size_bytes, .. } => format!("nameless {size_bytes}"),
            })
            .collect()
    }

    #[test]
    fn what_is_old_and_certainly_the_apps_goes() {
        for (names, project, expected) in [
            (&["shop-web:v2"][..], None, &["shop-web:v2 7"][..]),
            (&["shop-web:v1", "shop-web:v2"], None, &["shop-web:v1 0", "shop-web:v2 7"]),
            (&["shop-web:v2", "shop-web:v3"], None, &["shop-web:v2 0"]),
            (&["shop-web:v2", "shopproject-web:latest"], None, &["shop-web:v2 0"]),
            (&[], Some("shopproject"), &["nameless 7"]),
            (&[], Some("other"), &[]),
            (&[], None, &[]),
            (&["shop-web:v3"], None, &[]),
            (&["shop-web:latest"], Some("shopproject"), &[]),
            (&["shop-web:v02"], None, &[]),
            (&["shop-web:v+2"], None, &[]),
            (&["shop-:v2"], None, &[]),
            (&["shop:v2"], None, &[]),
            (&["shopper-web:v2"], None, &[]),
            // A service that the app does not have, unless Compose says that it had.
            (&["shop-scraper:v2"], None, &[]),
            (&["shop-scraper:v2"], Some("shopproject"), &["shop-scraper:v2 7"]),
            (&["registry:5000/shop-web:v2"], None, &[]),
            (&["postgres:17"], None, &[]),
        ] {
            assert_eq!(goes(image("i", names, project), &[], &[]), expected, "{names:?} {project:?}");
            assert_eq!(goes(image("i", names, project), &[], &["i"]), Vec::<String>::new(), "needed");
        }
    }

    #[test]
    fn a_name_that_may_be_another_apps_stays() {
        assert_eq!(goes(image("i", &["shop-web-api:v2"], None), &["shop-web"], &[]), Vec::<String>::new());
        assert_eq!(
            goes(image("i", &["shop-web-api:v2"], None), &["sho", "shop-w"], &[]),
            ["shop-web-api:v2 7"]
        );
    }
}
