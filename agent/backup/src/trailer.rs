//! The end of one program's output where another goes on after it, in the same exec.
//!
//! The engine takes longer to start a program than many a program for its work. So one exec does two things: a shell runs
//! the first program, writes a mark and the exit code behind the output, and becomes the second.

use bytes::{Bytes, BytesMut};

/// Of an exit code.
const DIGITS: usize = 3;

/// Finds the mark, and keeps it out of the output.
pub(crate) struct Trailer {
    mark: String,
    /// The end of what came, which may be the mark.
    kept: BytesMut,
}

impl Trailer {
    /// With a mark that is in no program's output, since it was never there before.
    pub(crate) fn new() -> Self {
        Self { mark: format!("{:032x}", rand::random::<u128>()), kept: BytesMut::new() }
    }

    /// A shell's arguments: it reads a line, gives it to `first` as the last argument, and becomes `second` where that
    /// ended well. `first` reads nothing.
    pub(crate) fn script(&self, first: &[&str], second: &str) -> Vec<String> {
        let script = format!(
            "read -r line && \"$@\" \"$line\" </dev/null; code=$?; printf '%s%0{DIGITS}d' \"$0\" \"$code\"; \
             if [ \"$code\" -ne 0 ]; then exit \"$code\"; fi; exec {second}"
        );
        let shell = ["sh", "-c", &script, &self.mark];
        shell.iter().chain(first).map(|&argument| argument.to_owned()).collect()
    }

    /// Takes what comes next, and returns what is certain to lie before the mark, in order.
    pub(crate) fn pass(&mut self, piece: &Bytes) -> [Bytes; 2] {
        let length = self.mark.len() + DIGITS;
        let before = (self.kept.len() + piece.len()).saturating_sub(length);
        let earlier = self.kept.split_to(before.min(self.kept.len())).freeze();
        let now = piece.slice(..before - earlier.len());
        self.kept.extend_from_slice(&piece[now.len()..]);
        [earlier, now]
    }

    /// The exit code of the first program, once the mark has come.
    pub(crate) fn exit(&self) -> Option<i64> {
        let code = self.kept.strip_prefix(self.mark.as_bytes()).filter(|code| code.len() == DIGITS)?;
        std::str::from_utf8(code).ok()?.parse().ok()
    }

    /// What was kept though it is no mark: the end of an output that nobody marked.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// What passes of an output that comes in pieces of this size, and the exit code.
    fn passed(mut trailer: Trailer, output: &[u8], size: usize) -> (Vec<u8>, Option<i64>) {
        let mut passed = Vec::new();
        for piece in output.chunks(size) {
            assert_eq!(trailer.exit(), None, "before the end");
            trailer
                .pass(&Bytes::copy_from_slice(piece))
                .iter()
                .for_each(|part| passed.extend_from_slice(part));
        }
        (passed, trailer.exit())
    }

    #[test]
    fn the_mark_is_found_however_the_output_is_cut() {
        for output in [&b""[..], b"a", b"0123456789abcdef0123456789abcdef", &[b'x'; 100]] {
            for size in 1..=140 {
                let trailer = Trailer::new();
                let whole = [output, trailer.mark.as_bytes(), b"007"].concat();
                assert_eq!(passed(trailer, &whole, size), (output.to_vec(), Some(7)), "pieces of {size}");
            }
        }
    }

    #[test]
    fn an_output_without_the_mark_has_no_exit_code() {
        let mut trailer = Trailer::new();
        let [earlier, now] = trailer.pass(&Bytes::from_static(b"sh: not found"));
        assert!(earlier.is_empty() && now.is_empty());
        assert_eq!((trailer.exit(), trailer.rest()), (None, &b"sh: not found"[..]));
    }

    #[test]
    fn a_shell_runs_one_after_the_other() {
        for (first, code, second) in [("exit 0", 0, "read: more"), ("exit 3", 3, "")] {
            let trailer = Trailer::new();
            let first = format!("echo \"got $1\"; cat; {first}");
            let arguments = trailer.script(&["sh", "-c", &first, "sh"], "sed 's/^/read: /'");
            let mut child = Command::new(&arguments[0])
                .args(&arguments[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"the line\nmore").unwrap();
            let ended = child.wait_with_output().unwrap();
            let (dump, rest) = ended.stdout.split_at(b"got the line\n".len() + 35);
            assert_eq!(passed(trailer, dump, 7), (b"got the line\n".to_vec(), Some(code)));
            assert_eq!(String::from_utf8_lossy(rest).trim(), second);
            assert_eq!(ended.status.code(), Some(i32::try_from(code).unwrap()));
        }
    }
}
