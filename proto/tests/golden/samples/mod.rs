//! One value in full and one as empty as may be, for each variant of what crosses the wire.

pub mod answers;
pub mod backups;
pub mod doctor;
pub mod events;
pub mod messages;
pub mod operate;
pub mod plans;
pub mod specs;
pub mod terminal;
pub mod words;

use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A type with goldens.
pub trait Family: Serialize + DeserializeOwned + Clone + PartialEq + Debug {
    /// How its files' names begin.
    const TITLE: &'static str;
    /// Every variant, in the order of the samples.
    const VARIANTS: &'static [&'static str];

    fn variant(&self) -> &'static str;

    /// In full, and as empty as may be; for each variant.
    fn samples() -> Vec<[Self; 2]>;
}

/// Names every variant of an enum. The match is total: a new variant must be named here, and then needs a golden.
macro_rules! variants {
    ($names:ident, $of:ident, $enum:ty, $($pattern:pat => $name:literal),+ $(,)?) => {
        pub const $names: &[&str] = &[$($name),+];

        pub fn $of(value: &$enum) -> &'static str {
            match value { $($pattern => $name),+ }
        }
    };
}
pub(crate) use variants;

/// Makes a type whose variants are named by [`variants`] a family.
macro_rules! family {
    ($type:ty, $title:literal, $names:expr, $of:expr, $samples:expr) => {
        impl $crate::samples::Family for $type {
            const TITLE: &'static str = $title;
            const VARIANTS: &'static [&'static str] = $names;
            fn variant(&self) -> &'static str {
                $of(self)
            }
            fn samples() -> Vec<[Self; 2]> {
                $samples
            }
        }
    };
}
pub(crate) use family;

/// A value that is written as text: a name, a path, a digest, a time.
pub fn text<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: Debug,
{
    text.parse().expect("a sample is well formed")
}

/// The same sample in both forms: nothing in it may be left out.
pub fn only<T: Clone>(value: T) -> [T; 2] {
    [value.clone(), value]
}
