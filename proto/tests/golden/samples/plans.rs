//! Plans of deploys.

use super::{answers::promoted, text};
use wharf_proto::plan::{
    ContainerAction, DataMount, DeployPlan, FileChanges, ImageAction, ServicePlan, VersionChange,
};
use wharf_proto::{Digest, ReleaseId};

/// A plan with everything that a plan can have, and each action of images and containers.
pub fn full_plan() -> DeployPlan {
    let service = |service: &str, image, container, why: &[&str]| ServicePlan {
        service: service.into(),
        image,
        container,
        why: why.iter().map(|why| (*why).to_owned()).collect(),
    };
    DeployPlan {
        release: ReleaseId(4),
        live: Some(ReleaseId(3)),
        project: "fitnessapp".into(),
        adopts: true,
        versions: vec![
            VersionChange { file: text("mobile/app.json"), from: Some("1.3.9".into()), to: "1.4.0".into() },
            VersionChange { file: text("web/app.json"), from: None, to: "1.0.0".into() },
        ],
        files: FileChanges {
            added: 1,
            changed: 2,
            removed: 3,
            unchanged: 400,
            drifted: vec![text("nginx.conf")],
        },
        services: vec![
            service("api", ImageAction::Build, ContainerAction::Create, &["api/main.py changed"]),
            service("web", ImageAction::Reuse, ContainerAction::Recreate, &["nginx.conf changed"]),
            service("db", ImageAction::Keep, ContainerAction::Keep, &[]),
            service("old", ImageAction::Pull, ContainerAction::Remove, &["not in the model"]),
        ],
        data: vec![
            DataMount {
                service: "db".into(),
                target: "/var/lib/postgresql/data".into(),
                before: Some("fitnessapp_pgdata".into()),
                after: Some("fitnessapp_pgdata".into()),
            },
            DataMount { service: "api".into(), target: "/uploads".into(), before: None, after: None },
        ],
        dumps: vec!["db/app".into()],
        migrations: vec!["api: alembic upgrade head".into()],
        logs: vec!["at most 5 files of 20m for each container of api".into()],
        warnings: vec!["web has no restart policy".into()],
        promoted: Some(promoted()),
        awaited_images: vec![Digest::of(b"image")],
    }
}

/// The plan of a first deploy of nothing.
pub fn minimal_plan() -> DeployPlan {
    DeployPlan {
        release: ReleaseId(1),
        live: None,
        project: "fitnessapp".into(),
        adopts: false,
        versions: vec![],
        files: FileChanges::default(),
        services: vec![],
        data: vec![],
        dumps: vec![],
        migrations: vec![],
        logs: vec![],
        warnings: vec![],
        promoted: None,
        awaited_images: vec![],
    }
}
