//! Until when the certificates are valid that the app's hosts show: for `wharf doctor`, which looks, and for `wharf status`,
//! which does not wait long.
//!
//! **Invariant**: only hosts that the deployed `wharf.toml` has under `[[health]]` are looked at. Nothing but the request that
//! a probe makes is sent, and of the certificate nothing is believed but its date, which a wrong one may tell, too.
//!
//! **Invariant**: however often somebody asks, one look at a host runs at a time.

mod validity;

use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use validity::not_after;
use wharf_proto::certificate::CertificateFacts;
use wharf_proto::spec::ProbeSpec;

/// How long one host may take.
const LOOK_WITHIN: Duration = Duration::from_secs(8);
/// How long a status waits for it. The look goes on, and the next status has what came of it.
const STATUS_WAITS: Duration = Duration::from_secs(2);
/// How long a status believes what a host showed, and that it could not be looked at.
const SHOWN_HOLDS: Duration = Duration::from_secs(600);
const PROBLEM_HOLDS: Duration = Duration::from_secs(60);
/// The most hosts of one app that are looked at.
const HOSTS: usize = 16;

/// Until when a host's certificate is valid, or why that cannot be told.
type Shown = Result<Timestamp, String>;

/// What was seen of hosts, for as long as it holds. Cheap to clone.
#[derive(Clone, Default)]
pub struct Certificates(Arc<Mutex<BTreeMap<String, Seen>>>);

type Look = Shared<BoxFuture<'static, Shown>>;

struct Seen {
    began: Instant,
    look: Look,
}

impl Certificates {
    /// What each host of these probes shows that is asked by HTTPS, as it is now.
    pub async fn look(&self, probes: &[ProbeSpec], now: Timestamp) -> Vec<CertificateFacts> {
        let looks = self.each(probes, Seen::is_running);
        join_all(looks.into_iter().map(|(host, look)| async move { facts(host, look.await, now) })).await
    }

    /// The same within moments: what was seen shortly before counts, and who does not answer in time is told of as such.
    /// The looks have begun when this returns.
    pub fn soon(
        &self,
        probes: &[ProbeSpec],
        now: Timestamp,
    ) -> impl Future<Output = Vec<CertificateFacts>> + use<> {
        let looks = self.each(probes, Seen::holds);
        join_all(looks.into_iter().map(move |(host, look)| async move {
            let shown = tokio::time::timeout(STATUS_WAITS, look).await.unwrap_or_else(|_| {
                Err(format!("it has not answered within {} seconds", STATUS_WAITS.as_secs()))
            });
            facts(host, shown, now)
        }))
    }

    fn each(&self, probes: &[ProbeSpec], will_do: fn(&Seen) -> bool) -> Vec<(String, Look)> {
        let look = |(host, url): (String, _)| {
            let look = self.seen(&host, url, will_do);
            (host, look)
        };
        hosts(probes).into_iter().map(look).collect()
    }

    /// A look that will do, or a new one, which goes on when nobody waits for it any more.
    fn seen(&self, host: &str, url: reqwest::Url, will_do: fn(&Seen) -> bool) -> Look {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No more are kept than the hosts that were asked about within the time that they hold.
        all.retain(|_, seen| seen.holds());
        if let Some(seen) = all.get(host).filter(|seen| will_do(seen)) {
            return seen.look.clone();
        }
        let look = expiry(url).boxed().shared();
        all.insert(host.to_owned(), Seen { began: Instant::now(), look: look.clone() });
        drop(tokio::spawn(look.clone()));
        look
    }
}

impl Seen {
    fn is_running(&self) -> bool {
        self.look.peek().is_none()
    }

    fn holds(&self) -> bool {
        let age = self.began.elapsed();
        match self.look.peek() {
            None => true,
            Some(Ok(_)) => age < SHOWN_HOLDS,
            Some(Err(_)) => age < PROBLEM_HOLDS,
        }
    }
}

/// The hosts of the probes that are asked by HTTPS, each with one of the addresses.
fn hosts(probes: &[ProbeSpec]) -> Vec<(String, reqwest::Url)> {
    let urls = probes.iter().filter_map(|probe| reqwest::Url::parse(&probe.url).ok());
    let hosts: BTreeMap<String, reqwest::Url> = urls
        .filter(|url| url.scheme() == "https")
        .filter_map(|url| {
            let host = url.host_str()?;
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            Some((format!("{host}{port}"), url))
        })
        .collect();
    hosts.into_iter().take(HOSTS).collect()
}

fn facts(host: String, shown: Shown, now: Timestamp) -> CertificateFacts {
    let (expires, problem) = match shown {
        Ok(expires) => (Some(expires), None),
        Err(problem) => (None, Some(problem)),
    };
    CertificateFacts { host, expires, days_left: None, problem }.as_of(now)
}

async fn expiry(url: reqwest::Url) -> Result<Timestamp, String> {
    let client = reqwest::Client::builder()
        .timeout(LOOK_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_info(true)
        // One that has expired is what is looked for.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(|error| error.to_string())?;
    let response = client.get(url).send().await.map_err(|error| innermost(&error))?;
    let shown = response.extensions().get::<reqwest::tls::TlsInfo>();
    let certificate = shown.and_then(reqwest::tls::TlsInfo::peer_certificate);
    not_after(certificate.ok_or("it shows no certificate")?)
        .ok_or_else(|| "its certificate cannot be read".to_owned())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn probe(address: std::net::SocketAddr) -> ProbeSpec {
        serde_json::from_value(serde_json::json!({"url": format!("https://{address}/health")})).unwrap()
    }

    #[tokio::test]
    async fn only_hosts_that_are_asked_by_https_are_looked_at() {
        let probes: Vec<ProbeSpec> = serde_json::from_value(serde_json::json!([
            {"url": "http://a.example/"}, {"url": "https://b.example/"}, {"url": "https://b.example/other"},
            {"url": "https://b.example:8443/"}, {"url": "no address"},
        ]))
        .unwrap();
        let names: Vec<String> = hosts(&probes).into_iter().map(|(host, _)| host).collect();
        assert_eq!(names, ["b.example", "b.example:8443"]);
        let none = Certificates::default().soon(&probes[..1], Timestamp::UNIX_EPOCH).await;
        assert!(none.is_empty(), "{none:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_never_answers_holds_nothing_up_and_is_asked_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probes = [probe(listener.local_addr().unwrap())];
        let certificates = Certificates::default();
        let began = tokio::time::Instant::now();
        let (one, two) = tokio::join!(
            certificates.soon(&probes, Timestamp::UNIX_EPOCH),
            certificates.soon(&probes, Timestamp::UNIX_EPOCH)
        );
        assert_eq!(began.elapsed().as_secs(), STATUS_WAITS.as_secs());
        assert_eq!(one, two);
        assert_eq!(one[0].problem.as_deref(), Some("it has not answered within 2 seconds"));
        let _first = listener.accept().await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
        assert!(second.is_err(), "it was asked twice");
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_told_of_and_that_holds_for_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probes = [probe(listener.local_addr().unwrap())];
        drop(listener);
        let certificates = Certificates::default();
        let seen = certificates.soon(&probes, Timestamp::UNIX_EPOCH).await;
        assert!(seen[0].problem.as_deref().unwrap().contains("refused"), "{seen:?}");
        assert!(certificates.0.lock().unwrap().values().all(|seen| seen.holds() && !seen.is_running()));
        assert_eq!(certificates.soon(&probes, Timestamp::UNIX_EPOCH).await, seen);
        assert_eq!(certificates.look(&probes, Timestamp::UNIX_EPOCH).await, seen);
    }
}
