//! The one rendering of failures: heading, numbered causes, hints.

use super::{Style, clean};
use wharf_proto::{Failure, FailureKind};

/// `error: …` or `refused: …`, with its causes and what to do next.
pub fn failure(failure: &Failure, style: &Style) -> String {
    let heading = match failure.kind {
        FailureKind::Refused | FailureKind::Consent => "refused:",
        FailureKind::Busy => "busy:",
        _ => "error:",
    };
    let mut out = format!("{} {}\n", style.red(heading), lines(&failure.message, "       "));
    match failure.causes.as_slice() {
        [] => {}
        [cause] => out += &format!("  because: {}\n", lines(cause, "           ")),
        causes => {
            for (number, cause) in (1..).zip(causes) {
                out += &format!("  {number}: {}\n", lines(cause, "     "));
            }
        }
    }
    for hint in &failure.hints {
        out += &format!("{} {}\n", style.bold("Hint:"), lines(hint, "      "));
    }
    out
}

/// `text` without control characters, its further lines indented.
fn lines(text: &str, indent: &str) -> String {
    text.trim_end().lines().map(clean).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_with_causes_and_hints() {
        let refused = Failure::new(FailureKind::Refused, "the container of db would start without its data")
            .cause("its volume fitnessapp_pgdata is mounted at /var/lib/postgresql/data now")
            .cause("the new model mounts nothing there\nand the image declares a volume")
            .hint("mount it again: `pgdata:/var/lib/postgresql/data`")
            .hint("or let it go with --accept-detach fitnessapp_pgdata; the volume stays");
        insta::assert_snapshot!(failure(&refused, &Style::plain()));
    }

    #[test]
    fn an_error_with_one_cause_in_colour() {
        let error =
            Failure::new(FailureKind::Build, "web could not be built").cause("RUN pip install: exit code 1");
        let style = Style { colour: true, ..Style::plain() };
        insta::assert_snapshot!(failure(&error, &style).escape_debug().to_string());
    }
}
