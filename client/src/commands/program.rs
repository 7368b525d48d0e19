//! What `exec`, `run` and `db console` have in common: the terminal here, the program there.

use crate::{
    context::{Context, Exit},
    session::{self, program},
    sys,
};
use bytes::Bytes;
use std::io::IsTerminal;
use tokio::{io::AsyncReadExt, sync::mpsc};
use wharf_proto::{
    Failure,
    message::Request,
    terminal::{Terminal, TerminalSize},
};

/// Read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A service and a command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// No terminal: standard output and standard error stay apart, and no byte is changed
    #[arg(short = 'T', long)]
    no_terminal: bool,
    /// As docker's: there is input and a terminal by themselves
    #[arg(short = 'i', hide = true)]
    interactive: bool,
    /// As docker's
    #[arg(short = 't', hide = true)]
    terminal: bool,
    /// As this user of the container's
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The service of the Compose file
    pub service: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Args {
    pub fn terminal(&self) -> Option<Terminal> {
        here(self.no_terminal)
    }
}

/// The terminal that somebody sits at: only where both input and output are one.
pub fn here(unwanted: bool) -> Option<Terminal> {
    if unwanted || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    let size = sys::terminal_size()?;
    Some(Terminal { size, kind: std::env::var("TERM").unwrap_or_default() })
}

/// Runs a program to its end, and ends as it does.
///
/// # Errors
/// It does not run, or the connection breaks.
pub async fn run(
    context: &mut Context,
    session: session::Session,
    request: Request,
    terminal: bool,
) -> Result<Exit, Failure> {
    let stopped = context.stopped();
    let using = async {
        let mut talk = program::start(&session, request).await?;
        // From here on what is typed goes to the program, a Ctrl-C too.
        let raw = if terminal { sys::RawTerminal::begin() } else { None };
        let sizes = sizes(terminal);
        let ends = program::Ends {
            input: typed(),
            stdout: Box::new(tokio::io::stdout()),
            stderr: Box::new(tokio::io::stderr()),
            sizes,
        };
        let code = program::carry(&mut talk, ends).await;
        drop(raw);
        Ok::<i32, Failure>(code?)
    };
    tokio::select! {
        code = using => Ok(Exit(u8::try_from(code?).unwrap_or(1))),
        // The program ends with the conversation.
        () = stopped => Ok(Exit::INTERRUPTED),
    }
}

fn typed() -> mpsc::Receiver<Bytes> {
    let (pieces, input) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(count) = stdin.read(&mut piece).await {
            let bytes = Bytes::copy_from_slice(piece.get(..count).unwrap_or_default());
            if count == 0 || pieces.send(bytes).await.is_err() {
                return;
            }
        }
    });
    input
}

fn sizes(terminal: bool) -> mpsc::Receiver<TerminalSize> {
    let (tell, sizes) = mpsc::channel(1);
    if terminal {
        tokio::spawn(async move {
            let Ok(mut changes) = sys::SizeChanges::listen() else { return };
            // It may have changed since the request.
            loop {
                let Some(size) = sys::terminal_size() else { return };
                if tell.send(size).await.is_err() {
                    return;
                }
                changes.next().await;
            }
        });
    }
    sizes
}
