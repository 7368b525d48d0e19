//! Seeded mutations of the known tricks.

use crate::hostile::{Hostile, delete};

/// A small generator of its own, so that a seed means the same for ever.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// One to three changes to one of the known tricks.
pub fn mutate(table: &[Hostile], dice: &mut Dice) -> Hostile {
    let mut hostile = dice.pick(table).clone();
    for _ in 0..=dice.roll(3) {
        change(&mut hostile, dice);
    }
    hostile
}

fn change(hostile: &mut Hostile, dice: &mut Dice) {
    match dice.roll(9) {
        0 => hostile.path = encode_one(&hostile.path, dice),
        1 => {
            hostile.path = format!(
                "{}{}",
                dice.pick(&[
                    "/v1.45",
                    "/v1.44",
                    "/v1.24",
                    "/v2",
                    "/",
                    "http://docker",
                    "/.",
                    "/containers/..",
                    "/%2e"
                ]),
                hostile.path
            )
        }
        2 => hostile.query.push(
            (*dice.pick(&[
                "v=1",
                "v=0",
                "%76=1",
                "v=yes",
                "v",
                "force=1",
                "x=%zz",
                "v=1;",
                "V=1",
                "filters=%7B%7D",
                "\u{17f}=1",
            ]))
            .to_owned(),
        ),
        3 => {
            let at = dice.roll(hostile.query.len() + 1);
            hostile.query.insert(at, (*dice.pick(&["v=0", "v=1", "force=true", "link=0"])).to_owned());
        }
        4 => hostile.headers.push(
            (*dice.pick(&[
                "Transfer-Encoding: identity",
                "Content-Length: 0",
                "Upgrade: tcp",
                "Connection: keep-alive",
                "Host: other",
                "X-HTTP-Method-Override: DELETE",
                "Content-Type: application/json",
                "TE: trailers",
                "Expect: 100-continue",
                "Content-Encoding: gzip",
                "X-Forwarded-Prefix: /volumes",
            ]))
            .to_owned(),
        ),
        5 => hostile.then = delete(),
        6 => hostile.body = hostile.body.take().map(|body| recase(&body, dice)),
        7 => hostile.body = hostile.body.take().map(|body| double(&body, dice)),
        _ => hostile.path = recase(&hostile.path, dice),
    }
}

fn encode_one(path: &str, dice: &mut Dice) -> String {
    let at = dice.roll(path.len());
    path.char_indices()
        .map(|(index, letter)| {
            if index == at && letter.is_ascii() {
                format!("%{:02x}", letter as u32)
            } else {
                letter.to_string()
            }
        })
        .collect()
}

/// Other cases for some letters, and the two that Unicode folds.
fn recase(text: &str, dice: &mut Dice) -> String {
    let mut change = |letter: char| match (dice.roll(12), letter) {
        (0, 's') => '\u{17f}',
        (0, 'k') => '\u{212a}',
        (0 | 1, letter) if letter.is_ascii_lowercase() => letter.to_ascii_uppercase(),
        (0 | 1, letter) => letter.to_ascii_lowercase(),
        (_, letter) => letter,
    };
    // Values stay: an image that does not exist deletes nothing.
    let mut quoted_value = false;
    let mut previous = ' ';
    text.chars()
        .map(|letter| {
            if letter == '"' {
                quoted_value = !quoted_value && matches!(previous, ':' | '[');
            }
            if !letter.is_whitespace() {
                previous = letter;
            }
            if quoted_value { letter } else { change(letter) }
        })
        .collect()
}

/// A second key of the same name, before or after.
fn double(body: &str, dice: &mut Dice) -> String {
    let extra = dice.pick(&[
        r#""HostConfig":{"AutoRemove":false}"#,
        r#""hostConfig":{"autoremove":true}"#,
        r#""HostConfig":null"#,
        r#""Labels":null"#,
        r#""Image":"scratch""#,
    ]);
    match (dice.roll(2), body.strip_prefix('{'), body.strip_suffix('}')) {
        (0, Some(rest), _) => format!("{{{extra},{rest}"),
        (_, _, Some(start)) => format!("{start},{extra}}}"),
        _ => body.to_owned(),
    }
}
