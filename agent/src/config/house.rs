//! `[house]`: what the agent keeps in bounds by itself, as `wharf prune` does when it is asked.

use serde::{Deserialize, Deserializer};
use wharf_proto::operate::parse_size;

/// Nothing is removed unless the server's owner says so: the build cache is the engine's, and other people's too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct House {
    /// How much build cache may be there.
    #[serde(deserialize_with = "size")]
    pub build_cache: Option<u64>,
    /// Whether images go that no release and no container needs.
    pub images: bool,
}

impl House {
    /// Whether there is anything to do.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    let size = parse_size(&text);
    size.map(Some).ok_or_else(|| serde::de::Error::custom("a size is a number with k, m or g: \"10g\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_and_nothing_is_limited_unless_it_is_said() {
        let house = |text: &str| toml::from_str::<House>(text);
        assert!(house("").unwrap().is_off());
        let limited = house("build_cache = \"10GB\"\nimages = true").unwrap();
        assert_eq!(limited, House { build_cache: Some(10 << 30), images: true });
        assert!(house("build_cache = \"10\"").unwrap_err().to_string().contains("with k, m or g"));
        assert!(house("build_cash = \"10g\"").is_err());
    }
}
