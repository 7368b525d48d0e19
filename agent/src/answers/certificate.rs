//! Until when the certificates are valid that the app's hosts show: for `wharf doctor`, which looks, and for `wharf status`,
//! which does not wait long.
//!
//! **Invariant**: only hosts that the deployed `wharf.toml` has under `[[health]]` are looked at. Nothing but a request for `/`
//! is sent, and of the certificate nothing is believed but its date, which a wrong one may tell, too.
//!
//! **Invariant**: however often somebody asks, one look at a host runs at a time.

mod validity;

use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use validity::not_after;
use wharf_proto::certificate::CertificateFacts;
use wharf_proto::spec::ProbeSpec;

/// How long one host may take.
const LOOK_WITHIN: Duration = Duration::from_secs(8);
/// How long a status waits for it, and is then content with what was seen before. The look goes on, and the next status has
/// what came of it.
const STATUS_WAITS: Duration = Duration::from_secs(2);
/// How long a status believes what a host showed, and that it could not be looked at.
const SHOWN_HOLDS: Duration = Duration::from_secs(600);
const PROBLEM_HOLDS: Duration = Duration::from_secs(60);
/// How long it is told while a new look runs.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// The same whoever did not wait any longer, so that one who watches is told once.
const NO_ANSWER: &str = "it has not answered in time";
/// The most hosts of one app that are looked at.
const HOSTS: usize = 16;

/// Until when a host's certificate is valid, or why that cannot be told.
type Shown = Result<Timestamp, String>;

/// What was seen of hosts, for as long as it holds. Cheap to clone.
#[derive(Clone, Default)]
pub struct Certificates(Arc<Mutex<BTreeMap<String, Seen>>>);

type Look = Shared<BoxFuture<'static, Shown>>;

#[derive(Clone)]
struct Seen {
    began: Instant,
    look: Look,
    /// What came of the look before.
    before: Option<Shown>,
}

impl Certificates {
    /// What each host of these probes shows that is asked by HTTPS, as it is now.
    pub async fn look(&self, probes: &[ProbeSpec], now: Timestamp) -> Vec<CertificateFacts> {
        let looks = self.each(probes, Seen::is_running);
        join_all(looks.into_iter().map(|(host, seen)| async move { facts(host, seen.look.await, now) })).await
    }

    /// The same within moments: what was seen shortly before counts, and of who does not answer in time what was seen last.
    /// The looks have begun when this returns.
    pub fn soon(
        &self,
        probes: &[ProbeSpec],
        now: Timestamp,
    ) -> impl Future<Output = Vec<CertificateFacts>> + use<> {
        let looks = self.each(probes, Seen::holds);
        join_all(looks.into_iter().map(move |(host, seen)| async move {
            let shown = tokio::time::timeout(STATUS_WAITS, seen.look).await.ok().or(seen.before);
            facts(host, shown.unwrap_or_else(|| Err(NO_ANSWER.to_owned())), now)
        }))
    }

    fn each(&self, probes: &[ProbeSpec], will_do: fn(&Seen) -> bool) -> Vec<(String, Seen)> {
        let look = |(host, url): (String, _)| {
            let seen = self.seen(&host, url, will_do);
            (host, seen)
        };
        hosts(probes).into_iter().map(look).collect()
    }

    /// A look that will do, or a new one, which goes on when nobody waits for it any more.
    fn seen(&self, host: &str, url: reqwest::Url, will_do: fn(&Seen) -> bool) -> Seen {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No more are kept than the hosts that were asked about within that time.
        all.retain(|_, seen| seen.is_running() || seen.began.elapsed() < REMEMBERED);
        let known = all.get(host);
        if let Some(seen) = known.filter(|seen| will_do(seen)) {
            return seen.clone();
        }
        let before = known.and_then(|seen| seen.look.peek().cloned().or_else(|| seen.before.clone()));
        // A look that has panicked would let everybody panic who asks for it later.
        let shown = AssertUnwindSafe(expiry(url)).catch_unwind();
        let look =
            shown.map(|shown| shown.unwrap_or_else(|_| Err("the look broke off".into()))).boxed().shared();
        let seen = Seen { began: Instant::now(), look, before };
        all.insert(host.to_owned(), seen.clone());
        drop(tokio::spawn(seen.look.clone()));
        seen
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

/// The hosts of the probes that are asked by HTTPS, each with an address that has nothing but the host: whoever answers is
/// not proven to be it, and what else is in a probe's address may be a secret.
fn hosts(probes: &[ProbeSpec]) -> Vec<(String, reqwest::Url)> {
    let urls = probes.iter().filter_map(|probe| reqwest::Url::parse(&probe.url).ok());
    let hosts: BTreeMap<String, reqwest::Url> = urls
        .filter(|url| url.scheme() == "https")
        .filter_map(|url| {
            let host = url.host_str()?;
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            let host = format!("{host}{port}");
            let url = reqwest::Url::parse(&format!("https://{host}/")).ok()?;
            Some((host, url))
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
    let response = client.get(url).send().await.map_err(|error| match error.is_timeout() {
        true => NO_ANSWER.to_owned(),
        false => innermost(&error),
    })?;
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
            {"url": "https://me:secret@b.example:8443/path?key=secret#part"}, {"url": "no address"},
        ]))
        .unwrap();
        let asked: Vec<_> = hosts(&probes).into_iter().map(|(host, url)| (host, url.to_string())).collect();
        let expected = [("b.example", "https://b.example/"), ("b.example:8443", "https://b.example:8443/")];
        assert_eq!(asked, expected.map(|(host, url)| (host.to_owned(), url.to_owned())));
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
        assert_eq!(one[0].problem.as_deref(), Some(NO_ANSWER));
        let _first = listener.accept().await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
        assert!(second.is_err(), "it was asked twice");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_last_is_told_until_a_new_look_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (probes, now) = ([probe(address)], Timestamp::UNIX_EPOCH);
        let certificates = Certificates::default();
        let look = futures_util::future::ready(Ok(now)).boxed().shared();
        look.clone().await.unwrap();
        let seen = Seen { began: Instant::now(), look, before: None };
        certificates.0.lock().unwrap().insert(address.to_string(), seen);
        tokio::time::advance(SHOWN_HOLDS).await;
        // The new one waits for an answer.
        assert_eq!(certificates.soon(&probes, now).await[0].expires, Some(now));
        tokio::time::sleep(LOOK_WITHIN).await;
        for _ in 0..2 {
            let told = certificates.soon(&probes, now).await;
            assert_eq!((told[0].expires, told[0].problem.as_deref()), (None, Some(NO_ANSWER)));
            tokio::time::advance(PROBLEM_HOLDS).await;
        }
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
