//! What came back, against what was counted when it was dumped.

use std::collections::BTreeMap;
use wharf_backup::TableRows;

/// How many differences are told.
const DIFFERENCES: usize = 20;

/// Every table that differs, in words; empty: they are the same.
pub fn differences(recorded: &[TableRows], found: &[TableRows]) -> Vec<String> {
    let mut found: BTreeMap<&str, u64> =
        found.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    let by_name: BTreeMap<&str, &TableRows> =
        recorded.iter().map(|table| (table.table.as_str(), table)).collect();
    let mut all: Vec<String> = by_name
        .into_iter()
        .filter_map(|(name, table)| differs(table, found.remove(name)).map(|how| format!("{name}: {how}")))
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

/// How what came back of a table is not what was counted.
fn differs(recorded: &TableRows, back: Option<u64>) -> Option<String> {
    let (least, most) = (recorded.rows, recorded.up_to.unwrap_or(recorded.rows));
    let had = match recorded.up_to {
        Some(most) => format!("it had {least} to {most} rows while it was dumped"),
        None => format!("it had {least} rows"),
    };
    match back {
        // It came or went while it was dumped.
        None if recorded.up_to.is_some() && least == 0 => None,
        None => Some(format!("{had} and did not come back")),
        Some(back) if !(least..=most).contains(&back) => Some(format!("{had}, {back} came back")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(tables: &[(&str, u64)]) -> Vec<TableRows> {
        tables.iter().map(|&(table, rows)| TableRows::new(table, rows)).collect()
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
    fn what_changed_while_it_was_dumped_is_between_its_counts() {
        let moving = |table: &str, rows, most| TableRows { up_to: Some(most), ..TableRows::new(table, rows) };
        let recorded = [moving("log", 2, 5), moving("made", 0, 3), TableRows::new("still", 1)];
        for back in [2, 4, 5] {
            let found = tables(&[("log", back), ("made", 3), ("still", 1)]);
            assert_eq!(differences(&recorded, &found), Vec::<String>::new(), "{back}");
        }
        assert_eq!(differences(&recorded, &tables(&[("log", 3), ("still", 1)])), Vec::<String>::new());
        assert_eq!(
            differences(&recorded, &tables(&[("log", 6), ("made", 4), ("still", 2)])),
            [
                "log: it had 2 to 5 rows while it was dumped, 6 came back",
                "made: it had 0 to 3 rows while it was dumped, 4 came back",
                "still: it had 1 rows, 2 came back",
            ]
        );
        let told = differences(&recorded, &tables(&[("still", 1)]));
        assert_eq!(told, ["log: it had 2 to 5 rows while it was dumped and did not come back"]);
    }

    #[test]
    fn of_a_thousand_differences_a_few_are_told() {
        let many: Vec<TableRows> = (0..1000).map(|n| TableRows::new(format!("t{n:04}"), n)).collect();
        let told = differences(&many, &[]);
        assert_eq!(told.len(), DIFFERENCES + 1);
        assert_eq!(told.last().unwrap(), "and 980 more tables");
    }
}
