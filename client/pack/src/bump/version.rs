//! Versions of front ends, and by how much they go up.

use super::BumpError;
use std::fmt;
use std::str::FromStr;

/// `major.minor.patch`: three numbers. App stores take no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

/// How a version goes up: `--bump`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bump {
    #[default]
    Patch,
    Minor,
    Major,
    None,
    Exact(Version),
}

impl Version {
    pub fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl FromStr for Version {
    type Err = BumpError;
    fn from_str(text: &str) -> Result<Self, BumpError> {
        let wrong = || BumpError::Version { text: text.chars().take(60).collect() };
        let number = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let leading_zero = part.len() > 1 && part.starts_with('0');
            if plain && !leading_zero { part.parse().map_err(|_| wrong()) } else { Err(wrong()) }
        };
        let mut parts = text.split('.');
        let (Some(major), Some(minor), Some(patch), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Bump {
    type Err = BumpError;
    fn from_str(text: &str) -> Result<Self, BumpError> {
        match text {
            "patch" => Ok(Self::Patch),
            "minor" => Ok(Self::Minor),
            "major" => Ok(Self::Major),
            "none" => Ok(Self::None),
            // Who wrote a digit meant a version, and is told how those are written.
            _ if text.starts_with(|c: char| c.is_ascii_digit()) => text.parse().map(Self::Exact),
            _ => Err(BumpError::Bump { text: text.chars().take(60).collect() }),
        }
    }
}

impl fmt::Display for Bump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patch => f.write_str("patch"),
            Self::Minor => f.write_str("minor"),
            Self::Major => f.write_str("major"),
            Self::None => f.write_str("none"),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_three_plain_numbers_are_a_version() {
        assert_eq!("1.20.300".parse::<Version>().unwrap(), Version::new(1, 20, 300));
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "1.0.0-rc.1",
            "1.0.0+7",
            "v1.0.0",
            "1..0",
            "01.0.0",
            "1.0.4294967296",
            "-1.0.0",
            " 1.0.0",
            "1.0.x",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bumps_are_written_as_on_the_command_line() {
        for text in ["patch", "minor", "major", "none", "1.4.0"] {
            assert_eq!(text.parse::<Bump>().unwrap().to_string(), text);
        }
        assert!(matches!("1.4".parse::<Bump>(), Err(BumpError::Version { .. })));
        assert!(matches!("tiny".parse::<Bump>(), Err(BumpError::Bump { .. })));
    }

    proptest! {
        #[test]
        fn order_is_by_number(a in any::<(u32, u32, u32)>(), b in any::<(u32, u32, u32)>()) {
            let version = |(x, y, z): (u32, u32, u32)| format!("{x}.{y}.{z}").parse::<Version>().unwrap();
            prop_assert_eq!(version(a).cmp(&version(b)), a.cmp(&b));
        }
    }
}
