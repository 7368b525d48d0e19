//! Running one `docker compose` command: its environment, its output, its end.

use super::ComposeError;
use crate::StreamKind;
use crate::line::LineSplitter;
use crate::supervise::{SuperviseSpec, Supervised, Supervisor, spawn_directly};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How many of the last lines of standard error a failure carries.
const KEPT_LINES: usize = 40;
/// What `config` may print at most.
const OUTPUT_BYTES: u64 = 16 * 1024 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// One command, ready to run.
pub(crate) struct Run {
    pub spec: SuperviseSpec,
    pub supervisor: Option<Arc<Supervisor>>,
    pub subcommand: &'static str,
    pub limit: Duration,
}

/// How a command ended that was let end.
pub(crate) struct Ended {
    pub code: i32,
    pub lines: Vec<String>,
}

impl Run {
    fn spawn(&self) -> Result<Supervised, ComposeError> {
        Ok(match &self.supervisor {
            Some(supervisor) => supervisor.spawn(&self.spec)?,
            None => spawn_directly(&self.spec)?,
        })
    }

    /// Runs it to its end and hands out every line that it writes.
    pub(crate) async fn streaming(
        self,
        mut on_line: impl FnMut(StreamKind, &str) + Send,
    ) -> Result<Ended, ComposeError> {
        let mut child = self.spawn()?;
        let mut stdout = Lines::new(child.take_stdout());
        let mut stderr = Lines::new(child.take_stderr());
        let mut last = VecDeque::new();
        let reading = async {
            while !(stdout.ended && stderr.ended) {
                let (kind, lines) = tokio::select! {
                    lines = stdout.read(), if !stdout.ended => (StreamKind::Stdout, lines),
                    lines = stderr.read(), if !stderr.ended => (StreamKind::Stderr, lines),
                };
                for line in
                    lines.map_err(|source| ComposeError::Read { subcommand: self.subcommand, source })?
                {
                    on_line(kind, &line);
                    if kind == StreamKind::Stderr {
                        keep(&mut last, line);
                    }
                }
            }
            Ok::<_, ComposeError>(child.wait().await?)
        };
        match tokio::time::timeout(self.limit, reading).await {
            Ok(code) => Ok(Ended { code: code?, lines: last.into() }),
            Err(_) => {
                child.end().await?;
                Err(self.too_long())
            }
        }
    }

    /// Runs it to its end and gives what it prints, which nobody else sees.
    pub(super) async fn printing(self) -> Result<String, ComposeError> {
        let mut child = self.spawn()?;
        let subcommand = self.subcommand;
        let stdout = child.take_stdout();
        let mut stderr = Lines::new(child.take_stderr());
        let mut printed = Vec::new();
        let mut last = VecDeque::new();
        let run = async {
            let read = |source| ComposeError::Read { subcommand, source };
            let print = async {
                match stdout {
                    Some(stdout) => stdout.take(OUTPUT_BYTES + 1).read_to_end(&mut printed).await.map(drop),
                    None => Ok(()),
                }
            };
            let complain = async {
                while !stderr.ended {
                    stderr.read().await?.into_iter().for_each(|line| keep(&mut last, line));
                }
                Ok(())
            };
            tokio::try_join!(print, complain).map_err(read)?;
            Ok::<_, ComposeError>(child.wait().await?)
        };
        let code = match tokio::time::timeout(self.limit, run).await {
            Ok(code) => code?,
            Err(_) => {
                child.end().await?;
                return Err(self.too_long());
            }
        };
        if code != 0 {
            return Err(ComposeError::Failed { subcommand, code, lines: last.into() });
        }
        if printed.len() as u64 > OUTPUT_BYTES {
            let why = format!("it is longer than {OUTPUT_BYTES} bytes");
            return Err(ComposeError::Malformed { subcommand, why });
        }
        String::from_utf8(printed)
            .map_err(|_| ComposeError::Malformed { subcommand, why: "it is not UTF-8".to_owned() })
    }

    fn too_long(&self) -> ComposeError {
        ComposeError::Timeout { subcommand: self.subcommand, limit: self.limit }
    }
}

impl Ended {
    /// `Ok` for exit code 0.
    pub(super) fn success(self, subcommand: &'static str) -> Result<(), ComposeError> {
        match self.code {
            0 => Ok(()),
            code => Err(ComposeError::Failed { subcommand, code, lines: self.lines }),
        }
    }
}

fn keep(last: &mut VecDeque<String>, line: String) {
    if last.len() == KEPT_LINES {
        last.pop_front();
    }
    last.push_back(line);
}

/// One output, line by line.
struct Lines<R> {
    reader: Option<R>,
    splitter: LineSplitter,
    /// On the heap: two of these lie in the future of every command.
    piece: Vec<u8>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: Option<R>) -> Self {
        Self {
            ended: reader.is_none(),
            reader,
            splitter: LineSplitter::default(),
            piece: vec![0; READ_BYTES],
        }
    }

    /// The lines that the next piece completes; at the end, what is left. Safe to give up and call again.
    async fn read(&mut self) -> std::io::Result<Vec<String>> {
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        let count = reader.read(&mut self.piece).await?;
        let mut lines = Vec::new();
        if count == 0 {
            self.ended = true;
            lines.extend(self.splitter.finish());
        } else {
            self.splitter.push(self.piece.get(..count).unwrap_or_default(), |line| lines.push(line));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(script: &str, limit: Duration) -> Run {
        let spec = SuperviseSpec::new("/bin/sh", ["-c", script]);
        Run { spec, supervisor: None, subcommand: "up", limit }
    }

    #[tokio::test]
    async fn a_failure_carries_the_last_lines_of_standard_error() {
        let limit = Duration::from_secs(60);
        let many = "for i in $(seq 100); do echo line $i >&2; done; echo out; exit 9";
        let mut seen = 0;
        let ended = script(many, limit).streaming(|_, _| seen += 1).await.unwrap();
        let error = ended.success("up").unwrap_err();
        assert_eq!((seen, error.lines().len()), (101, KEPT_LINES));
        assert!(error.to_string().ends_with("exit code 9: line 100"), "{error}");
        let error = script("echo secret; echo why >&2; exit 1", limit).printing().await.unwrap_err();
        assert!(error.lines() == ["why"] && !format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let limit = Duration::from_millis(200);
        let run = script("exec sleep 1000", limit);
        assert!(matches!(run.streaming(|_, _| {}).await, Err(ComposeError::Timeout { .. })));
        let run = script("exec sleep 1000", limit);
        assert!(matches!(run.printing().await, Err(ComposeError::Timeout { .. })));
    }

    #[tokio::test]
    async fn the_environment_is_made_up_from_nothing() {
        let run = script(
            "env | cut -d= -f1 | grep -vxE 'PATH|HOME|PWD|SHLVL|OLDPWD|_' || true",
            Duration::from_secs(60),
        );
        assert_eq!(run.printing().await.unwrap(), "");
    }
}
