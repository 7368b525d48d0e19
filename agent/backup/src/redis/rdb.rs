//! A server's own file, checked as it passes: its beginning, its last opcode, its checksum.

use crate::TableRows;
use crate::stream::Watch;

/// How the file begins, and the first of its version's digits.
const MAGICS: [&[u8]; 2] = [b"REDIS0", b"VALKEY"];
const HEAD_BYTES: usize = 9;
/// The opcode that ends the file, before its checksum.
const END: u8 = 0xff;
const CHECKSUM_BYTES: usize = 8;
/// The polynomial of the checksum, its bits reversed.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u64, 0);
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// What has passed.
#[derive(Default)]
pub(crate) struct Rdb {
    head: Vec<u8>,
    /// Of everything but `tail`.
    checksum: u64,
    /// The last bytes: opcode and checksum, if the file ends here.
    tail: Vec<u8>,
}

impl Watch for Rdb {
    fn see(&mut self, piece: &[u8]) {
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(missing));
        self.tail.extend_from_slice(piece);
        let passed = self.tail.len().saturating_sub(CHECKSUM_BYTES);
        // The opcode belongs to what is summed up, so one more byte stays to be looked at.
        let summed = passed.saturating_sub(1);
        for byte in self.tail.drain(..summed) {
            self.checksum = next(self.checksum, byte);
        }
    }

    fn verdict(&mut self) -> Result<Vec<TableRows>, String> {
        if !MAGICS.iter().any(|magic| self.head.starts_with(magic)) {
            return Err("what it wrote does not begin as a file of Redis's does".to_owned());
        }
        let Some((&end, sum)) = self.tail.split_first() else {
            return Err("what it wrote has no end".to_owned());
        };
        let Ok(sum) = <[u8; CHECKSUM_BYTES]>::try_from(sum) else {
            return Err("what it wrote has no end".to_owned());
        };
        let written = u64::from_le_bytes(sum);
        if end != END {
            return Err("what it wrote is cut off".to_owned());
        }
        // A server with `rdbchecksum no` writes zeros.
        if written != 0 && written != next(self.checksum, end) {
            return Err("what it wrote does not have the checksum that it states".to_owned());
        }
        Ok(Vec::new())
    }
}

fn next(checksum: u64, byte: u8) -> u64 {
    let [low, ..] = checksum.to_le_bytes();
    TABLE[usize::from(low ^ byte)] ^ (checksum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Redis 8.0.2 wrote it: two keys in one database, one in another.
    const FILE: &str = "524544495330303132fa0972656469732d76657205382e302e32fa0a72656469732d62697473c040fa05637469\
        6d65c2c1d40a6bfa08757365642d6d656dc258680c00fa08616f662d62617365c000fe00fb0201fcdd1a4f22a2\
        010000000162c002000161c001fe03fb0100000163c001ff1dd3ff08d7d7424b";

    fn verdict(bytes: &[u8], cut: usize) -> Result<Vec<TableRows>, String> {
        let mut rdb = Rdb::default();
        bytes.chunks(cut).for_each(|piece| rdb.see(piece));
        rdb.verdict()
    }

    #[test]
    fn the_checksum_is_redis_own() {
        assert_eq!(b"123456789".iter().fold(0, |sum, &byte| next(sum, byte)), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn a_whole_file_passes_however_it_is_cut() {
        let file = hex::decode(FILE).unwrap();
        for cut in [1, 8, 9, 10, 1000] {
            assert_eq!(verdict(&file, cut), Ok(vec![]), "{cut}");
        }
        let mut without_checksum = file.clone();
        let end = without_checksum.len() - CHECKSUM_BYTES;
        without_checksum[end..].fill(0);
        assert_eq!(verdict(&without_checksum, 16), Ok(vec![]));
    }

    #[test]
    fn damage_anywhere_is_found() {
        let file = hex::decode(FILE).unwrap();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(verdict(&damaged, 16).is_err(), "{at}");
            assert!(verdict(&file[..at], 16).is_err(), "cut at {at}");
        }
    }
}
