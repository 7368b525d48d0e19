//! The rolling hash by which rustic cuts files into chunks: Rabin fingerprints, as restic has them.
//!
//! It stands in for `rustic_cdc` 0.3.1, with those parts of its interface that `rustic_core` uses. rustic begins a hash for
//! each file, and the original calculates its tables each time: 85 µs, of which a project with 20,000 files has 1.7 s. Here
//! they are calculated once.
//!
//! **Invariant**: the hashes are the original's to the bit. Others would cut every file elsewhere, and everything would be
//! stored anew.

use std::sync::{Arc, Mutex, PoisonError};

/// A polynomial over GF(2); each bit is a coefficient.
pub type Polynom64 = u64;

pub trait Polynom {
    /// The highest power of it; -1 where there is none.
    fn degree(&self) -> i32;

    /// What is left when it is divided.
    #[must_use]
    fn modulo(&self, m: &Self) -> Self;
}

impl Polynom for Polynom64 {
    fn degree(&self) -> i32 {
        63 - i32::try_from(self.leading_zeros()).unwrap_or(64)
    }

    fn modulo(&self, m: &Self) -> Self {
        let mut left = *self;
        while left.degree() >= m.degree() {
            left ^= m << (left.degree() - m.degree());
        }
        left
    }
}

/// A hash of the last bytes of what has passed.
pub trait RollingHash64 {
    /// Begins anew, with all of the window but one byte.
    fn reset_and_prefill_window<I>(&mut self, bytes: &mut I) -> usize
    where
        I: Iterator<Item = u8>;

    /// Takes one more byte in, and lets the oldest one out.
    fn slide(&mut self, byte: u8);
}

#[derive(Debug, Clone)]
pub struct Rabin64 {
    tables: Arc<Tables>,
    /// The bytes that are hashed, in a ring.
    window: [u8; 256],
    at: u8,
    pub hash: Polynom64,
}

/// What depends on the polynomial and the window's size alone.
#[derive(Debug)]
struct Tables {
    modulus: Polynom64,
    /// The window's size is a power of two; this is one less.
    window_mask: u8,
    /// The degree of the polynomial, less a byte.
    shift: u32,
    /// By the byte that goes out of the window.
    out: [Polynom64; 256],
    /// By the highest byte of the hash.
    modulo: [Polynom64; 256],
}

/// Those that were used last.
static TABLES: Mutex<Option<Arc<Tables>>> = Mutex::new(None);

impl Rabin64 {
    /// `window_size_nb_bits` is at most 8, `modulus` of a degree from 8 to 55; rustic's are 6 and 53.
    #[must_use]
    pub fn new_with_polynom(window_size_nb_bits: u32, modulus: &Polynom64) -> Self {
        let window_mask = u8::MAX >> 8_u32.saturating_sub(window_size_nb_bits).min(7);
        let mut kept = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = match kept.as_ref() {
            Some(tables) if tables.modulus == *modulus && tables.window_mask == window_mask => {
                Arc::clone(tables)
            }
            _ => Arc::clone(kept.insert(Arc::new(Tables::new(window_mask, *modulus)))),
        };
        Self { tables, window: [0; 256], at: 0, hash: 0 }
    }
}

impl Tables {
    fn new(window_mask: u8, modulus: Polynom64) -> Self {
        let degree = u32::try_from(modulus.degree()).unwrap_or_default();
        let (mut out, mut modulo) = ([0; 256], [0; 256]);
        for (byte, (out, modulo)) in (0..).zip(out.iter_mut().zip(&mut modulo)) {
            let byte: Polynom64 = byte;
            *out = (0..window_mask).fold(byte.modulo(&modulus), |hash, _| (hash << 8).modulo(&modulus));
            let high = byte << degree;
            *modulo = high.modulo(&modulus) | high;
        }
        Self { modulus, window_mask, shift: degree.saturating_sub(8), out, modulo }
    }
}

impl RollingHash64 for Rabin64 {
    fn reset_and_prefill_window<I>(&mut self, bytes: &mut I) -> usize
    where
        I: Iterator<Item = u8>,
    {
        self.hash = 0;
        // As if the window had nothing but zeros, which hash to nothing.
        self.window = [0; 256];
        let count = usize::from(self.tables.window_mask);
        let mut taken = 0;
        for byte in bytes.take(count) {
            self.slide(byte);
            taken += 1;
        }
        taken
    }

    #[inline]
    fn slide(&mut self, byte: u8) {
        let tables = self.tables.as_ref();
        let at = usize::from(self.at);
        self.hash ^= tables.out[usize::from(self.window[at])];
        self.window[at] = byte;
        let high = ((self.hash >> tables.shift) & 0xff) as usize;
        self.hash = ((self.hash << 8) | Polynom64::from(byte)) ^ tables.modulo[high];
        self.at = self.at.wrapping_add(1) & tables.window_mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULUS: Polynom64 = 0x003D_A335_8B4D_C173;

    /// Without tables: the bytes as one long polynomial.
    fn plainly(bytes: &[u8], modulus: Polynom64) -> Polynom64 {
        bytes.iter().fold(0, |hash: Polynom64, byte| ((hash << 8) | Polynom64::from(*byte)).modulo(&modulus))
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn it_is_the_hash_of_the_window() {
        let bytes = noise(1000);
        for (bits, modulus) in [(6, MODULUS), (5, MODULUS), (8, MODULUS), (6, 0x0020_0000_0000_0001 | 0b1011)]
        {
            let (size, mut hash) = (1 << bits, Rabin64::new_with_polynom(bits, &modulus));
            for start in [300, 500] {
                let mut before = bytes[start - (size - 1)..start].iter().copied();
                assert_eq!(hash.reset_and_prefill_window(&mut before), size - 1, "{bits}");
                for at in start..start + 400 {
                    hash.slide(bytes[at]);
                    assert_eq!(hash.hash, plainly(&bytes[at + 1 - size..=at], modulus), "{bits} {at}");
                }
            }
        }
    }

    /// Of the original, at the places where rustic cut a file of these bytes.
    #[test]
    fn chunks_are_cut_where_they_always_were() {
        let bytes = noise(100_000);
        let mut hash = Rabin64::new_with_polynom(6, &MODULUS);
        hash.reset_and_prefill_window(&mut bytes[..63].iter().copied());
        let mut cuts = Vec::new();
        for (at, byte) in bytes.iter().enumerate().skip(63) {
            hash.slide(*byte);
            if hash.hash & 0x3fff == 0 {
                cuts.push(at);
            }
        }
        assert_eq!(cuts, CUTS);
    }

    const CUTS: [usize; 7] = [5583, 27562, 68406, 69204, 70712, 71062, 95907];

    #[test]
    fn polynomials_divide() {
        for (a, m, left) in [(7_u64, 3, 1), (7, 4, 3), (16, 8, 0), (19, 8, 3), (16, 4, 0), (19, 4, 3)] {
            assert_eq!(a.modulo(&m), left);
        }
        assert_eq!((0_u64.degree(), 1_u64.degree(), (1_u64 << 7).degree()), (-1, 0, 7));
    }
}
