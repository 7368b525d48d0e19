//! What was set for services beside the Compose files, as a table.

use super::{Style, table::table};
use wharf_proto::operate::{ServiceScale, memory_text};

/// By service, as they come.
pub fn scales(scales: &[ServiceScale], style: &Style) -> String {
    let or_files = |text: Option<String>| text.unwrap_or_else(|| "as in the files".to_owned());
    let row = |scale: &ServiceScale| {
        vec![
            scale.service.clone(),
            or_files(scale.replicas.map(|count| count.to_string())),
            or_files(scale.memory_bytes.map(memory_text)),
        ]
    };
    let rows: Vec<Vec<String>> = scales.iter().map(row).collect();
    table(&["SERVICE", "CONTAINERS", "MEMORY EACH"], &rows, style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_and_what_is_not() {
        let scale = |service: &str, replicas, memory_bytes| ServiceScale {
            service: service.into(),
            replicas,
            memory_bytes,
        };
        let all = [scale("api", Some(3), None), scale("worker", Some(0), Some(512 << 20))];
        insta::assert_snapshot!(scales(&all, &Style::plain()));
    }
}
