//! What a program on the server says before the conversation, on the agent's own socket.
//!
//! **Invariant**: it comes from the program that connected, before the first byte of whoever is behind it; and it can only
//! lower what the kernel's word for that program allows.

use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use wharf_access::{ForcedCommand, Grant};
use wharf_proto::{Apps, Role};

/// Far above what a line of `authorized_keys` can say.
const PREAMBLE_BYTES: u32 = 64 * 1024;

/// The limits, and what the audit is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preamble {
    role: Role,
    apps: Apps,
    /// The key that was used, as its line names it.
    pub key_name: Option<String>,
    /// Where the connection came from, as sshd says.
    pub from: Option<String>,
}

impl Preamble {
    /// Of a program that was not started for somebody else.
    pub fn own() -> Self {
        let Grant { role, apps } = Grant::everything();
        Self { role, apps, key_name: None, from: None }
    }

    /// Of `wharfd connect`.
    pub fn of_connect(said: ForcedCommand, from: Option<String>) -> Self {
        Self { role: said.grant.role, apps: said.grant.apps, key_name: said.key_name, from }
    }

    pub fn grant(&self) -> Grant {
        Grant { role: self.role, apps: self.apps.clone() }
    }

    /// As it is sent.
    ///
    /// # Errors
    /// One that is longer than any line of `authorized_keys`.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= PREAMBLE_BYTES);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok([length.to_be_bytes().as_slice(), &json].concat())
    }

    /// Reads one, and not a byte more.
    ///
    /// # Errors
    /// What is none.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let length = from.read_u32().await?;
        if length > PREAMBLE_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut json = vec![0; length as usize];
        from.read_exact(&mut json).await?;
        Ok(serde_json::from_slice(&json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_read_and_the_rest_is_left() {
        let said = ForcedCommand::parse("wharfd connect --role read --app blog --key-name ci").unwrap();
        let preamble = Preamble::of_connect(said, Some("10.0.0.1:5".into()));
        let mut bytes = preamble.encode().unwrap();
        bytes.extend_from_slice(b"rest");
        let mut stream = bytes.as_slice();
        assert_eq!(Preamble::read(&mut stream).await.unwrap(), preamble);
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
            assert!(Preamble::read(&mut { bytes }).await.is_err(), "{bytes:?}");
        }
    }
}
