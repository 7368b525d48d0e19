//! Operating what runs, without a release: how many containers a service has, and how much memory each may take.

use serde::{Deserialize, Serialize};

/// What was set for a service beside the Compose files. It holds for every release until it is set otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceScale {
    pub service: String,
    /// How many containers; `None`: what the Compose files say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The memory that each container may take; `None`: what the Compose files say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// A change of what is set for a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleChange {
    pub service: String,
    /// First forget what was set before.
    #[serde(default)]
    pub reset: bool,
    /// `None`: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// `None`: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What nobody needs of what Docker holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerPrunePlan {
    pub images: Vec<UnneededImage>,
    /// Build cache that is in no use now, of every app.
    pub cache_bytes: u64,
    /// How much of it stays.
    pub keep_cache_bytes: u64,
}

/// An image that goes, or one of its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnneededImage {
    pub id: String,
    /// The name that goes, and the image with its last one; `None`: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The room that this frees, at least.
    pub size_bytes: u64,
    pub why: String,
}

/// A size as Docker takes it: a number with b, k, m or g, by powers of 1,024; `None` for what is none.
pub fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower.get(digits.len()..).unwrap_or_default();
    let factor: u64 = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit == "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor))
}

/// The same as it is told, in the unit that it is given in: `64 MiB`.
pub fn memory_text(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes % MIB {
        0 => format!("{} MiB", bytes / MIB),
        rest => format!("{}.{} MiB", bytes / MIB, rest * 10 / MIB),
    }
}

impl DockerPrunePlan {
    /// The room that it frees, about.
    pub fn frees_bytes(&self) -> u64 {
        let images = self.images.iter().map(|image| image.size_bytes);
        images.fold(self.cache_bytes.saturating_sub(self.keep_cache_bytes), u64::saturating_add)
    }
}

impl ServiceScale {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.replicas.is_none() && self.memory_bytes.is_none()
    }
}

impl ScaleChange {
    /// What is set after the change of a service for which `before` was.
    pub fn applied_to(&self, before: Option<&ServiceScale>) -> ServiceScale {
        let kept = before.filter(|_| !self.reset);
        ServiceScale {
            service: self.service.clone(),
            replicas: self.replicas.or_else(|| kept?.replicas),
            memory_bytes: self.memory_bytes.or_else(|| kept?.memory_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_as_it_is_given() {
        let told = |text: &str| memory_text(parse_size(text).unwrap());
        assert_eq!(["64m", "2g", "6656k", "1k"].map(told), ["64 MiB", "2048 MiB", "6.5 MiB", "0.0 MiB"]);
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_unless_it_forgets_all() {
        let web = |replicas, memory_bytes| ServiceScale { service: "web".into(), replicas, memory_bytes };
        let change = |reset, replicas, memory_bytes| ScaleChange {
            service: "web".into(),
            reset,
            replicas,
            memory_bytes,
        };
        let before = web(Some(2), Some(512));
        assert_eq!(change(false, Some(3), None).applied_to(Some(&before)), web(Some(3), Some(512)));
        assert_eq!(change(true, None, Some(7)).applied_to(Some(&before)), web(None, Some(7)));
        assert!(change(true, None, None).applied_to(Some(&before)).is_empty());
        assert_eq!(change(false, None, Some(7)).applied_to(None), web(None, Some(7)));
    }
}
