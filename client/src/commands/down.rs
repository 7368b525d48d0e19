//! `wharf down`: exists only to refuse, and to say what to do instead. It never talks to a server.

use crate::context::Exit;
use wharf_proto::{Failure, FailureKind};

/// Not done by Wharf: says what to do instead
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Refused: Wharf deletes no volume
    #[arg(long)]
    volumes: bool,
}

/// `short_v`: whether `-v` was given, which means volumes to whoever comes from Compose.
pub(super) fn run(args: &Args, short_v: bool) -> Result<Exit, Failure> {
    let refused = if args.volumes || short_v {
        Failure::new(FailureKind::Refused, "Wharf deletes no volume, whatever it is told")
            .cause("the app's data lives in its volumes: `down --volumes` would end it in a second, without a way back")
            .hint("to stop the containers and keep the data, run `docker compose down` (without -v) on the server")
            .hint("a volume that nobody needs any more is deleted on the server itself, once a backup of it is proven: `sudo wharfd volume delete NAME`")
    } else {
        Failure::new(FailureKind::Refused, "Wharf does not take an app down")
            .cause("it ships releases and rolls them back; what runs stays an ordinary Compose project")
            .hint("to stop it, run `docker compose down` in the app's folder on the server; its volumes stay")
            .hint("to go back to an earlier release, run `wharf rollback`")
    };
    Err(refused)
}
