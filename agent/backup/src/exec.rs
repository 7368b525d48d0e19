//! Running a program in a container.
//!
//! **Invariants**
//! - Only exit code 0 is success. A program that is missing or killed has written to its output before it ended.
//! - Every wait has a limit.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a program may say nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(300);
/// The same of one that restores, which builds indexes without a word, or works only once it has everything.
pub(crate) const RESTORES_WITHIN: Duration = Duration::from_secs(6 * 3600);
/// How long a program whose output has ended may take to end, too.
const LINGER: Duration = Duration::from_secs(10);
/// Between asking whether it has: a deploy waits for this, and the engine knows it a few milliseconds after the output ended.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest of these pauses, of which each is twice the one before.
const LAST_PAUSE: Duration = Duration::from_millis(50);
/// How much of what a program says in error is kept: the end of it.
const STDERR_BYTES: usize = 4096;
/// Large reads: 2.7 s where small ones took 3.6 s for 214 MB.
const OUTPUT_BYTES: usize = 1024 * 1024;

pub(crate) type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
pub(crate) type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A program to run in a container.
pub(crate) struct Program<'a> {
    pub(crate) container: &'a str,
    pub(crate) arguments: &'a [&'a str],
    /// As in `PGUSER=app`.
    pub(crate) environment: Vec<String>,
    /// Whether something is going to be written to it.
    pub(crate) input: bool,
}

/// A program that runs.
pub(crate) struct Running {
    docker: Docker,
    id: String,
    pub(crate) output: Output,
    pub(crate) input: Input,
    pub(crate) stderr: Tail,
}

/// A program that is being started before it is needed: the engine takes longer for that than many a program for its work.
pub(crate) struct Early(JoinHandle<Result<Running, String>>);

impl Early {
    /// Starts a program that waits for its input.
    pub(crate) fn start(
        docker: &Docker,
        container: &str,
        arguments: Vec<String>,
        environment: Vec<String>,
    ) -> Self {
        let (docker, container) = (docker.clone(), container.to_owned());
        Self(tokio::spawn(async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let program = Program { container: &container, arguments: &arguments, environment, input: true };
            program.start(&docker).await
        }))
    }

    /// The program, once it runs.
    pub(crate) async fn running(self) -> Result<Running, String> {
        self.0.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Option<i64>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Whether there is no such program in the container.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.exit, Some(126 | 127))
    }

    /// What it said of its end. The engine reports a program that is missing on standard output.
    pub(crate) fn said(&self) -> String {
        if self.stderr.is_empty() {
            String::from_utf8_lossy(&self.stdout).trim().to_owned()
        } else {
            self.stderr.clone()
        }
    }
}

/// The end of what was said.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(STDERR_BYTES);
        self.0.drain(..excess);
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

impl Program<'_> {
    pub(crate) async fn start(self, docker: &Docker) -> Result<Running, String> {
        let options = CreateExecOptions {
            attach_stdin: Some(self.input),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(self.environment),
            cmd: Some(self.arguments.iter().map(|&a| a.to_owned()).collect()),
            ..CreateExecOptions::<String>::default()
        };
        let id = docker.create_exec(self.container, options).await.map_err(|e| said(&e))?.id;
        let options = StartExecOptions { output_capacity: Some(OUTPUT_BYTES), ..StartExecOptions::default() };
        match docker.start_exec(&id, Some(options)).await.map_err(|e| said(&e))? {
            StartExecResults::Attached { output, input } => {
                Ok(Running { docker: docker.clone(), id, output, input, stderr: Tail::default() })
            }
            StartExecResults::Detached => Err("the engine did not attach to the program".to_owned()),
        }
    }

    /// Runs a program that reads nothing and writes little: at most `limit` bytes.
    pub(crate) async fn run(self, docker: &Docker, limit: usize) -> Result<Ended, String> {
        let mut running = self.start(docker).await?;
        let mut stdout = Vec::new();
        while let Some(piece) = running.next().await? {
            if stdout.len() + piece.len() > limit {
                return Err(format!("the program wrote more than {limit} bytes"));
            }
            stdout.extend_from_slice(&piece);
        }
        let exit = running.exit().await?;
        Ok(Ended { exit, stdout, stderr: running.stderr.text() })
    }

    /// Runs a program that reads `input` and answers at most `limit` bytes. It may say nothing for as long as `patience`.
    pub(crate) async fn answer(
        self,
        docker: &Docker,
        input: &[u8],
        limit: usize,
        patience: Duration,
    ) -> Result<Ended, String> {
        let mut running = Program { input: true, ..self }.start(docker).await?;
        let mut to = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
        let write = async {
            // A program that is gone says why below.
            let _ = timeout(patience, to.write_all(input)).await;
            let _ = timeout(patience, to.shutdown()).await;
            // Kept until the output has ended: closing it now would end the program early.
            std::future::pending::<()>().await;
        };
        let mut stdout = Vec::new();
        let read = async {
            while let Some(piece) = running.next_within(patience).await? {
                if stdout.len() + piece.len() > limit {
                    return Err(format!("it answered more than {limit} bytes"));
                }
                stdout.extend_from_slice(&piece);
            }
            Ok(())
        };
        tokio::select! {
            ended = read => ended?,
            () = write => {}
        }
        let exit = running.exit().await?;
        Ok(Ended { exit, stdout, stderr: running.stderr.text() })
    }

    /// Runs a program and gives it pieces as they come; of what it answers, the end is kept. Its input ends where `pieces`
    /// do, which is no success by itself: whoever sends them knows whether they were all. For as long as `patience` it may
    /// take nothing, and for so long again it may work once it has everything.
    pub(crate) async fn feed(
        self,
        docker: &Docker,
        pieces: &mut Receiver<Bytes>,
        patience: Duration,
    ) -> Result<Ended, String> {
        Program { input: true, ..self }.start(docker).await?.feed(pieces, patience).await
    }
}

impl Running {
    /// As [`Program::feed`], of a program that runs already.
    pub(crate) async fn feed(
        mut self,
        pieces: &mut Receiver<Bytes>,
        patience: Duration,
    ) -> Result<Ended, String> {
        let running = &mut self;
        let mut input = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
        let feed = async {
            while let Some(piece) = pieces.recv().await {
                match timeout(patience, input.write_all(&piece)).await {
                    Ok(Ok(())) => {}
                    // How it ends says why it takes no more.
                    Ok(Err(_)) => break,
                    // Its input must not end here: it would take that for the end of the dump.
                    Err(_) => return Err(format!("it took nothing for {} seconds", patience.as_secs())),
                }
            }
            // The half-close, by which the program knows that this was all.
            let _ = input.shutdown().await;
            Ok(())
        };
        // It has little to say while it reads; a program that ended early leaves its writer hanging, so the end of the
        // output ends both.
        let mut said = Tail::default();
        let drained = {
            let drain = running.drain(&mut said);
            tokio::pin!(drain);
            tokio::select! {
                drained = &mut drain => drained,
                fed = feed => match fed {
                    Ok(()) => timeout(patience, &mut drain).await.unwrap_or_else(|_| {
                        Err(format!("it had not ended {} seconds after its input had", patience.as_secs()))
                    }),
                    Err(stuck) => Err(stuck),
                },
            }
        };
        drained?;
        let exit = running.exit().await?;
        Ok(Ended { exit, stdout: said.0, stderr: running.stderr.text() })
    }

    /// Writes one line to a program that waits for it.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), String> {
        let line = format!("{line}\n");
        let written = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.flush().await
        };
        match timeout(SILENCE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the program takes no input: {error}")),
            Err(_) => Err("the program takes no input".to_owned()),
        }
    }

    /// The next piece of standard output; `None` when the program is done writing.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        self.next_within(SILENCE).await
    }

    /// As [`Running::next`], of a program that may say nothing for so long.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Result<Option<Bytes>, String> {
        timeout(patience, self.next_whenever())
            .await
            .unwrap_or_else(|_| Err(format!("the program said nothing for {} seconds", patience.as_secs())))
    }

    /// Waits until the program is done writing, however long that takes.
    async fn drain(&mut self, said: &mut Tail) -> Result<(), String> {
        while let Some(piece) = self.next_whenever().await? {
            said.push(&piece);
        }
        Ok(())
    }

    async fn next_whenever(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            match self.output.next().await {
                None => return Ok(None),
                Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message })) => {
                    return Ok(Some(message));
                }
                Some(Ok(LogOutput::StdErr { message })) => self.stderr.push(&message),
                Some(Ok(LogOutput::StdIn { .. })) => {}
                Some(Err(error)) => return Err(said(&error)),
            }
        }
    }

    /// The exit code, once the output has ended. `None`: the engine does not know it.
    pub(crate) async fn exit(&mut self) -> Result<Option<i64>, String> {
        let ended = async {
            // The engine closes the output a moment before it knows the exit code, and has no way to wait for it.
            let mut pause = FIRST_PAUSE;
            loop {
                let state = self.docker.inspect_exec(&self.id).await.map_err(|e| said(&e))?;
                if state.running != Some(true) {
                    return Ok(state.exit_code);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        };
        timeout(LINGER, ended).await.map_err(|_| "the program did not end after its output had".to_owned())?
    }
}

/// What the engine said, in one line.
pub(crate) fn said(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end() {
        let mut tail = Tail::default();
        for _ in 0..10 {
            tail.push(&[b'x'; 1000]);
        }
        tail.push(b"the end\n");
        assert!(tail.text().len() <= STDERR_BYTES && tail.text().ends_with("xthe end"));
    }
}
