//! Opening what a repository holds: blobs and headers of packs, which are encrypted, authenticated and compressed.
//!
//! rustic does that too, with a buffer of its own for each and a decompressor made anew each time. A backup of some hundred
//! megabytes has tens of thousands of blobs, and reads them all back.

use aes256ctr_poly1305aes::aead::AeadInPlace;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce, Tag};
use rustic_core::repofile::MasterKey;
use std::num::NonZeroU32;
use zstd::bulk::Decompressor;

/// Of a nonce, which comes first, and of a tag, which comes last.
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// It was changed after it was written, or written with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Seals what is to be opened with this key.
pub(crate) fn seal(key: &MasterKey, content: &[u8]) -> Result<Vec<u8>, Broken> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let mut sealed = Vec::with_capacity(NONCE_BYTES + content.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(content);
    let open = sealed.get_mut(NONCE_BYTES..).ok_or(Broken)?;
    let tag =
        cipher(key)?.encrypt_in_place_detached(Nonce::from_slice(&nonce), &[], open).map_err(|_| Broken)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

fn cipher(key: &MasterKey) -> Result<Aes256CtrPoly1305Aes, Broken> {
    let parts = [key.encrypt.as_slice(), &key.mac.k, &key.mac.r];
    if parts.map(<[u8]>::len) != [32, 16, 16] {
        return Err(Broken);
    }
    Ok(Aes256CtrPoly1305Aes::new(Key::from_slice(&parts.concat())))
}

/// Opens what was sealed with one key.
pub(crate) struct Opening {
    cipher: Aes256CtrPoly1305Aes,
    decompressor: Decompressor<'static>,
    plain: Vec<u8>,
}

impl Opening {
    pub(crate) fn new(key: &MasterKey) -> Result<Self, Broken> {
        let decompressor = Decompressor::new().map_err(|_| Broken)?;
        Ok(Self { cipher: cipher(key)?, decompressor, plain: Vec::new() })
    }

    /// Decrypts in place. The tag says whether it is what was encrypted.
    pub(crate) fn decrypt<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], Broken> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_BYTES).ok_or(Broken)?;
        let length = rest.len().checked_sub(TAG_BYTES).ok_or(Broken)?;
        let (content, tag) = rest.split_at_mut(length);
        self.cipher
            .decrypt_in_place_detached(Nonce::from_slice(nonce), &[], content, Tag::from_slice(tag))
            .map_err(|_| Broken)?;
        Ok(content)
    }

    /// The content of a blob. `plain_bytes` is its length where it was compressed.
    pub(crate) fn blob<'a>(
        &'a mut self,
        sealed: &'a mut [u8],
        plain_bytes: Option<NonZeroU32>,
    ) -> Result<&'a [u8], Broken> {
        let Some(plain_bytes) = plain_bytes else { return self.decrypt(sealed) };
        // No limit but the number's own: an authenticated index says so, and the tree of a huge folder is one blob.
        let plain_bytes = usize::try_from(plain_bytes.get()).map_err(|_| Broken)?;
        self.decrypt(sealed)?;
        let compressed = sealed.get(NONCE_BYTES..sealed.len() - TAG_BYTES).ok_or(Broken)?;
        self.plain.clear();
        self.plain.reserve(plain_bytes);
        // One that holds more than it should is refused, since there is no room for it.
        let found = self.decompressor.decompress_to_buffer(compressed, &mut self.plain);
        if found.is_ok_and(|found| found == plain_bytes) { Ok(&self.plain) } else { Err(Broken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened() {
        let key = MasterKey::new();
        let mut opening = Opening::new(&key).unwrap();
        for content in [&b""[..], b"a blob"] {
            assert_eq!(opening.blob(&mut seal(&key, content).unwrap(), None), Ok(content));
        }
        for content in [&b"a blob"[..], &[b'x'; 100_000]] {
            let compressed = zstd::bulk::compress(content, 1).unwrap();
            let length = content.len() as u32;
            for (said, opened) in
                [(length, Ok(content)), (length - 1, Err(Broken)), (length + 1, Err(Broken))]
            {
                assert_eq!(
                    opening.blob(&mut seal(&key, &compressed).unwrap(), NonZeroU32::new(said)),
                    opened
                );
            }
        }
    }

    #[test]
    fn what_was_changed_is_not() {
        let key = MasterKey::new();
        let mut opening = Opening::new(&key).unwrap();
        let whole = seal(&key, b"a blob").unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(opening.blob(&mut flipped, None), Err(Broken), "{at}");
            assert_eq!(opening.blob(&mut whole.clone()[..at], None), Err(Broken), "{at}");
        }
        assert_eq!(Opening::new(&MasterKey::new()).unwrap().blob(&mut whole.clone(), None), Err(Broken));
        assert_eq!(
            opening.blob(&mut seal(&key, b"not compressed").unwrap(), NonZeroU32::new(14)),
            Err(Broken)
        );
    }
}
