//! Columns, as wide as their widest cell.

use super::{Style, clean};

/// Rows under a heading. Widths count characters.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>], style: &Style) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let mut out = style.bold(&line(&heading, &widths)) + "\n";
    for row in &rows {
        out += &line(row, &widths);
        out.push('\n');
    }
    out
}

/// A cell's first line; `…` stands for the rest.
fn one_line(cell: &str) -> String {
    let mut lines = cell.trim().lines();
    let first = clean(lines.next().unwrap_or_default());
    if lines.next().is_some() { first + " …" } else { first }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
