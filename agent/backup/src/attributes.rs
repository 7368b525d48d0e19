//! Extended attributes: those that are part of what a file means (access lists, a program's capabilities, an app's own).
//! What the kernel or another system keeps there for itself is neither kept nor written.

use rustic_core::repofile::Metadata;
use serde_json::json;
use std::io;
use std::path::Path;

/// The attributes that are kept, by the beginnings of their names.
const KEPT: [&str; 3] = ["user.", "system.posix_acl_", "security.capability"];
/// The most attributes of one file that are kept, and the largest value.
const ATTRIBUTES: usize = 100;
const VALUE_BYTES: usize = 64 * 1024;

/// Notes a file's or folder's attributes. A file system that has none, or a file that went away, has none.
pub(crate) fn read(path: &Path, into: &mut Metadata) {
    let names = xattr::list(path).into_iter().flatten().filter_map(|name| name.into_string().ok());
    for name in names.filter(|name| is_kept(name)).take(ATTRIBUTES) {
        let Ok(Some(value)) = xattr::get(path, &name) else { continue };
        // The type of an attribute has no public name, but it can be read.
        let Ok(empty) = serde_json::from_value(json!({ "name": name, "value": null })) else { continue };
        if value.len() <= VALUE_BYTES {
            into.extended_attributes.push(empty);
            if let Some(attribute) = into.extended_attributes.last_mut() {
                attribute.value = Some(value);
            }
        }
    }
}

/// Writes attributes to a file or folder.
///
/// # Errors
/// The file system does not take one; the others are written all the same.
pub(crate) fn write(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let mut result = Ok(());
    for attribute in metadata.extended_attributes.iter().filter(|attribute| is_kept(&attribute.name)) {
        let value = attribute.value.as_deref().unwrap_or_default();
        if let Err(error) = xattr::set(path, &attribute.name, value) {
            result = Err(error);
        }
    }
    result
}

fn is_kept(name: &str) -> bool {
    KEPT.iter().any(|kept| name.starts_with(kept))
}
