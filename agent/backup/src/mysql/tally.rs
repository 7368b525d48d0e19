//! The rows of a dump, counted as they pass.
//!
//! `--single-transaction` opens a snapshot that no other connection can share, so rows that are counted on the server are of
//! another moment. What is in the dump itself is of exactly its moment.
//!
//! `mysqldump` writes one statement a line or more, each from the beginning of a line, and no line break inside a text. Bodies of
//! triggers and routines stand between `DELIMITER ;;` and `DELIMITER ;`, and are not looked at.

use crate::TableRows;
use crate::stream::Watch;
use std::collections::BTreeMap;

/// How much of a line is looked at: longer than any that begins a statement of interest with its table's name.
const LINE_BYTES: usize = 1024;
/// How much of the end is kept.
const TAIL_BYTES: usize = 256;
const INSERT: &[u8] = b"INSERT INTO `";
const COMPLETED: &str = "-- Dump completed";

/// What has passed.
#[derive(Default)]
pub(crate) struct Tally {
    tables: BTreeMap<String, u64>,
    line: Vec<u8>,
    state: State,
    tail: Vec<u8>,
    /// Whether some statement names a database, and so would reach beyond the one that it is run in.
    pub(crate) names_a_database: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Statements,
    /// Until `DELIMITER ;`.
    Bodies,
    Insert(Insert),
}

/// An `INSERT`, from its table's name on.
#[derive(Default)]
struct Insert {
    name: Vec<u8>,
    named: bool,
    /// `VALUES` has come: what stands in parentheses is a row, and no list of columns.
    values: bool,
    depth: u32,
    quote: Option<u8>,
    escaped: bool,
    rows: u64,
}

impl Watch for Tally {
    fn see(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.take(byte);
        }
        let tail = piece.get(piece.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        self.tail.extend_from_slice(tail);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }

    fn verdict(&mut self) -> Result<Vec<TableRows>, String> {
        let tail = String::from_utf8_lossy(&self.tail);
        if !tail.lines().next_back().is_some_and(|line| line.starts_with(COMPLETED)) {
            return Err(format!("what it wrote does not end with \"{COMPLETED}\""));
        }
        let tables = std::mem::take(&mut self.tables);
        Ok(tables.into_iter().map(|(table, rows)| TableRows::new(table, rows)).collect())
    }
}

impl Tally {
    fn take(&mut self, byte: u8) {
        if let State::Insert(insert) = &mut self.state {
            if insert.take(byte) {
                let name = String::from_utf8_lossy(&insert.name).into_owned();
                *self.tables.entry(name).or_default() += insert.rows;
                self.state = State::Statements;
                self.line.clear();
            }
            return;
        }
        if byte == b'\n' {
            self.end_of_line();
            self.line.clear();
            return;
        }
        if self.line.len() < LINE_BYTES {
            self.line.push(byte);
        }
        if matches!(self.state, State::Statements) && self.line == INSERT {
            self.state = State::Insert(Insert::default());
        }
    }

    fn end_of_line(&mut self) {
        let line = self.line.as_slice();
        match self.state {
            State::Bodies if line == b"DELIMITER ;" => self.state = State::Statements,
            State::Statements if line == b"DELIMITER ;;" => self.state = State::Bodies,
            State::Statements => {
                if let Some(rest) = line.strip_prefix(b"CREATE TABLE `") {
                    self.tables.entry(quoted(rest)).or_default();
                }
                let words: [&[u8]; 3] = [b"ALTER DATABASE", b"CREATE DATABASE", b"USE `"];
                self.names_a_database |= words.iter().any(|word| line.starts_with(word));
            }
            State::Bodies | State::Insert(_) => {}
        }
    }
}

impl Insert {
    /// Whether the statement ends here.
    fn take(&mut self, byte: u8) -> bool {
        if !self.named {
            // A doubled quote is one; the second of them comes when the name seemed to have ended.
            match (byte, self.escaped) {
                (b'`', false) => self.escaped = true,
                (b'`', true) => {
                    self.name.push(byte);
                    self.escaped = false;
                }
                (_, true) => {
                    self.named = true;
                    self.escaped = false;
                    return self.after_name(byte);
                }
                (_, false) => self.name.push(byte),
            }
            return false;
        }
        self.after_name(byte)
    }

    fn after_name(&mut self, byte: u8) -> bool {
        if let Some(quote) = self.quote {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' && quote != b'`' {
                self.escaped = true;
            } else if byte == quote {
                // A doubled quote ends the text and begins it again, which comes to the same.
                self.quote = None;
            }
            return false;
        }
        match byte {
            b'\'' | b'"' | b'`' => self.quote = Some(byte),
            b'(' => self.depth += 1,
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                self.rows += u64::from(self.depth == 0 && self.values);
            }
            b'V' if self.depth == 0 => self.values = true,
            b';' if self.depth == 0 => return true,
            _ => {}
        }
        false
    }
}

/// A name up to its closing quote.
fn quoted(text: &[u8]) -> String {
    let mut name = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'`' && bytes.next_if_eq(&b'`').is_none() {
            break;
        }
        name.push(byte);
    }
    String::from_utf8_lossy(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r"/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.20-11.8.9-MariaDB, for debian-linux-gnu (x86_64)
DROP TABLE IF EXISTS `empty`;
CREATE TABLE `empty` (
  `id` int(11) DEFAULT NULL
) ENGINE=InnoDB;
CREATE TABLE `gen` (
  `a` int(11) DEFAULT NULL
) ENGINE=InnoDB;
INSERT INTO `gen` (`a`, `V)b`, `c`) VALUES (1,2,3),
(2,3,3);
CREATE TABLE `it``ems` (
  `id` int(11) NOT NULL
) ENGINE=InnoDB;
INSERT INTO `it``ems` VALUES
(1,'a (b), \'c\'',0x00FF0A275C,'multi\nline;\n) ('),
(2,'x\\',NULL,'INSERT INTO `it``ems` VALUES\n(1)');
INSERT INTO `it``ems` VALUES (3,'it''s; (',NULL,''),(4,'',POINT(1,2),'');
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 trigger tr after insert on items for each row begin
INSERT INTO `log` VALUES (1);
CREATE TABLE `never` (a int);
end 
*/;;
DELIMITER ;
/*!50001 CREATE VIEW `v` AS SELECT
 NULL AS `id` */;

-- Dump completed
";

    fn tally(dump: &str, cut: usize) -> Tally {
        let mut tally = Tally::default();
        dump.as_bytes().chunks(cut).for_each(|piece| tally.see(piece));
        tally
    }

    #[test]
    fn rows_are_counted_however_the_dump_is_cut() {
        for cut in [1, 7, 64, 100_000] {
            let mut tally = tally(DUMP, cut);
            let rows: Vec<(String, u64)> =
                tally.verdict().unwrap().into_iter().map(|table| (table.table, table.rows)).collect();
            let expected = [("empty", 0), ("gen", 2), ("it`ems", 4)].map(|(t, n)| (t.to_owned(), n));
            assert_eq!(rows, expected, "{cut}");
            assert!(!tally.names_a_database);
        }
    }

    #[test]
    fn a_dump_without_its_last_line_is_none() {
        for end in [0, 10, DUMP.len() - 20] {
            let why = tally(&DUMP[..end], 64).verdict().unwrap_err();
            assert!(why.contains("Dump completed"), "{why}");
        }
        let in_a_text = "INSERT INTO `t` VALUES ('\n-- Dump completed');\nmore\n";
        assert!(tally(in_a_text, 64).verdict().is_err());
    }

    #[test]
    fn statements_that_name_a_database_are_seen() {
        for statement in ["ALTER DATABASE `shop` CHARACTER SET utf8mb4 ;\n", "USE `shop`;\n"] {
            assert!(tally(statement, 3).names_a_database, "{statement}");
        }
        assert!(!tally("INSERT INTO `t` VALUES ('\\nUSE `shop`;\\n');\n", 3).names_a_database);
    }
}
