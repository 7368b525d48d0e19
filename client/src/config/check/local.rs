//! The rules of `[[check]]`.

use super::{Checked, Checker, TIMEOUT_SECONDS};
use crate::config::{local::Check, raw::RawCheck};
use toml::Spanned;

const CHECK_TIMEOUT_SECONDS: u32 = 600;

impl Checker<'_> {
    pub(super) fn project_check(&self, spec: Spanned<RawCheck>) -> Checked<Check> {
        let (span, spec) = (spec.span(), spec.into_inner());
        if spec.command.first().is_none_or(String::is_empty) {
            let instead = "write for example: command = [\"npm\", \"test\"]";
            return Err(self.value(span, "check.command", "the command is empty".into(), instead));
        }
        let folder = match &spec.folder {
            None => self.root.clone(),
            Some(folder) => {
                let path = self.relative(folder, "check.folder")?.below(&self.root);
                if !path.is_dir() {
                    let message = format!("there is no folder {:?} in the project", folder.get_ref());
                    let instead = "write the path of a folder, from the folder of wharf.toml";
                    return Err(self.value(folder.span(), "check.folder", message, instead));
                }
                path
            }
        };
        let seconds = spec.timeout_seconds.unwrap_or(CHECK_TIMEOUT_SECONDS);
        let timeout_seconds = self.within(span, "check.timeout_seconds", seconds, TIMEOUT_SECONDS)?;
        Ok(Check { command: spec.command, folder, timeout_seconds })
    }
}
