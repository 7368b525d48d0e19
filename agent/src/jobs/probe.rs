//! HTTP probes, asked from the server.

use std::time::Duration;
use tokio::time::Instant;
use wharf_proto::spec::ProbeSpec;
use wharf_proto::{Failure, FailureKind};

/// Pause between two tries of one probe.
const PAUSE: Duration = Duration::from_millis(300);

/// Asks until the probe answers as it should.
///
/// # Errors
/// [`FailureKind::Verify`] with the last answer, once the probe's time is up.
pub async fn ask(probe: &ProbeSpec) -> Result<(), Failure> {
    let client = client(Duration::from_secs(probe.timeout_seconds.into()))
        .map_err(|e| Failure::from_error(FailureKind::Internal, &e))?;
    let until = Instant::now() + Duration::from_secs(probe.within_seconds.into());
    loop {
        let answer = match client.get(&probe.url).send().await {
            Ok(response) if response.status().as_u16() == probe.status => return Ok(()),
            Ok(response) => format!("it answered {} instead of {}", response.status().as_u16(), probe.status),
            Err(error) => format!("it did not answer: {}", innermost(&error)),
        };
        if Instant::now() + PAUSE > until {
            return Err(Failure::new(FailureKind::Verify, format!("the health probe {} failed", probe.url))
                .cause(answer)
                .cause(format!("it was asked for {} seconds", probe.within_seconds))
                .hint("look at what the service wrote: wharf logs"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What asks: no redirect is followed, and every request has a connection of its own.
pub fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
