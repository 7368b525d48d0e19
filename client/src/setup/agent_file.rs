//! The `wharfd` that is to be installed: a file on this laptop.

use super::SetupError;
use std::path::{Path, PathBuf};
use wharf_proto::Digest;

/// Far above what a `wharfd` with everything for a debugger has.
const FILE_BYTES: u64 = 1 << 30;
/// ELF's names of machines.
const MACHINES: &[(&str, u16)] = &[("x86_64", 62), ("aarch64", 183), ("riscv64", 243)];
/// The kind of program header that names a dynamic loader.
const PT_INTERP: u32 = 3;

/// A program for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    pub path: PathBuf,
    pub sha256: String,
    pub size_bytes: u64,
    /// Whether it needs nothing of the server's but its kernel.
    pub is_static: bool,
}

impl AgentFile {
    /// The one that was named, else `WHARFD_BIN`, else the one for `arch` beside this program.
    ///
    /// # Errors
    /// There is none, or it is for another machine.
    pub fn find(named: Option<&Path>, arch: &str) -> Result<Self, SetupError> {
        let variable = std::env::var_os("WHARFD_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = named.map(Path::to_owned).or(variable) {
            return Self::read(&path, arch);
        }
        let folder = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
        let folder = folder.unwrap_or_default();
        let looked = vec![folder.join(format!("wharfd-{arch}-linux")), folder.join("wharfd")];
        match looked.iter().find(|path| path.is_file()) {
            Some(path) => Self::read(path, arch),
            None => Err(SetupError::NoAgent { arch: arch.to_owned(), looked }),
        }
    }

    fn read(path: &Path, arch: &str) -> Result<Self, SetupError> {
        let unreadable = |source| SetupError::Agent { path: path.to_owned(), source };
        let size_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if size_bytes > FILE_BYTES {
            return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let machine = MACHINES.iter().find(|(name, _)| *name == arch).map(|(_, number)| *number);
        match elf(&bytes) {
            Some((found, is_static)) if machine.is_none_or(|wanted| wanted == found) => {
                Ok(Self { path: path.to_owned(), sha256: Digest::of(&bytes).to_hex(), size_bytes, is_static })
            }
            _ => Err(SetupError::WrongAgent { path: path.to_owned(), arch: arch.to_owned() }),
        }
    }
}

/// The machine, and whether no loader is named, of a program for 64 bits with the low byte first.
fn elf(bytes: &[u8]) -> Option<(u16, bool)> {
    if bytes.get(..6)? != [0x7f, b'E', b'L', b'F', 2, 1] {
        return None;
    }
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let table = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
    let (size, count) = (usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    let mut is_static = true;
    for at in 0..count {
        let header = usize::try_from(table).ok()?.checked_add(at.checked_mul(size)?)?;
        is_static &= u32_at(header)? != PT_INTERP;
    }
    Some((u16_at(18)?, is_static))
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_head() {
        let own = std::env::current_exe().unwrap();
        let file = AgentFile::read(&own, "x86_64").unwrap();
        assert!(!file.is_static && file.sha256.len() == 64, "{file:?}");
        assert!(AgentFile::read(&own, "aarch64").is_err());
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("wharfd");
        std::fs::write(&text, "#!/bin/sh\n").unwrap();
        assert!(matches!(AgentFile::read(&text, "x86_64"), Err(SetupError::WrongAgent { .. })));
        let mut bytes = std::fs::read(&own).unwrap();
        bytes.truncate(60);
        assert_eq!(elf(&bytes), None, "cut short");
    }
}
