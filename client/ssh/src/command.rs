//! An ordinary command on a server: what `ssh host command` does, for setting a server up.
//!
//! **Invariants**: what it prints is kept up to a bound, the rest is read and dropped; the whole has a timeout.

use crate::{client::Lost, client::printable, error::SshError};
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What is kept of standard output, and of standard error.
const OUTPUT_BYTES: usize = 1024 * 1024;
/// What is sent at once.
const PIECE_BYTES: usize = 32 * 1024;

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// `None` where a signal ended it.
    pub status: Option<u32>,
    /// The first MiB.
    pub stdout: String,
    /// The first MiB, fit for a terminal.
    pub stderr: String,
}

/// Runs what was asked for on `channel`, with `input` as its standard input.
pub async fn run(
    channel: Channel<Msg>,
    input: impl AsyncRead + Unpin,
    lost: &Lost,
    place: &str,
) -> Result<Output, SshError> {
    let (read, write) = channel.split();
    // Both in turn, neither waiting for the other: see `conversation`.
    let (output, ()) = tokio::join!(take_in(read, lost, place), put_out(write, input));
    output
}

async fn take_in(mut read: ChannelReadHalf, lost: &Lost, place: &str) -> Result<Output, SshError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut status, mut ended) = (None, false);
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data }) => keep(&mut out, &data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => keep(&mut err, &data),
            Some(ChannelMsg::ExitStatus { exit_status }) => (status, ended) = (Some(exit_status), true),
            Some(ChannelMsg::ExitSignal { .. }) => ended = true,
            Some(ChannelMsg::Failure) => return Err(SshError::CommandRefused { place: place.to_owned() }),
            Some(ChannelMsg::Close) => break,
            None if ended => break,
            None => return Err(SshError::Lost { place: place.to_owned(), why: lost.why() }),
            Some(_) => {}
        }
    }
    let stderr: Vec<String> = String::from_utf8_lossy(&err).lines().map(printable).collect();
    Ok(Output { status, stdout: String::from_utf8_lossy(&out).into_owned(), stderr: stderr.join("\n") })
}

fn keep(kept: &mut Vec<u8>, data: &[u8]) {
    let room = OUTPUT_BYTES.saturating_sub(kept.len());
    kept.extend(data.iter().take(room));
}

/// What cannot be sent any more, or read, shows in how the command ends.
async fn put_out(write: ChannelWriteHalf<Msg>, mut input: impl AsyncRead + Unpin) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = input.read(&mut piece).await {
        let bytes = Bytes::copy_from_slice(piece.get(..count).unwrap_or_default());
        if write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
    let _ = write.eof().await;
}
