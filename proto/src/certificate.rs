//! What hosts show to whoever comes by HTTPS, and how long that is good for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From so many days before its end on, a certificate is worth a warning: who renews it by itself has done so by then.
pub const WARNS_WITHIN_DAYS: i64 = 21;

/// What one host shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// `example.org`, or `example.org:8443`.
    pub host: String,
    /// `None`: it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whole days until then by the server's clock, when it was asked; below 0: it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How good a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Good {
        days: i64,
    },
    EndsSoon {
        expires: Timestamp,
        days: i64,
    },
    Expired {
        expires: Timestamp,
    },
    /// It could not be looked at.
    Unknown,
}

impl CertificateFacts {
    /// The same, with the days that are left at `now`.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        let days_left = self.expires.map(|expires| days_until(expires, now));
        Self { days_left, ..self }
    }

    pub fn validity(&self, now: Timestamp) -> Validity {
        let Some(expires) = self.expires else { return Validity::Unknown };
        match days_until(expires, now) {
            _ if expires < now => Validity::Expired { expires },
            days if days < WARNS_WITHIN_DAYS => Validity::EndsSoon { expires, days },
            days => Validity::Good { days },
        }
    }

    /// Why it could not be looked at.
    pub fn why_unknown(&self) -> &str {
        self.problem.as_deref().unwrap_or("nothing is said of it")
    }
}

fn days_until(expires: Timestamp, now: Timestamp) -> i64 {
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    expires.duration_since(now).as_secs().div_euclid(DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_good_end_soon_and_expire() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let at = |text: &str| {
            let facts = CertificateFacts {
                host: "shop.example".into(),
                expires: text.parse().ok(),
                days_left: None,
                problem: None,
            };
            let facts = facts.as_of(now);
            (facts.days_left, facts.validity(now))
        };
        assert_eq!(at("2026-12-19T12:00:00Z"), (Some(21), Validity::Good { days: 21 }));
        let soon = "2026-12-19T11:59:59Z";
        let expires = soon.parse().unwrap();
        assert_eq!(at(soon), (Some(20), Validity::EndsSoon { expires, days: 20 }));
        assert_eq!(at("2026-11-28T12:00:00Z"), (Some(0), Validity::EndsSoon { expires: now, days: 0 }));
        let over = "2026-11-28T11:30:00Z";
        assert_eq!(at(over), (Some(-1), Validity::Expired { expires: over.parse().unwrap() }));
        assert_eq!(at(""), (None, Validity::Unknown));
    }
}
