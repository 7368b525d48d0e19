//! What a backup is to hold besides files and PostgreSQL.

use super::{Checked, Checker};
use toml::Spanned;
use wharf_proto::RelPath;
use wharf_proto::spec::VolumeSpec;

/// The longest name of a volume.
const NAME_BYTES: usize = 200;

impl Checker<'_> {
    pub(super) fn volumes(&self, specs: Vec<Spanned<VolumeSpec>>) -> Checked<Vec<VolumeSpec>> {
        let mut checked: Vec<VolumeSpec> = Vec::new();
        for spec in specs {
            let (span, spec) = (spec.span(), self.volume(spec)?);
            if checked.iter().any(|known| (&known.name, &known.path) == (&spec.name, &spec.path)) {
                let message = "the same data is named twice".to_owned();
                return Err(self.value(span, "volume", message, "keep one [[volume]] for it"));
            }
            checked.push(spec);
        }
        Ok(checked)
    }

    fn volume(&self, spec: Spanned<VolumeSpec>) -> Checked<VolumeSpec> {
        let (span, mut spec) = (spec.span(), spec.into_inner());
        match (&spec.name, &mut spec.path) {
            (Some(name), None) => {
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
                if name.is_empty() || name.len() > NAME_BYTES || !plain || name.starts_with(['_', '.', '-']) {
                    let message = format!("{name:?} is not a volume's name");
                    let instead = "write its key in the Compose file or its name on the server, for example: \
                        name = \"uploads\"; for a folder: path = \"uploads\"";
                    return Err(self.value(span, "volume.name", message, instead));
                }
            }
            (None, Some(path)) => {
                let plain = path.trim_end_matches('/');
                let plain = plain.strip_prefix("./").unwrap_or(plain);
                if let Err(error) = plain.strip_prefix('/').unwrap_or(plain).parse::<RelPath>() {
                    let instead = "write a folder below the app's on the server, for example: path = \"uploads\", or \
                        an absolute one that a container mounts";
                    return Err(self.value(span, "volume.path", error.to_string(), instead));
                }
                *path = plain.to_owned();
            }
            (None, None) | (Some(_), Some(_)) => {
                let message = "it takes either `name` or `path`".to_owned();
                let instead = "write name = \"uploads\" for a volume, or path = \"uploads\" for a folder";
                return Err(self.value(span, "volume", message, instead));
            }
        }
        Ok(spec)
    }
}
