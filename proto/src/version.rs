//! Protocol versions. The first frame of each side carries the range that it speaks.

use serde::{Deserialize, Serialize};

/// The oldest version that this build still understands.
pub const MIN: u32 = 1;
/// The version that this build speaks when the other side does, too.
pub const CURRENT: u32 = 1;

/// Which protocol versions and which software a side is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest protocol version understood.
    pub min: u32,
    /// Newest protocol version understood.
    pub current: u32,
    /// For people: `wharf 0.1.0 (linux x86_64)`.
    pub software: String,
    /// Pack encodings understood, best first.
    #[serde(default)]
    pub encodings: Vec<crate::message::PackEncoding>,
    /// What it knows beside its protocol version.
    #[serde(default)]
    pub features: Vec<Feature>,
}

/// What came into a protocol version later, and what an older side would take no notice of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Databases that are dumped by commands of the project's own.
    Dumps,
    /// One that this build does not know.
    #[serde(other)]
    Unknown,
}

impl Feature {
    /// What it is in `wharf.toml`.
    pub fn section(self) -> &'static str {
        match self {
            Self::Dumps => "[[dump]]",
            Self::Unknown => "a section of a newer version",
        }
    }
}

impl Hello {
    /// The greeting of this build.
    pub fn ours(software: impl Into<String>) -> Self {
        Self {
            min: MIN,
            current: CURRENT,
            software: software.into(),
            encodings: vec![crate::message::PackEncoding::Zip],
            features: vec![Feature::Dumps],
        }
    }
}

/// The two sides share no protocol version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} speaks protocol {}–{}, {} speaks {}–{}", ours.software, ours.min, ours.current, theirs.software, theirs.min, theirs.current)]
pub struct Mismatch {
    pub ours: Hello,
    pub theirs: Hello,
}

impl Mismatch {
    /// What to upgrade: the side whose newest version is the older one.
    pub fn remedy(&self) -> String {
        let older = if self.ours.current < self.theirs.current { &self.ours } else { &self.theirs };
        format!("upgrade {}", older.software)
    }
}

/// The version to speak: the newest one that both understand.
///
/// # Errors
/// [`Mismatch`] where the ranges do not meet.
pub fn negotiate(ours: &Hello, theirs: &Hello) -> Result<u32, Box<Mismatch>> {
    let version = ours.current.min(theirs.current);
    if version < ours.min || version < theirs.min {
        return Err(Box::new(Mismatch { ours: ours.clone(), theirs: theirs.clone() }));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(software: &str, min: u32, current: u32) -> Hello {
        Hello { min, current, software: software.into(), encodings: vec![], features: vec![] }
    }

    #[test]
    fn the_newest_shared_version_is_spoken() {
        assert_eq!(negotiate(&hello("wharf 2", 1, 3), &hello("wharfd 1", 1, 2)), Ok(2));
        assert_eq!(negotiate(&hello("wharf 1", 1, 1), &hello("wharfd 3", 1, 3)), Ok(1));
    }

    #[test]
    fn ranges_that_do_not_meet_name_the_older_side() {
        let error = negotiate(&hello("wharf 9", 8, 9), &hello("wharfd 1", 1, 2)).unwrap_err();
        assert_eq!(error.remedy(), "upgrade wharfd 1");
        let error = negotiate(&hello("wharf 1", 1, 2), &hello("wharfd 9", 8, 9)).unwrap_err();
        assert_eq!(error.remedy(), "upgrade wharf 1");
    }
}
