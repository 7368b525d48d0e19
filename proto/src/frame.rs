//! Frames: `u32 length (big endian), u8 kind, payload`. The length counts the payload alone.
//!
//! **Invariant**: a length is checked against its kind's limit before memory is taken for it.

use crate::limits;

/// Length of a frame's header, in bytes.
pub const HEADER_BYTES: usize = 5;

/// What a frame's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One JSON document: a [`crate::message::ClientMessage`] or [`crate::message::ServerMessage`].
    Control,
    /// Raw bytes: a piece of the pack, terminal or file that the last control message announced.
    Bulk,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Control),
            2 => Some(Self::Bulk),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Bulk => 2,
        }
    }

    /// The largest payload of this kind, in bytes.
    pub fn limit_bytes(self) -> u32 {
        match self {
            Self::Control => limits::CONTROL_FRAME_BYTES,
            Self::Bulk => limits::BULK_FRAME_BYTES,
        }
    }
}

/// A header that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Length of the payload, in bytes.
    pub length: u32,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of unknown kind {0}; the other side does not speak Wharf's protocol")]
    UnknownKind(u8),
    #[error("a {kind:?} frame of {length} bytes, more than the {limit} allowed")]
    TooLong { kind: Kind, length: u64, limit: u32 },
}

impl Header {
    /// A header for a payload of `length` bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] above the kind's limit.
    pub fn new(kind: Kind, length: usize) -> Result<Self, FrameError> {
        let limit = kind.limit_bytes();
        match u32::try_from(length) {
            Ok(short) if short <= limit => Ok(Self { kind, length: short }),
            _ => Err(FrameError::TooLong { kind, length: length as u64, limit }),
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// An unknown kind, or a length above the kind's limit.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [a, b, c, d, kind] = bytes;
        let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
        Self::new(kind, u32::from_be_bytes([a, b, c, d]) as usize)
    }

    /// The header's bytes.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.length.to_be_bytes();
        [a, b, c, d, self.kind.byte()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_never_panics_and_inverts_encoding(bytes: [u8; HEADER_BYTES]) {
            if let Ok(header) = Header::decode(bytes) {
                prop_assert!(header.length <= header.kind.limit_bytes());
                prop_assert_eq!(header.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_memory_is_taken() {
        assert!(matches!(Header::decode([0xff, 0xff, 0xff, 0xff, 2]), Err(FrameError::TooLong { .. })));
        assert_eq!(Header::decode(*b"GET /"), Err(FrameError::UnknownKind(b'/')));
    }
}
