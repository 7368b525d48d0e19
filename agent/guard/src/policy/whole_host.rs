//! Request → answer, where the engine itself asks before it serves a request ([`crate::plugin`]).
//!
//! **Invariants**
//! - What is allowed goes to the engine as its client sent it. So what a guarded socket would have to change first, to keep a
//!   volume, is refused here.
//! - A body that the engine did not show, and that matters, refuses.
//! - Reading is allowed without a fact: to find one out the guard itself reads, and the engine asks about that too.

use super::door::Door;
use super::{Case, Missing, Policy, Stop, Verdict, texts};
use crate::facts::Facts;
use crate::request::{Refusal, Request};

/// What the engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It serves the request.
    Allow,
    /// It does not, and tells its client why.
    Deny(String),
}

/// Whoever may use Docker may have a container that commands the host: what is kept from the whole host is losing volumes.
const POLICY: Policy = Policy { allow_root_equivalent: true };

/// The answer, or the one thing to find out before there can be one.
pub fn judge(request: &Request, facts: &Facts) -> Result<Answer, Missing> {
    let verdict = match Case::open(request, POLICY, facts, Door::Plugin).and_then(Case::judge) {
        Ok(verdict) => verdict,
        Err(Stop::Refuse(refusal)) => Verdict::Refuse(refusal),
        Err(Stop::Missing(missing)) => return Err(missing),
    };
    Ok(match verdict {
        Verdict::Forward(_) => Answer::Allow,
        Verdict::ForwardKeepingVolumes(_) => deny(texts::removed_with_volumes()),
        // What is not there is not deleted either, and the engine's own answer is the one that clients understand.
        Verdict::Refuse(refusal) if refusal.status == 404 => Answer::Allow,
        Verdict::Refuse(refusal) => deny(refusal),
    })
}

/// The answer with what is known; what is unknown is refused.
pub fn answer(request: &Request, facts: &Facts) -> Answer {
    judge(request, facts).unwrap_or_else(|missing| unknown(&missing))
}

/// Why it is refused as long as that is not known.
pub fn unknown(missing: &Missing) -> Answer {
    match missing {
        Missing::Body => deny(Refusal::unclear(
            "the engine does not show the guard what is in this request: it is larger than the engine passes on, or not \
             declared as application/json, or sent in a way that the engine hides from plugins. What cannot be seen is not let through.",
        )),
        Missing::Fact(_) => deny(texts::unknown(missing)),
    }
}

fn deny(refusal: Refusal) -> Answer {
    Answer::Deny(refusal.message)
}
