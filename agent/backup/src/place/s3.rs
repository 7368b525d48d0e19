//! S3 by signed URLs: four calls of it.

use super::files::{Files, Trouble};
use super::remote::sane;
use super::{Place, S3Place};
use crate::BackupError;
use crate::key::read_secret;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, Response, StatusCode, Url, header};
use rusty_s3::actions::list_objects_v2::{CommonPrefixes, ListObjectsContent};
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::path::Path;
use std::time::Duration;

/// How long a signature holds; a call is shorter.
const SIGNED_FOR: Duration = Duration::from_secs(3600);
const CONNECT: Duration = Duration::from_secs(20);
/// A connection on which nothing comes for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest answer that is not a file, in bytes, and how much of an error is told.
const ANSWER_BYTES: u64 = 8 * 1024 * 1024;
const SAID_CHARS: usize = 300;
/// Pages of a listing, a thousand files each.
const PAGES: usize = 10_000;

pub(crate) struct S3 {
    client: Client,
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket.base_url().as_str()).finish_non_exhaustive()
    }
}

impl S3 {
    pub(crate) fn new(place: &S3Place) -> Result<Self, BackupError> {
        let wrong = |what: &str, cause: &dyn std::fmt::Display| BackupError::Elsewhere {
            place: place.endpoint.clone(),
            cause: format!("{what}: {cause}"),
        };
        let endpoint: Url = place.endpoint.parse().map_err(|e| wrong("the endpoint is no URL", &e))?;
        let style = if place.virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let bucket = Bucket::new(endpoint, style, place.bucket.clone(), place.region.clone())
            .map_err(|e| wrong("the bucket cannot be addressed", &e))?;
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| wrong("no client", &e.without_url()))?;
        let mut prefix = place.prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        Ok(Self { client, bucket, credentials: credentials(place)?, prefix })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A listing of what begins with `prefix`; `top`: no deeper than the next slash.
    async fn pages(&self, prefix: &str, top: bool) -> Result<Vec<ListObjectsV2Response>, Trouble> {
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(prefix.to_owned());
            if top {
                action.with_delimiter("/");
            }
            if let Some(token) = next.take() {
                action.with_continuation_token(token);
            }
            let answer = self.send(Method::GET, action.sign(SIGNED_FOR), Bytes::new()).await?;
            if !answer.status().is_success() {
                return Err(refused(answer).await);
            }
            let body = body(answer, ANSWER_BYTES).await?;
            let mut page = ListObjectsV2::parse_response(&String::from_utf8_lossy(&body))
                .map_err(|e| Trouble::Lasting(format!("the listing is not understood: {e}")))?;
            next = page.next_continuation_token.take();
            found.push(page);
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(Trouble::Lasting("the listing does not end".to_owned()))
    }

    async fn send(&self, method: Method, url: Url, body: Bytes) -> Result<Response, Trouble> {
        let request = self.client.request(method, url).body(body);
        request.send().await.map_err(passing)
    }
}

/// A URL is as good as a password while its signature holds, so no error names it.
fn passing(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    Trouble::Passing(text)
}

/// What an answer means that is none of those that were hoped for.
async fn refused(answer: Response) -> Trouble {
    let status = answer.status();
    if status == StatusCode::NOT_FOUND {
        let said = said(answer).await;
        return if said.contains("NoSuchBucket") {
            Trouble::Lasting("there is no such bucket".to_owned())
        } else {
            Trouble::Missing
        };
    }
    let passes = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let text = format!("{status}: {}", said(answer).await);
    if passes { Trouble::Passing(text) } else { Trouble::Lasting(text) }
}

/// The code and the message of an error; never more of it, since some servers repeat what was signed.
async fn said(answer: Response) -> String {
    let Ok(body) = body(answer, ANSWER_BYTES).await else { return String::new() };
    let body = String::from_utf8_lossy(&body);
    let element = |name: &str| {
        let from = body.split_once(&format!("<{name}>"))?.1;
        Some(from.split_once(&format!("</{name}>"))?.0.chars().take(SAID_CHARS).collect::<String>())
    };
    [element("Code"), element("Message")].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

async fn body(mut answer: Response, limit_bytes: u64) -> Result<Bytes, Trouble> {
    let mut whole = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(passing)? {
        if (whole.len() + piece.len()) as u64 > limit_bytes {
            return Err(Trouble::Lasting(format!("the answer has more than {limit_bytes} bytes")));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

#[async_trait]
impl Files for S3 {
    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Trouble> {
        let pages = self.pages(&self.key(&format!("{folder}/")), false).await?;
        let file = |object: ListObjectsContent| {
            let last = object.key.rsplit('/').next()?.to_owned();
            Some((last, object.size?))
        };
        Ok(pages.into_iter().flat_map(|page| page.contents).filter_map(file).collect())
    }

    async fn folders(&self) -> Result<Vec<String>, Trouble> {
        let pages = self.pages(&self.prefix, true).await?;
        let name =
            |folder: CommonPrefixes| Some(folder.prefix.trim_end_matches('/').rsplit('/').next()?.to_owned());
        Ok(pages.into_iter().flat_map(|page| page.common_prefixes).filter_map(name).collect())
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Trouble> {
        let key = self.key(name);
        let url = self.bucket.head_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(Method::HEAD, url, Bytes::new()).await?;
        if answer.status().is_success() {
            let length = answer.headers().get(header::CONTENT_LENGTH);
            let size = length.and_then(|length| length.to_str().ok()?.parse().ok());
            return size.map(Some).ok_or_else(|| Trouble::Lasting("a file has no size".to_owned()));
        }
        match refused(answer).await {
            Trouble::Missing => Ok(None),
            trouble => Err(trouble),
        }
    }

    async fn read(&self, name: &str, range: Option<(u64, u64)>) -> Result<Bytes, Trouble> {
        let key = self.key(name);
        let url = self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let mut request = self.client.get(url);
        if let Some((offset, length)) = range {
            let Some(last) = (offset + length).checked_sub(1).filter(|_| length > 0) else {
                return Ok(Bytes::new());
            };
            request = request.header(header::RANGE, format!("bytes={offset}-{last}"));
        }
        let answer = request.send().await.map_err(passing)?;
        match (answer.status(), range) {
            (StatusCode::PARTIAL_CONTENT, Some((_, length))) => body(answer, length).await,
            (StatusCode::OK, None) => {
                let size = answer.content_length().unwrap_or_default();
                sane(size)?;
                let whole = body(answer, u64::MAX).await?;
                sane(whole.len() as u64)?;
                Ok(whole)
            }
            (StatusCode::OK, Some(_)) => Err(Trouble::Lasting("ranges are not honoured".to_owned())),
            _ => Err(refused(answer).await),
        }
    }

    async fn write(&self, name: &str, content: Bytes) -> Result<(), Trouble> {
        let size_bytes = content.len() as u64;
        // A file's name is the hash of its content, so that one of the same size is the same one.
        if self.size(name).await? == Some(size_bytes) {
            return Ok(());
        }
        let key = self.key(name);
        let url = self.bucket.put_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(Method::PUT, url, content).await?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer).await) }
    }

    async fn remove(&self, name: &str) -> Result<(), Trouble> {
        let key = self.key(name);
        let url = self.bucket.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(Method::DELETE, url, Bytes::new()).await?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer).await) }
    }
}

fn credentials(place: &S3Place) -> Result<Credentials, BackupError> {
    let half = |file: &Option<std::path::PathBuf>, variable: &str| match file {
        Some(file) => secret(place, file),
        None => std::env::var(variable).map_err(|_| BackupError::Elsewhere {
            place: place.endpoint.clone(),
            cause: format!("there are no credentials: name files with them, or set {variable}"),
        }),
    };
    let key = half(&place.access_key_file, "AWS_ACCESS_KEY_ID")?;
    let secret = half(&place.secret_key_file, "AWS_SECRET_ACCESS_KEY")?;
    Ok(Credentials::new(key, secret))
}

fn secret(place: &S3Place, file: &Path) -> Result<String, BackupError> {
    let read = read_secret(file).map_err(|error| match error {
        BackupError::KeyMissing { key_file, cause } => BackupError::Elsewhere {
            place: Place::S3(place.clone()).to_string(),
            cause: format!("its credentials cannot be read from {}: {cause}", key_file.display()),
        },
        other => other,
    })?;
    Ok(String::from_utf8_lossy(&read).trim().to_owned())
}
