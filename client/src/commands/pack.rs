//! `wharf pack`.

use crate::{
    context::{Context, Exit},
    project::{self, pack_failure},
    render::bytes,
};
use std::{
    io::{BufWriter, Write as _},
    path::PathBuf,
};
use wharf_proto::{Failure, FailureKind};

/// Write what a deploy would ship as a zip, for a deploy by hand with `unzip`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The zip to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(serde::Serialize)]
struct Packed {
    file: String,
    files: usize,
    content_bytes: u64,
    bytes: u64,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let files = project::read(&config).await?;
    for remark in files.remarks() {
        context.console.warn(&remark);
    }
    for exposed in files.exposed() {
        context.console.warn(&exposed.to_string());
    }
    let output = context.folder.join(&args.output);
    let (hashed, target) = (files.hashed(), output.clone());
    let written = tokio::task::spawn_blocking(move || write(&hashed, &target)).await;
    let size_bytes = written.map_err(|error| Failure::from_error(FailureKind::Internal, &error))??;
    let (count, content_bytes) = (files.manifest().entries().len(), files.manifest().size_bytes());
    if context.console.json {
        let file = output.display().to_string();
        context.console.object("packed", &Packed { file, files: count, content_bytes, bytes: size_bytes });
    } else {
        let text = format!("{count} files, {} in {}", bytes(content_bytes), bytes(size_bytes));
        context.console.note(&format!("{}: {text}", args.output.display()));
    }
    Ok(Exit::DONE)
}

/// Writes beside the target and renames: a zip that is there is whole.
fn write(hashed: &wharf_pack::Hashed, target: &std::path::Path) -> Result<u64, Failure> {
    let failed = |source: std::io::Error| {
        Failure::new(FailureKind::Environment, format!("{} cannot be written", target.display()))
            .cause(source.to_string())
            .hint("choose another place with -o")
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // `.wharf…` is never packed, should the project's own folder be the place.
    let mut file = tempfile::Builder::new().prefix(".wharf-").tempfile_in(folder).map_err(failed)?;
    let mut out = BufWriter::new(file.as_file_mut());
    wharf_pack::archive(hashed, &mut out).map_err(pack_failure)?;
    out.flush().map_err(failed)?;
    drop(out);
    let size_bytes = file.as_file().metadata().map_err(failed)?.len();
    file.persist(target).map_err(|error| failed(error.error))?;
    Ok(size_bytes)
}
