//! What a program on the server says before the conversation, on the agent's own socket.
//!
//! **Invariant**: it comes from the program that connected, before the first byte of whoever is behind it; and it can only
//! lower what the kernel's word for that program allows.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use wharf_access::{ForcedCommand, Grant};

use wharf_proto::preamble::PREAMBLE_BYTES;
pub use wharf_proto::preamble::Preamble;

/// Of `wharfd connect`.
pub fn of_connect(said: ForcedCommand, from: Option<String>) -> Preamble {
    Preamble { role: said.grant.role, apps: said.grant.apps, key_name: said.key_name, from }
}

/// The most that it lets its program do.
pub fn grant(preamble: &Preamble) -> Grant {
    Grant { role: preamble.role, apps: preamble.apps.clone() }
}

/// Reads one, and not a byte more.
///
/// # Errors
/// What is none.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Preamble> {
    let length = from.read_u32().await?;
    if length > PREAMBLE_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; length as usize];
    from.read_exact(&mut json).await?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_read_and_the_rest_is_left() {
        let said = ForcedCommand::parse("wharfd connect --role read --app blog --key-name ci").unwrap();
        let preamble = of_connect(said, Some("10.0.0.1:5".into()));
        let mut bytes = preamble.encode().unwrap();
        bytes.extend_from_slice(b"rest");
        let mut stream = bytes.as_slice();
        assert_eq!(read(&mut stream).await.unwrap(), preamble);
        assert_eq!(stream, b"rest");
    }

    #[tokio::test]
    async fn what_is_none_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"\0\0\0",
            b"\xff\xff\xff\xff{}",
            b"\0\0\0\x02{}",
            b"\0\0\0\x09{}",
            b"GET / HTTP/1.1",
        ] {
            assert!(read(&mut { bytes }).await.is_err(), "{bytes:?}");
        }
    }
}
