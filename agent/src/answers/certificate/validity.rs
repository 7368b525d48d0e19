//! The end of an X.509 certificate's validity, read without believing anything else of it.

use jiff::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The end of an X.509 certificate's validity. Of its fields (RFC 5280, 4.1) this is all that is wanted.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (signed, _) = element(certificate, SEQUENCE)?;
    // The version may be left out.
    let rest = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
    let (_serial, rest) = element(rest, INTEGER)?;
    let (_algorithm, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, rest) = time(validity)?;
    time(rest).map(|(until, _)| until)
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let ((text, rest), century) = match element(bytes, UTC_TIME) {
        Some(found) => (found, true),
        None => (element(bytes, GENERALIZED_TIME)?, false),
    };
    let text = std::str::from_utf8(text).ok()?;
    // Years of two digits are of 1950 to 2049.
    let text = match century {
        true if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        true => format!("19{text}"),
        false => text.to_owned(),
    };
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(), rest))
}

/// The content of the element that `bytes` begin with, which must have this tag, and what comes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // So many bytes of length follow; no certificate needs more than four.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509`, for example.org; its end is 2027-02-26 13:20:08.
    const CERTIFICATE: &str = "\
         3082018130820127a00302010202142f5bf85f10dd4aa94cb6a08a148f20b27d9961fc300a06082a8648ce3d04030230163114301206035504030c0b\
         6578616d706c652e6f7267301e170d3236313132383133323030385a170d3237303232363133323030385a30163114301206035504030c0b6578616d\
         706c652e6f72673059301306072a8648ce3d020106082a8648ce3d03010703420004ff3b0075950d71cdfe7d11baeaec4155daa642ca6611a6c69ba9\
         bdcdbe3cf6a55d6d8b7f6ac4821796947549ae67cee186def0fb81a5c6a32f0cc5f9be2f33d5a3533051301d0603551d0e0416041450d3316b8508b2\
         2757cd38120f5eafaecba6bd2d301f0603551d2304183016801450d3316b8508b22757cd38120f5eafaecba6bd2d300f0603551d130101ff04053003\
         0101ff300a06082a8648ce3d0403020348003045022100c811ac7a5091aaa6cbd2926a126f5360cceb6944c4507e00a099fb8dceb654ea0220303cc1\
         f56e2d8ad7d6ed8bb35635298d96a1681bf5d4f4e3cdbd24de39ef91e1\
        ";

    #[test]
    fn the_end_of_a_certificate_is_read_and_half_a_one_is_none() {
        let whole = hex::decode(CERTIFICATE.trim()).unwrap();
        assert_eq!(not_after(&whole), Some("2027-02-26T13:20:08Z".parse().unwrap()));
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None, "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 0xff;
            // Whatever it says: it does not panic.
            let _ = not_after(&other);
        }
    }

    #[test]
    fn years_have_two_digits_or_four() {
        let read = |tag: u8, text: &str| {
            let bytes = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            time(&bytes).map(|(at, _)| at.to_string())
        };
        assert_eq!(read(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(read(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(read(GENERALIZED_TIME, "20810831132008Z").as_deref(), Some("2081-08-31T13:20:08Z"));
        for wrong in ["", "4", "ü1231235959Z", "491331235959Z", "4912312359Z"] {
            assert_eq!(read(UTC_TIME, wrong), None, "{wrong}");
        }
    }
}
