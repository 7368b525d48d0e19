//! Which version is next.

use super::{Bump, BumpError, Version};
use std::fmt;

/// What becomes of a front end's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The file is not touched.
    Keep(Kept),
    Raise(Version),
}

/// Why a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// `--bump none`.
    Asked,
    /// Nothing was ever started on the server: the version is new to it as it is.
    First,
    /// The person raised it already, by as much as was asked for.
    RaisedByHand,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "kept, as asked with --bump none",
            Self::First => "kept: it is the first on this server",
            Self::RaisedByHand => "kept: it was raised already",
        })
    }
}

/// Chooses the version of a front end that changed. `local` is the file's, `live` the live release's, `highest` the
/// highest that was ever started on the server.
///
/// The choice is always above `highest` and `live`. A local version that is already as high as the bump would make it is
/// kept; so a patch is not added to what was raised by hand, but `--bump minor` goes beyond a patch that was.
///
/// # Errors
/// An exact version that is not above the highest, or a number that overflows.
pub fn next(
    local: Version,
    live: Option<Version>,
    highest: Option<Version>,
    bump: Bump,
) -> Result<Decision, BumpError> {
    let used = live.max(highest);
    let least = match (bump, used) {
        (Bump::None, _) => return Ok(Decision::Keep(Kept::Asked)),
        (Bump::Exact(asked), Some(highest)) if asked <= highest => {
            return Err(BumpError::NotAbove { asked, highest });
        }
        (Bump::Exact(asked), _) if asked == local => return Ok(Decision::Keep(Kept::RaisedByHand)),
        (Bump::Exact(asked), _) => return Ok(Decision::Raise(asked)),
        (_, None) => return Ok(Decision::Keep(Kept::First)),
        (_, Some(used)) => raised(used, bump)?,
    };
    Ok(if local >= least { Decision::Keep(Kept::RaisedByHand) } else { Decision::Raise(least) })
}

fn raised(version: Version, bump: Bump) -> Result<Version, BumpError> {
    let Version { major, minor, patch } = version;
    let next = match bump {
        Bump::Major => major.checked_add(1).map(|major| Version::new(major, 0, 0)),
        Bump::Minor => minor.checked_add(1).map(|minor| Version::new(major, minor, 0)),
        Bump::Patch | Bump::None | Bump::Exact(_) => {
            patch.checked_add(1).map(|patch| Version::new(major, minor, patch))
        }
    };
    next.ok_or(BumpError::Exhausted { version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_that_come_next() {
        let raise = |text| Decision::Raise(version(text));
        for (local, live, highest, bump, expected) in [
            ("1.0.1", "1.0.1", "1.0.1", "patch", raise("1.0.2")),
            ("1.0.1", "1.0.1", "1.0.1", "minor", raise("1.1.0")),
            ("1.0.1", "1.0.1", "1.0.1", "major", raise("2.0.0")),
            ("1.0.1", "1.0.1", "1.0.1", "none", Decision::Keep(Kept::Asked)),
            ("1.0.1", "1.0.1", "1.0.1", "1.4.0", raise("1.4.0")),
            // Raised by hand: not twice.
            ("1.0.2", "1.0.1", "1.0.1", "patch", Decision::Keep(Kept::RaisedByHand)),
            ("3.0.0", "1.0.1", "1.0.1", "minor", Decision::Keep(Kept::RaisedByHand)),
            ("1.4.0", "1.0.1", "1.0.1", "1.4.0", Decision::Keep(Kept::RaisedByHand)),
            // ... but a minor that was asked for is more than a patch by hand.
            ("1.0.2", "1.0.1", "1.0.1", "minor", raise("1.1.0")),
            // Rolled back from 1.0.5: that is never used again.
            ("1.0.4", "1.0.4", "1.0.5", "patch", raise("1.0.6")),
            ("1.0.5", "1.0.4", "1.0.5", "patch", raise("1.0.6")),
            ("1.0.6", "1.0.4", "1.0.5", "patch", Decision::Keep(Kept::RaisedByHand)),
            // An old checkout.
            ("0.9.0", "1.0.1", "1.0.1", "patch", raise("1.0.2")),
            // A first deploy that failed when it had started.
            ("1.0.0", "", "1.0.0", "patch", raise("1.0.1")),
            ("1.0.0", "", "", "patch", Decision::Keep(Kept::First)),
            ("1.0.0", "", "", "2.0.0", raise("2.0.0")),
        ] {
            let given = |text: &str| (!text.is_empty()).then(|| version(text));
            let decision = next(version(local), given(live), given(highest), bump.parse().unwrap()).unwrap();
            assert_eq!(decision, expected, "{local} {live} {highest} {bump}");
        }
    }

    #[test]
    fn an_exact_version_is_above_all_others() {
        let highest = Some(version("1.4.0"));
        for asked in ["1.4.0", "1.3.9"] {
            let result = next(version("1.3.0"), Some(version("1.3.0")), highest, asked.parse().unwrap());
            assert!(matches!(result, Err(BumpError::NotAbove { .. })), "{asked}");
        }
    }

    #[test]
    fn numbers_end() {
        let last = Version::new(1, 2, u32::MAX);
        let result = next(last, Some(last), None, Bump::Patch);
        assert!(matches!(result, Err(BumpError::Exhausted { .. })));
    }

    proptest! {
        #[test]
        fn a_used_version_is_never_used_again(
            local in any::<[u8; 3]>(), live in any::<Option<[u8; 3]>>(), highest in any::<Option<[u8; 3]>>(),
            exact in any::<[u8; 3]>(), which in 0..4,
        ) {
            let of = |[a, b, c]: [u8; 3]| Version::new(a.into(), b.into(), c.into());
            let bump = [Bump::Patch, Bump::Minor, Bump::Major, Bump::Exact(of(exact))][which as usize];
            let (live, highest) = (live.map(of), highest.map(of));
            if let Ok(decision) = next(of(local), live, highest, bump) {
                let chosen = match decision {
                    Decision::Raise(version) => version,
                    Decision::Keep(_) => of(local),
                };
                prop_assert!(live.max(highest).is_none_or(|used| chosen > used));
            }
        }
    }
}
