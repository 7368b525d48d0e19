//! Files that only their owner should read: all that is Unix-only of this crate.

use std::{fs, io, path::Path};

/// Appends to a file that only its owner can read; makes it, and its folder, where they are missing.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    make_folder(path)?;
    let mut options = fs::OpenOptions::new();
    options.append(true).read(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = if ends_in_the_middle_of_a_line(&mut file)? { format!("\n{text}") } else { text.to_owned() };
    // One write, so that two clients that learn at once do not mix their lines.
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// Makes a file that only its owner can read, whole or not at all, and its folder where that is missing.
///
/// # Errors
/// There is a file of that name, or the disk fails.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    make_folder(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:08x}.new", rand::random::<u32>()));
    let half = Path::new(&name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(half)?;
    let made = io::Write::write_all(&mut file, text.as_bytes())
        .and_then(|()| file.sync_all())
        // Unlike renaming, linking never takes the place of another file.
        .and_then(|()| fs::hard_link(half, path));
    let _ = fs::remove_file(half);
    made
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn ends_in_the_middle_of_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    io::Seek::seek(file, io::SeekFrom::End(-1))?;
    let mut last = [0];
    io::Read::read_exact(file, &mut last)?;
    Ok(last != *b"\n")
}

/// Whether others can read the file. Windows keeps rights that `ssh` there judges; we do not.
pub fn exposed(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}
