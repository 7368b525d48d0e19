//! `wharf man`.

use crate::{
    cli::Cli,
    context::{Context, Exit},
};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use wharf_proto::{Failure, FailureKind};

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write wharf.1, wharf-deploy.1, … into this folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// A manual page, and the name of its file.
struct Page {
    file: String,
    text: Vec<u8>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Exit, Failure> {
    let pages = pages().map_err(|error| Failure::from_error(FailureKind::Internal, &error))?;
    match &args.to {
        Some(folder) => {
            let folder = context.folder.join(folder);
            write(&folder, &pages).map_err(|error| {
                Failure::new(
                    FailureKind::Environment,
                    format!("the pages cannot be written to {}", folder.display()),
                )
                .cause(error.to_string())
                .hint("name a folder that you may write to: wharf man --to ~/.local/share/man/man1")
            })?;
            context.console.note(&format!("{} pages are in {}", pages.len(), folder.display()));
        }
        None => {
            let own = pages.first().map(|page| String::from_utf8_lossy(&page.text).into_owned());
            context.console.data(&own.unwrap_or_default());
        }
    }
    Ok(Exit::DONE)
}

fn write(folder: &Path, pages: &[Page]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pages.iter().try_for_each(|page| fs::write(folder.join(&page.file), &page.text))
}

/// Wharf's own page first, then those of its commands.
fn pages() -> io::Result<Vec<Page>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add(&root, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let man = Man::new(command.clone()).manual("Wharf").source(concat!("wharf ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render(&mut text)?;
    pages.push(Page { file: man.get_filename(), text });
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| add(command, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page() {
        let pages = pages().unwrap();
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files[0], "wharf.1");
        for file in ["wharf-deploy.1", "wharf-backup-create.1", "wharf-report-incident.1", "wharf-man.1"] {
            assert!(files.contains(&file), "{file} in {files:?}");
        }
        assert!(!files.contains(&"wharf-down.1"), "it is not shown");
        let deploy = pages.iter().find(|page| page.file == "wharf-deploy.1").unwrap();
        let text = String::from_utf8(deploy.text.clone()).unwrap();
        assert!(text.contains(".TH wharf-deploy 1") && text.contains("rebuild"), "{text}");
    }
}
