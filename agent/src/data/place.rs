//! Where a folder that is restored over the live one lies until then, and where the live one is kept.
//!
//! Both lie in the file system of the live one, out of reach of the app's containers: beside the outermost folder that one of
//! them has mounted, or beside the app directory, so that no later backup takes what is kept for the project's. Of what other
//! containers of the server have mounted nothing is known here.

use std::path::{Path, PathBuf};

/// The longest name of a file, in bytes, with room to spare.
const NAME_BYTES: usize = 200;
/// How the engine calls the folder of a volume.
const VOLUME_FOLDER: &str = "_data";

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub live: PathBuf,
    pub staged: PathBuf,
    pub kept: PathBuf,
    /// The volume that `kept` is the folder of.
    pub volume: Option<String>,
    /// Nothing may be mounted from here down to what is live, nor below that.
    pub top: PathBuf,
}

/// For a folder. `roots` are folders that hold others: the app directory, and what containers have mounted. `None`: it is the
/// whole file system that is mounted.
pub fn of_folder<'a>(
    live: &'a Path,
    roots: impl IntoIterator<Item = &'a Path>,
    (staged, suffix): (&str, &str),
) -> Option<Place> {
    let holding = roots.into_iter().filter(|root| live.starts_with(root));
    let top = holding.chain([live]).min_by_key(|root| root.components().count())?;
    let (parent, name) = (top.parent()?, top.file_name()?);
    let below = live.strip_prefix(top).ok()?;
    let words = std::iter::once(name).chain(below.iter()).map(|word| word.to_string_lossy());
    let name = with_suffix(&words.collect::<Vec<_>>().join("_"), suffix);
    Some(Place {
        live: live.to_owned(),
        staged: parent.join(staged),
        kept: parent.join(name),
        volume: None,
        top: top.to_owned(),
    })
}

/// For a volume, whose folder is `live`. `None`: the engine keeps it in another way than is known here.
pub fn of_volume(live: &Path, volume: &str, (staged, suffix): (&str, &str)) -> Option<Place> {
    let top = live.parent().filter(|top| top.file_name().is_some_and(|name| name == volume))?;
    let store = top.parent()?;
    live.file_name().filter(|name| *name == VOLUME_FOLDER)?;
    let name = with_suffix(volume, suffix);
    Some(Place {
        live: live.to_owned(),
        staged: top.join(staged),
        kept: store.join(&name).join(VOLUME_FOLDER),
        volume: Some(name),
        top: top.to_owned(),
    })
}

/// What is mounted in the way, by what `/proc/self/mountinfo` says: a folder that another file system is mounted at cannot
/// change its place, and one that holds such a folder would take it along.
pub fn mounted(place: &Place, mountinfo: &str) -> Option<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let in_the_way = |point: &PathBuf| {
        point.starts_with(&place.top) && (place.live.starts_with(point) || point.starts_with(&place.live))
    };
    points.into_iter().find(in_the_way)
}

/// The kernel writes spaces, tabs, newlines and backslashes as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(part.get(3..).unwrap_or_default());
            }
            None => plain.push_str(part),
        }
    }
    plain.into()
}

fn with_suffix(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(NAME_BYTES.saturating_sub(suffix.len()));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: (&str, &str) = (".wharf-restore-job7-0", "_before_20261128_170000");

    fn folder(live: &str, roots: &[&str]) -> Option<(String, String)> {
        let place = of_folder(Path::new(live), roots.iter().map(Path::new), NAMES)?;
        Some((place.kept.display().to_string(), place.staged.display().to_string()))
    }

    #[test]
    fn what_is_kept_is_out_of_reach_of_containers_and_backups() {
        for (live, roots, kept) in [
            ("/srv/app/uploads", &["/srv/app", "/srv/app/uploads"][..], "/srv/app_uploads"),
            ("/srv/app/data/photos", &["/srv/app/data", "/srv/app"], "/srv/app_data_photos"),
            ("/mnt/photos", &["/srv/app", "/mnt/photos"], "/mnt/photos"),
            ("/mnt/data/photos", &["/mnt/data", "/mnt/data/photos", "/mnt/da"], "/mnt/data_photos"),
        ] {
            let found = folder(live, roots).unwrap();
            let beside = Path::new(kept).parent().unwrap().join(NAMES.0);
            assert_eq!(found, (format!("{kept}{}", NAMES.1), beside.display().to_string()), "{live}");
        }
        assert_eq!(folder("/srv/app/uploads", &["/"]), None);
    }

    #[test]
    fn a_volume_keeps_what_was_live_as_a_volume() {
        let store = Path::new("/var/lib/docker/volumes");
        let place = of_volume(&store.join("app_media/_data"), "app_media", NAMES).unwrap();
        let kept = format!("app_media{}", NAMES.1);
        assert_eq!(place.kept, store.join(&kept).join("_data"));
        assert_eq!(place.staged, store.join("app_media").join(NAMES.0));
        assert_eq!(place.volume, Some(kept));
        assert_eq!(of_volume(Path::new("/mnt/share"), "app_media", NAMES), None);
        let long = "m".repeat(250);
        let place = of_volume(&store.join(&long).join("_data"), &long, NAMES).unwrap();
        assert!(place.volume.is_some_and(|name| name.len() <= NAME_BYTES && name.ends_with(NAMES.1)));
    }

    #[test]
    fn a_mount_in_the_way_is_seen() {
        let place = of_folder(Path::new("/srv/my app/up"), [Path::new("/srv/my app")], NAMES).unwrap();
        let line = |point: &str| format!("29 1 8:2 / {point} rw,relatime shared:1 - ext4 /dev/sda2 rw\n");
        for (point, is_in_the_way) in [
            ("/", false),
            ("/srv", false),
            ("/srv/my\\040app", true),
            ("/srv/my\\040app/up", true),
            ("/srv/my\\040app/up/big", true),
            ("/srv/my\\040app/upper", false),
            ("/srv/my\\040app2", false),
        ] {
            let found = mounted(&place, &(line("/proc") + &line(point)));
            assert_eq!(found.is_some(), is_in_the_way, "{point}: {found:?}");
        }
    }
}
