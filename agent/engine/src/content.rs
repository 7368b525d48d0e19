//! Whether two images are the same but for the time of their build.
//!
//! A build without cache makes an image with another ID even when nothing changed, because the ID covers `created`. What
//! counts is what a container would see: the layers, the configuration and the platform.

use bollard::models::ImageInspect;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A digest of layers, configuration and platform, as hexadecimal digits. The same on both image stores, and for lists
/// and maps whatever order the engine gives them in.
pub(crate) fn digest(image: &ImageInspect) -> String {
    let config = image.config.clone().unwrap_or_default();
    // An engine says "none" as an absent, an empty or a null field, depending on its version and store.
    let set = |list: Option<Vec<String>>| {
        let mut list = list.unwrap_or_default();
        list.sort();
        list
    };
    let labels: std::collections::BTreeMap<_, _> = config.labels.unwrap_or_default().into_iter().collect();
    let health = config.healthcheck.and_then(|check| serde_json::to_value(check).ok()).map(without_nulls);
    let content = json!({
        "layers": image.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default(),
        "os": image.os.clone().unwrap_or_default(),
        "architecture": image.architecture.clone().unwrap_or_default(),
        "variant": image.variant.clone().unwrap_or_default(),
        "env": config.env.unwrap_or_default(),
        "cmd": config.cmd.unwrap_or_default(),
        "entrypoint": config.entrypoint.unwrap_or_default(),
        "working_dir": config.working_dir.unwrap_or_default(),
        "user": config.user.unwrap_or_default(),
        "exposed_ports": set(config.exposed_ports),
        "volumes": set(config.volumes),
        "labels": labels,
        "healthcheck": health.unwrap_or(Value::Null),
        "stop_signal": config.stop_signal.unwrap_or_default(),
        "shell": config.shell.unwrap_or_default(),
        "on_build": config.on_build.unwrap_or_default(),
    });
    hex::encode(Sha256::digest(content.to_string().as_bytes()))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null() && *field != json!(0));
            Value::Object(kept.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ImageConfig, ImageInspectRootFs};

    fn image(layer: &str, env: &str) -> ImageInspect {
        ImageInspect {
            root_fs: Some(ImageInspectRootFs { typ: "layers".into(), layers: Some(vec![layer.into()]) }),
            config: Some(ImageConfig { env: Some(vec![env.into()]), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn only_what_a_container_sees_counts() {
        let first = image("a", "X=1");
        let mut later = first.clone();
        later.id = Some("sha256:other".into());
        later.comment = Some("buildkit".into());
        assert_eq!(digest(&first), digest(&later));
        assert_ne!(digest(&first), digest(&image("b", "X=1")));
        assert_ne!(digest(&first), digest(&image("a", "X=2")));
    }

    #[test]
    fn absent_and_empty_are_the_same() {
        let mut empty = image("a", "X=1");
        if let Some(config) = &mut empty.config {
            config.cmd = Some(vec![]);
            config.labels = Some(Default::default());
        }
        assert_eq!(digest(&image("a", "X=1")), digest(&empty));
    }
}
