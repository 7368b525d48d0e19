//! Frames: `u32 length (big endian), u8 kind, payload`. The length counts the payload alone.
//!
//! **Invariant**: a length is checked against its kind's limit before memory is taken for it.

use crate::limits;
use bytes::{Buf, Bytes, BytesMut};

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
    #[error("a message that cannot be read: {0}")]
    Json(String),
    #[error("bulk data where a message was due")]
    UnexpectedBulk,
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

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub payload: Bytes,
}

impl Frame {
    /// A control frame with `message` as JSON.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] where the JSON is above the limit.
    pub fn control(message: &impl serde::Serialize) -> Result<Self, FrameError> {
        let json = serde_json::to_vec(message).map_err(|e| FrameError::Json(e.to_string()))?;
        Header::new(Kind::Control, json.len())?;
        Ok(Self { kind: Kind::Control, payload: json.into() })
    }

    /// Reads a control frame's JSON.
    ///
    /// # Errors
    /// A bulk frame, or JSON that is not `T`.
    pub fn message<T: serde::de::DeserializeOwned>(&self) -> Result<T, FrameError> {
        match self.kind {
            Kind::Control => {
                serde_json::from_slice(&self.payload).map_err(|e| FrameError::Json(e.to_string()))
            }
            Kind::Bulk => Err(FrameError::UnexpectedBulk),
        }
    }

    /// Header and payload in one piece, ready for the wire.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] above the kind's limit.
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        let header = Header::new(self.kind, self.payload.len())?;
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + self.payload.len());
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&self.payload);
        Ok(bytes.freeze())
    }
}

/// Puts frames together from pieces of a byte stream, wherever the pieces were cut. It holds at most one frame that is
/// not complete and what the last piece brought beyond it.
#[derive(Debug, Default)]
pub struct Assembler {
    buffer: BytesMut,
}

impl Assembler {
    /// Takes the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// As [`Header::decode`]; the stream cannot be read further.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = Header::decode(*header)?;
        let whole = HEADER_BYTES + header.length as usize;
        if self.buffer.len() < whole {
            self.buffer.reserve(whole - self.buffer.len());
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(whole);
        frame.advance(HEADER_BYTES);
        Ok(Some(Frame { kind: header.kind, payload: frame.freeze() }))
    }

    /// Whether the stream ended between two frames.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let frames = [
            Frame { kind: Kind::Control, payload: Bytes::from_static(b"{}") },
            Frame { kind: Kind::Bulk, payload: Bytes::from(vec![7; 1000]) },
            Frame { kind: Kind::Bulk, payload: Bytes::new() },
        ];
        let stream: Vec<u8> = frames.iter().flat_map(|f| f.encode().unwrap()).collect();
        for size in [1, 2, 3, 7, 500, stream.len()] {
            let mut assembler = Assembler::default();
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                assembler.push(piece);
                while let Some(frame) = assembler.next_frame().unwrap() {
                    out.push(frame);
                }
            }
            assert_eq!(out, frames, "pieces of {size}");
            assert!(assembler.is_empty());
        }
    }
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
