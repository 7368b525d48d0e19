//! The few packets of SFTP, version 3, that a back end needs: over any stream, several requests under way at once.
//!
//! **Invariant**: what the server says is foreign: every length is checked before it is used, and an answer that was not
//! asked for ends the session.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The longest packet that is taken, in bytes; servers send at most 256 KiB.
const PACKET_BYTES: u32 = 512 * 1024;
/// How much one read or write moves: what every server must take.
pub(super) const PIECE_BYTES: usize = 32 * 1024;
/// Requests that are under way at once. What the server has read of one is answered soon, so that pipes stay empty enough.
pub(super) const AT_ONCE: usize = 32;
/// How long the server may be silent while it is asked something.
const SILENCE: Duration = Duration::from_secs(45);

const INIT: u8 = 1;
const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

const ATTR_SIZE: u32 = 1;
const ATTR_OWNER: u32 = 2;
const ATTR_MODE: u32 = 4;
const ATTR_TIMES: u32 = 8;
const ATTR_EXTENDED: u32 = 0x8000_0000;

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The server said no; its own number for it.
    #[error("{said} (status {code})")]
    Status { code: u32, said: String },
    /// The session is of no use any more.
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { code: 2, .. })
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::Status { code: 1, .. })
    }
}

/// What is asked.
pub(super) enum Ask<'a> {
    Open { path: &'a str, flags: u32 },
    Close { handle: &'a Bytes },
    Read { handle: &'a Bytes, offset: u64, length: u32 },
    Write { handle: &'a Bytes, offset: u64, content: &'a [u8] },
    Sync { handle: &'a Bytes },
    OpenFolder { path: &'a str },
    ReadFolder { handle: &'a Bytes },
    Size { path: &'a str },
    MakeFolder { path: &'a str },
    Remove { path: &'a str },
    Rename { from: &'a str, to: &'a str },
}

pub(super) const READ: u32 = 1;
/// To write, in a file that is new.
pub(super) const CREATE: u32 = 2 | 8 | 32;

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<Entry>),
    Size(u64),
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) folder: bool,
}

/// A session over a stream.
pub(super) struct Session<S> {
    stream: S,
    next: u32,
    broken: bool,
    syncs: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Agrees on the version.
    pub(super) async fn start(stream: S) -> Result<Self, Fault> {
        let mut session = Self { stream, next: 0, broken: true, syncs: false };
        let mut hello = BytesMut::new();
        hello.put_u32(5);
        hello.put_u8(INIT);
        hello.put_u32(3);
        session.send(&hello).await?;
        let (kind, mut body) = session.receive().await?;
        let version = number(&mut body)?;
        if kind != VERSION || version < 3 {
            return Err(Fault::Broken(format!("it speaks version {version} of SFTP")));
        }
        while body.has_remaining() {
            let extension = text(&mut body)?;
            text(&mut body)?;
            session.syncs |= extension == b"fsync@openssh.com"[..];
        }
        session.broken = false;
        Ok(session)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the server can be asked to put a file on its disk.
    pub(super) fn syncs(&self) -> bool {
        self.syncs
    }

    /// Asks one thing.
    pub(super) async fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, Fault> {
        let mut answers = self.ask_all(&[ask]).await?;
        answers.pop().unwrap_or_else(|| Err(Fault::Broken("there is no answer".to_owned())))
    }

    /// Asks several things at once, at most [`AT_ONCE`]; the answers in their order. `Err`: the session is broken.
    pub(super) async fn ask_all(&mut self, asks: &[Ask<'_>]) -> Result<Vec<Result<Answer, Fault>>, Fault> {
        if self.broken {
            return Err(Fault::Broken("the session has ended".to_owned()));
        }
        // Whoever drops this future in the middle leaves answers behind that nobody would expect.
        self.broken = true;
        let first = self.next;
        let mut packets = BytesMut::new();
        for ask in asks {
            encode(&mut packets, self.next, ask);
            self.next = self.next.wrapping_add(1);
        }
        self.send(&packets).await?;
        let mut answers: Vec<Option<Result<Answer, Fault>>> = asks.iter().map(|_| None).collect();
        for _ in asks {
            let (kind, mut body) = self.receive().await?;
            let id = number(&mut body)?.wrapping_sub(first);
            let slot = usize::try_from(id).ok().and_then(|at| answers.get_mut(at));
            match slot {
                Some(slot @ None) => *slot = Some(decode(kind, body)),
                _ => return Err(Fault::Broken("it answers what was not asked".to_owned())),
            }
        }
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        if let Some(Err(Fault::Broken(why))) = answers.iter().find(|a| matches!(a, Err(Fault::Broken(_)))) {
            return Err(Fault::Broken(why.clone()));
        }
        self.broken = false;
        Ok(answers)
    }

    /// The entries of a folder.
    pub(super) async fn folder(&mut self, path: &str) -> Result<Vec<Entry>, Fault> {
        let handle = handle(self.ask(Ask::OpenFolder { path }).await?)?;
        let mut entries = Vec::new();
        loop {
            match self.ask(Ask::ReadFolder { handle: &handle }).await {
                Ok(Answer::Names(names)) => entries.extend(names),
                Ok(_) => return Err(Fault::Broken("a folder's entries are none".to_owned())),
                Err(fault) if fault.is_end() => break,
                Err(fault) => return Err(fault),
            }
        }
        self.ask(Ask::Close { handle: &handle }).await?;
        entries.retain(|entry| entry.name != "." && entry.name != "..");
        Ok(entries)
    }

    async fn send(&mut self, packets: &[u8]) -> Result<(), Fault> {
        let sending = async {
            self.stream.write_all(packets).await?;
            self.stream.flush().await
        };
        in_time(sending).await
    }

    async fn receive(&mut self) -> Result<(u8, Bytes), Fault> {
        let length = in_time(self.stream.read_u32()).await?;
        if !(1..=PACKET_BYTES).contains(&length) {
            return Err(Fault::Broken(format!("it sends a packet of {length} bytes")));
        }
        let mut packet = vec![0; usize::try_from(length).unwrap_or_default()];
        in_time(self.stream.read_exact(&mut packet)).await?;
        let mut packet = Bytes::from(packet);
        let kind = packet.get_u8();
        Ok((kind, packet))
    }
}

async fn in_time<T>(call: impl Future<Output = std::io::Result<T>>) -> Result<T, Fault> {
    match timeout(SILENCE, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Fault::Broken(format!("the connection broke: {error}"))),
        Err(_) => Err(Fault::Broken(format!("no answer within {} s", SILENCE.as_secs()))),
    }
}

pub(super) fn handle(answer: Answer) -> Result<Bytes, Fault> {
    match answer {
        Answer::Handle(handle) => Ok(handle),
        _ => Err(Fault::Broken("a file was opened without a handle".to_owned())),
    }
}

fn encode(packets: &mut BytesMut, id: u32, ask: &Ask<'_>) {
    let mut body = BytesMut::new();
    let kind = match ask {
        Ask::Open { path, flags } => {
            put(&mut body, path.as_bytes());
            body.put_u32(*flags);
            // Nobody else is to read it.
            body.put_u32(ATTR_MODE);
            body.put_u32(0o600);
            3
        }
        Ask::Close { handle } => {
            put(&mut body, handle);
            4
        }
        Ask::Read { handle, offset, length } => {
            put(&mut body, handle);
            body.put_u64(*offset);
            body.put_u32(*length);
            5
        }
        Ask::Write { handle, offset, content } => {
            put(&mut body, handle);
            body.put_u64(*offset);
            put(&mut body, content);
            6
        }
        Ask::Sync { handle } => {
            put(&mut body, b"fsync@openssh.com");
            put(&mut body, handle);
            200
        }
        Ask::OpenFolder { path } => {
            put(&mut body, path.as_bytes());
            11
        }
        Ask::ReadFolder { handle } => {
            put(&mut body, handle);
            12
        }
        Ask::Remove { path } => {
            put(&mut body, path.as_bytes());
            13
        }
        Ask::MakeFolder { path } => {
            put(&mut body, path.as_bytes());
            body.put_u32(ATTR_MODE);
            body.put_u32(0o700);
            14
        }
        Ask::Size { path } => {
            put(&mut body, path.as_bytes());
            17
        }
        Ask::Rename { from, to } => {
            put(&mut body, from.as_bytes());
            put(&mut body, to.as_bytes());
            18
        }
    };
    packets.put_u32(length(body.len()) + 5);
    packets.put_u8(kind);
    packets.put_u32(id);
    packets.extend_from_slice(&body);
}

fn put(packet: &mut BytesMut, text: &[u8]) {
    packet.put_u32(length(text.len()));
    packet.extend_from_slice(text);
}

/// Of what this side writes, which is never longer than a piece and a path.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn decode(kind: u8, mut body: Bytes) -> Result<Answer, Fault> {
    match kind {
        STATUS => {
            let code = number(&mut body)?;
            let said = text(&mut body).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).take(200).collect();
            if code == 0 { Ok(Answer::Done) } else { Err(Fault::Status { code, said }) }
        }
        HANDLE => Ok(Answer::Handle(text(&mut body)?)),
        DATA => Ok(Answer::Data(text(&mut body)?)),
        NAME => {
            let count = number(&mut body)?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = text(&mut body)?;
                text(&mut body)?;
                let (size_bytes, mode) = attributes(&mut body)?;
                names.push(Entry {
                    name: String::from_utf8_lossy(&name).into_owned(),
                    size_bytes,
                    folder: mode & 0o170_000 == 0o040_000,
                });
            }
            Ok(Answer::Names(names))
        }
        ATTRS => Ok(Answer::Size(attributes(&mut body)?.0)),
        _ => Err(Fault::Broken(format!("it sends a packet of the kind {kind}"))),
    }
}

/// Size and mode.
fn attributes(body: &mut Bytes) -> Result<(u64, u32), Fault> {
    let flags = number(body)?;
    let (mut size_bytes, mut mode) = (0, 0);
    if flags & ATTR_SIZE != 0 {
        size_bytes = body.try_get_u64().map_err(|_| short())?;
    }
    if flags & ATTR_OWNER != 0 {
        body.try_get_u64().map_err(|_| short())?;
    }
    if flags & ATTR_MODE != 0 {
        mode = number(body)?;
    }
    if flags & ATTR_TIMES != 0 {
        body.try_get_u64().map_err(|_| short())?;
    }
    if flags & ATTR_EXTENDED != 0 {
        for _ in 0..number(body)? {
            text(body)?;
            text(body)?;
        }
    }
    Ok((size_bytes, mode))
}

fn number(body: &mut Bytes) -> Result<u32, Fault> {
    body.try_get_u32().map_err(|_| short())
}

fn text(body: &mut Bytes) -> Result<Bytes, Fault> {
    let length = usize::try_from(number(body)?).unwrap_or(usize::MAX);
    if length > body.remaining() {
        return Err(short());
    }
    Ok(body.split_to(length))
}

fn short() -> Fault {
    Fault::Broken("it sends a packet that is cut short".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_breaks_the_session_and_nothing_else() {
        // An answer with two names, the second with every attribute.
        let mut whole = BytesMut::new();
        whole.put_u32(2);
        for (name, flags) in
            [("a", 0), ("b", ATTR_SIZE | ATTR_OWNER | ATTR_MODE | ATTR_TIMES | ATTR_EXTENDED)]
        {
            put(&mut whole, name.as_bytes());
            put(&mut whole, b"long");
            whole.put_u32(flags);
        }
        whole.put_u64(7);
        whole.put_u64(0);
        whole.put_u32(0o040_755);
        whole.put_u64(0);
        whole.put_u32(1);
        put(&mut whole, b"x");
        put(&mut whole, b"y");
        let whole = whole.freeze();
        let Ok(Answer::Names(names)) = decode(NAME, whole.clone()) else { panic!("two names") };
        assert_eq!(names.last(), Some(&Entry { name: "b".into(), size_bytes: 7, folder: true }));
        for end in 0..whole.len() {
            assert!(matches!(decode(NAME, whole.slice(..end)), Err(Fault::Broken(_))), "{end}");
        }
        let lying = Bytes::from_static(&[0xff; 64]);
        assert!(matches!(decode(DATA, lying.clone()), Err(Fault::Broken(_))));
        assert!(matches!(decode(NAME, lying), Err(Fault::Broken(_))));
    }
}
