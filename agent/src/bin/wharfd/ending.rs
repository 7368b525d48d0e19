//! How a command ends, and what it says then.

use std::process::ExitCode;
use wharf_proto::Failure;

/// With its lines on standard output.
pub fn tell_done(done: Result<Vec<String>, Failure>) -> ExitCode {
    match done {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(failure) => tell(&failure),
    }
}

/// With a failure and what to do about it.
fn tell(failure: &Failure) -> ExitCode {
    eprintln!("wharfd: {failure}");
    failure.causes.iter().for_each(|cause| eprintln!("  because: {cause}"));
    failure.hints.iter().for_each(|hint| eprintln!("  hint: {hint}"));
    ExitCode::from(failure.exit_code())
}

/// With an error of what it needs itself.
pub fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("wharfd: {}", wharfd::failures::told(error));
    ExitCode::from(code)
}
