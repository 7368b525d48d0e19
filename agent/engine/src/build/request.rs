//! The request to BuildKit that a build becomes.

use super::source::LocalSource;
use super::{AdditionalContext, BuildSpec};
use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, Exporter, SolveRequest};
use std::collections::HashMap;

/// The engine's own exporter: the image goes into its store, whichever that is.
const EXPORTER: &str = "moby";

pub(super) fn solve(spec: &BuildSpec, session: &str) -> SolveRequest {
    let mut exporter = HashMap::new();
    if !spec.tags.is_empty() {
        exporter.insert("name".to_owned(), spec.tags.join(","));
    }
    let network_host = spec.network.as_deref() == Some("host");
    SolveRequest {
        r#ref: super::wire::new_id(),
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: frontend(spec),
        // Engines before 25 know the old fields only; newer ones take the old ones where the new are empty.
        exporter_deprecated: EXPORTER.to_owned(),
        exporter_attrs_deprecated: exporter.clone(),
        exporters: vec![Exporter { r#type: EXPORTER.to_owned(), attrs: exporter }],
        cache: Some(CacheOptions::default()),
        entitlements: if network_host { vec!["network.host".to_owned()] } else { Vec::new() },
        ..Default::default()
    }
}

fn frontend(spec: &BuildSpec) -> HashMap<String, String> {
    let mut attrs = HashMap::new();
    let mut set = |key: &str, value: String| {
        attrs.insert(key.to_owned(), value);
    };
    set("filename", LocalSource::dockerfile_name(&spec.dockerfile));
    // `default` takes what the engine has; `pull` asks the registry.
    set("image-resolve-mode", if spec.pull { "pull" } else { "default" }.to_owned());
    if spec.no_cache {
        set("no-cache", String::new());
    }
    if let Some(target) = spec.target.clone().filter(|target| !target.is_empty()) {
        set("target", target);
    }
    if let Some(platform) = spec.platform.clone() {
        set("platform", platform);
    }
    if let Some(mode) = spec.network.as_deref().filter(|mode| matches!(*mode, "host" | "none")) {
        set("force-network-mode", mode.to_owned());
    }
    if !spec.extra_hosts.is_empty() {
        set("add-hosts", spec.extra_hosts.join(","));
    }
    if let Some(bytes) = spec.shm_size_bytes {
        set("shm-size", bytes.to_string());
    }
    if !spec.ulimits.is_empty() {
        set("ulimit", spec.ulimits.join(","));
    }
    for (name, value) in &spec.args {
        set(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &spec.labels {
        set(&format!("label:{name}"), value.clone());
    }
    for (name, context) in &spec.additional_contexts {
        let value = match context {
            AdditionalContext::Remote(url) => url.clone(),
            AdditionalContext::Folder { .. } => format!("local:{}", LocalSource::folder_name(name)),
        };
        set(&format!("context:{name}"), value);
    }
    if !spec.additional_contexts.is_empty() {
        set("frontend.caps", "moby.buildkit.frontend.contexts+forward".to_owned());
    }
    attrs
}
