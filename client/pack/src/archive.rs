//! `wharf pack -o deploy.zip`: the whole project as an ordinary zip.
//!
//! **Invariant**: the same manifest gives the same bytes; what is in the archive is what the manifest says.

use crate::{Hashed, PackError};
use std::io::{Seek, Write};
use wharf_proto::manifest::Chunk;
use wharf_proto::{Entry, EntryKind, RelPath};
use zip::result::ZipError;
use zip::write::{ExtendedFileOptions, FileOptions};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Above this a zip entry gets 64-bit sizes: below 4 GiB, since deflate can lengthen what does not compress.
const LARGE_BYTES: u64 = 0xF000_0000;
/// Info-ZIP's extended timestamp: seconds since 1970 in UTC, where DOS times have steps of two in no zone.
const EXTENDED_TIMESTAMP: u16 = 0x5455;
/// Its flag byte: a modification time follows.
const HAS_MTIME: u8 = 1;

type Options = FileOptions<'static, 'static, ExtendedFileOptions>;

/// Writes every entry of the manifest to `out` as one zip, which `unzip` opens: modes, symbolic links, empty folders and
/// times are in it.
///
/// # Errors
/// A name that is not UTF-8, a file that changed since it was hashed, or whatever `out` says.
pub fn archive(hashed: &Hashed, out: impl Write + Seek) -> Result<(), PackError> {
    // Before the first byte is written.
    for entry in hashed.manifest().entries() {
        check_names(entry)?;
    }
    let mut zip = ZipWriter::new(out);
    for entry in hashed.manifest().entries() {
        add(&mut zip, hashed, entry)?;
    }
    let mut out = zip.finish().map_err(failed)?;
    out.flush().map_err(|source| failed(source.into()))
}

fn check_names(entry: &Entry) -> Result<(), PackError> {
    text(&entry.path)?;
    match &entry.kind {
        EntryKind::Symlink { target } => link_text(&entry.path, &target.to_bytes()).map(|_| ()),
        EntryKind::File { .. } | EntryKind::Folder { .. } => Ok(()),
    }
}

fn add(zip: &mut ZipWriter<impl Write + Seek>, hashed: &Hashed, entry: &Entry) -> Result<(), PackError> {
    let name = text(&entry.path)?;
    let options = Options::default().last_modified_time(DateTime::default());
    match &entry.kind {
        EntryKind::File { mode, mtime_seconds, size_bytes, chunks } => {
            let options = with_time(options, *mtime_seconds)
                .map_err(failed)?
                .unix_permissions(*mode)
                .compression_method(CompressionMethod::Deflated)
                .large_file(*size_bytes >= LARGE_BYTES);
            zip.start_file(name, options).map_err(failed)?;
            write_content(zip, hashed, &entry.path, chunks)
        }
        EntryKind::Symlink { target } => {
            let target = link_text(&entry.path, &target.to_bytes())?;
            zip.add_symlink(name, target, options.unix_permissions(0o777)).map_err(failed)
        }
        EntryKind::Folder { mode } => {
            zip.add_directory(format!("{name}/"), options.unix_permissions(*mode)).map_err(failed)
        }
    }
}

fn write_content(
    zip: &mut ZipWriter<impl Write + Seek>,
    hashed: &Hashed,
    path: &RelPath,
    chunks: &[Chunk],
) -> Result<(), PackError> {
    let mut offset_bytes = 0;
    for chunk in chunks {
        let content = hashed.read_part(path, offset_bytes, chunk)?;
        zip.write_all(&content).map_err(|source| failed(source.into()))?;
        offset_bytes += u64::from(chunk.size_bytes);
    }
    Ok(())
}

/// Both forms of the time; outside of 1901 to 2038 the field has no room, and the DOS time must do.
fn with_time(mut options: Options, mtime_seconds: i64) -> Result<Options, ZipError> {
    if let Some(time) = dos_time(mtime_seconds) {
        options = options.last_modified_time(time);
    }
    if let Ok(seconds) = i32::try_from(mtime_seconds) {
        let mut field = vec![HAS_MTIME];
        field.extend_from_slice(&seconds.to_le_bytes());
        options.add_extra_field(EXTENDED_TIMESTAMP, field, false)?;
    }
    Ok(options)
}

fn dos_time(mtime_seconds: i64) -> Option<DateTime> {
    let utc = jiff::Timestamp::from_second(mtime_seconds).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let part = |part: i8| u8::try_from(part).ok();
    DateTime::from_date_and_time(
        u16::try_from(utc.year()).ok()?,
        part(utc.month())?,
        part(utc.day())?,
        part(utc.hour())?,
        part(utc.minute())?,
        part(utc.second())?,
    )
    .ok()
}

fn text(path: &RelPath) -> Result<&str, PackError> {
    path.as_str().ok_or_else(|| PackError::ZipName { path: path.clone() })
}

fn link_text(path: &RelPath, target: &[u8]) -> Result<String, PackError> {
    String::from_utf8(target.to_vec()).map_err(|_| PackError::ZipLink { path: path.clone() })
}

fn failed(source: ZipError) -> PackError {
    PackError::Zip { source }
}
