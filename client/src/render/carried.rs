//! How far an image is on its way between two servers.

use super::{Console, bytes, story::sent_line};
use crate::session::{self, Sent};
use std::time::{Duration, Instant};
use wharf_proto::release::PortableImage;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one image.
pub struct CarryProgress<'a> {
    console: &'a mut Console,
    image: &'a PortableImage,
    total_bytes: u64,
    sent_bytes: u64,
    told: Instant,
}

#[derive(serde::Serialize)]
struct ImageSent<'a> {
    service: &'a str,
    image: String,
    layers: usize,
    bytes: u64,
    content_bytes: u64,
    duration_ms: u64,
}

impl<'a> CarryProgress<'a> {
    pub fn new(console: &'a mut Console, image: &'a PortableImage) -> Self {
        Self { console, image, total_bytes: 0, sent_bytes: 0, told: Instant::now() }
    }
}

impl session::Progress for CarryProgress<'_> {
    fn start(&mut self, total_bytes: u64, layers: u64) {
        (self.total_bytes, self.sent_bytes, self.told) = (total_bytes, 0, Instant::now());
        let (service, all) = (&self.image.service, self.image.layers.len());
        let text = match total_bytes {
            0 => format!("Image: {service}: {layers} of {all} layers are sent, the others are there"),
            total => format!("Image: {service}: about {} in {layers} layers are sent", bytes(total)),
        };
        self.console.note(&text);
    }

    fn sent(&mut self, count: u64) {
        self.sent_bytes += count;
        if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let sent = bytes(self.sent_bytes);
            let of = if self.total_bytes == 0 {
                String::new()
            } else {
                format!(" of about {}", bytes(self.total_bytes))
            };
            self.console.note(&format!("      {sent}{of}"));
        }
    }

    fn finish(&mut self, sent: &Sent) {
        let line = sent_line(sent.content_bytes, sent.bytes, sent.duration);
        self.console.note(&format!("Image: {}: {line}", self.image.service));
        if self.console.json {
            let told = ImageSent {
                service: &self.image.service,
                image: self.image.id(),
                layers: self.image.layers.len(),
                bytes: sent.bytes,
                content_bytes: sent.content_bytes,
                duration_ms: u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX),
            };
            self.console.object("image_sent", &told);
        }
    }
}
