//! What came back, against what was counted when it was dumped.

use std::collections::BTreeMap;
use wharf_backup::TableRows;

/// How many differences are told.
const DIFFERENCES: usize = 20;

/// Every table that differs, in words; empty: they are the same.
pub fn differences(recorded: &[TableRows], found: &[TableRows]) -> Vec<String> {
    let by_name = |tables: &[TableRows]| -> BTreeMap<String, u64> {
        tables.iter().map(|table| (table.table.clone(), table.rows)).collect()
    };
    let (recorded, mut found) = (by_name(recorded), by_name(found));
    let mut all: Vec<String> = recorded
        .into_iter()
        .filter_map(|(table, rows)| match found.remove(&table) {
            None => Some(format!("{table}: it had {rows} rows and did not come back")),
            Some(back) if back != rows => Some(format!("{table}: it had {rows} rows, {back} came back")),
            Some(_) => None,
        })
        .collect();
    all.extend(
        found.into_iter().map(|(table, rows)| format!("{table}: nobody recorded it, {rows} rows came")),
    );
    if all.len() > DIFFERENCES {
        let rest = all.len() - DIFFERENCES;
        all.truncate(DIFFERENCES);
        all.push(format!("and {rest} more tables"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(tables: &[(&str, u64)]) -> Vec<TableRows> {
        tables.iter().map(|&(table, rows)| TableRows { table: table.into(), rows }).collect()
    }

    #[test]
    fn each_difference_is_named_and_no_other() {
        let recorded = tables(&[("public.a", 1), ("public.b", 2), ("public.c", 0)]);
        assert_eq!(differences(&recorded, &recorded), Vec::<String>::new());
        let found = tables(&[("public.a", 1), ("public.b", 3), ("public.d", 9)]);
        assert_eq!(
            differences(&recorded, &found),
            [
                "public.b: it had 2 rows, 3 came back",
                "public.c: it had 0 rows and did not come back",
                "public.d: nobody recorded it, 9 rows came",
            ]
        );
        assert_eq!(differences(&recorded, &[]).len(), 3);
    }

    #[test]
    fn of_a_thousand_differences_a_few_are_told() {
        let many: Vec<TableRows> =
            (0..1000).map(|n| TableRows { table: format!("t{n:04}"), rows: n }).collect();
        let told = differences(&many, &[]);
        assert_eq!(told.len(), DIFFERENCES + 1);
        assert_eq!(told.last().unwrap(), "and 980 more tables");
    }
}
