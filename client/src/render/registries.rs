//! Registries as a table.

use super::{Style, table::table};
use wharf_proto::registry::RegistryInfo;

/// By host, as they come.
pub fn registries(registries: &[RegistryInfo], style: &Style) -> String {
    let rows: Vec<Vec<String>> =
        registries.iter().map(|registry| vec![registry.host.clone(), registry.user.clone()]).collect();
    table(&["HOST", "USER"], &rows, style)
}
