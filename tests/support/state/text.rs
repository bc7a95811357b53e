//! Prose, logs and code with the redundancy of the real thing: Zipf words over a pronounceable vocabulary, and phrases,
//! paths and sources that come back.
#![expect(
    clippy::cast_precision_loss,
    clippy::format_push_string,
    reason = "ranks are far below 2^52; appending with format! cannot fail as write! might"
)]

use std::collections::HashSet;

use super::rng::{Rng, Weighted};

const SYLLABLES: &str = "ba be bi bo bu ca ce ci co cu da de di do du fa fe fi fo ga ge gi go la le li lo lu ma me mi \
    mo mu na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo er en on an in or al st \
    tion ment ing ed ly ness able ive";
const COMMON: &str = "the of to and a in is it that for on with as this be are from or at by not have you we can will \
    if an but all there when which one has use should was more so out then first what need file run test error code \
    user agent config update check now also new next server data value call function let me see look at try make sure \
    done fix add remove change build read write list find line";
const VOCABULARY_WORDS: usize = 9000;
const LEVELS: [&str; 6] = ["info", "info", "info", "warn", "debug", "error"];

/// The vocabulary of one state: what its transcripts, notes and logs are made of.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) words: Vec<String>,
    word_weights: Weighted,
    phrases: Vec<String>,
    phrase_weights: Weighted,
    pub(crate) paths: Vec<String>,
    pub(crate) sources: Vec<String>,
}

impl Text {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(7919).wrapping_add(1));
        let words = vocabulary(&mut rng);
        let word_weights =
            Weighted::new((0..words.len()).map(|rank| 1.0 / (rank as f64 + 2.7).powf(1.02)));
        let phrases: Vec<String> = (0..6000)
            .map(|_| {
                let count = rng.between(3, 9);
                let picked: Vec<&str> = (0..count)
                    .filter_map(|_| words.get(word_weights.pick(&mut rng)).map(String::as_str))
                    .collect();
                picked.join(" ")
            })
            .collect();
        let phrase_weights =
            Weighted::new((0..phrases.len()).map(|rank| 1.0 / (rank as f64 + 12.0).powf(0.9)));
        let mut text = Self {
            words,
            word_weights,
            phrases,
            phrase_weights,
            paths: Vec::new(),
            sources: Vec::new(),
        };
        text.paths = (0..700).map(|_| text.make_path(&mut rng)).collect();
        text.sources = (0..500).map(|_| text.make_source(&mut rng)).collect();
        text
    }

    pub(crate) fn word(&self, rng: &mut Rng) -> &str {
        self.words.get(self.word_weights.pick(rng)).map_or("", String::as_str)
    }

    /// The vocabulary's word of this rank, wrapping around.
    pub(crate) fn word_at(&self, rank: usize) -> &str {
        self.words.get(rank % self.words.len()).map_or("", String::as_str)
    }

    fn plain_word(&self, rng: &mut Rng, low: usize, high: usize) -> &str {
        self.word_at(rng.between(low, high - 1))
    }

    pub(crate) fn phrase(&self, rng: &mut Rng) -> &str {
        self.phrases.get(self.phrase_weights.pick(rng)).map_or("", String::as_str)
    }

    /// Sentences of about `length` bytes, all ASCII.
    pub(crate) fn prose(&self, rng: &mut Rng, length: usize) -> String {
        let mut out = String::with_capacity(length + 80);
        let mut index = 0;
        while out.len() < length {
            let phrase = self.phrase(rng);
            let word = self.word(rng);
            if index % 2 == 0 {
                let mut letters = phrase.chars();
                out.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
                out.push_str(letters.as_str());
            } else {
                out.push_str(phrase);
            }
            out.push(' ');
            out.push_str(word);
            out.push_str(if index % 2 == 0 { ", " } else { ". " });
            index += 1;
        }
        out.truncate(length);
        out.truncate(out.trim_end().len());
        out
    }

    /// Lines as a service logs them, at least `length` bytes.
    pub(crate) fn log(&self, rng: &mut Rng, length: usize) -> String {
        let mut out = String::with_capacity(length + 160);
        while out.len() < length {
            if !out.is_empty() {
                out.push('\n');
            }
            let (month, day, hour) = (rng.between(1, 9), rng.between(10, 28), rng.between(10, 23));
            let (minute, second, milli) =
                (rng.between(10, 59), rng.between(10, 59), rng.between(0, 999));
            let (level, unit) = (rng.pick(&LEVELS), self.plain_word(rng, 60, 300));
            out.push_str(&format!(
                "2026-0{month}-{day}T{hour}:{minute}:{second}.{milli:03}Z [{level}] {unit}: "
            ));
            out.push_str(self.phrase(rng));
            out.push_str(&format!(" id={} ms={}", rng.hex(8), rng.between(0, 4000)));
        }
        out
    }

    fn make_path(&self, rng: &mut Rng) -> String {
        let root = *rng.pick(&["proj", "src", ".openclaw/workspace", "work", "notes"]);
        let mut path = format!("/home/user/{root}");
        for _ in 0..rng.between(1, 3) {
            path.push('/');
            path.push_str(self.plain_word(rng, 100, 2500));
        }
        let extension: &str =
            rng.pick::<&str>(&[".ts", ".py", ".md", ".json", ".rs", ".sh", ".txt"]);
        path.push_str(extension);
        path
    }

    fn make_source(&self, rng: &mut Rng) -> String {
        let mut lines = Vec::new();
        let mut depth = 0_usize;
        for _ in 0..rng.between(6, 60) {
            let kind = rng.unit();
            let [a, b, c] = std::array::from_fn(|_| self.plain_word(rng, 60, 1500));
            let indent = "  ".repeat(depth);
            lines.push(if kind < 0.18 {
                depth += 1;
                format!("{indent}if ({a}.{b} === {}) {{", rng.between(0, 99))
            } else if kind < 0.34 && depth > 0 {
                depth -= 1;
                format!("{}}}", "  ".repeat(depth))
            } else if kind < 0.6 {
                format!("{indent}const {a} = await {b}.{c}({a}, {{ {c}: '{b}' }});")
            } else if kind < 0.75 {
                format!("{indent}// {}", self.phrase(rng))
            } else {
                format!("{indent}return this.{b}({c}, {});", rng.between(0, 9999))
            });
        }
        lines.join("\n")
    }
}

fn vocabulary(rng: &mut Rng) -> Vec<String> {
    let syllables: Vec<&str> = SYLLABLES.split_whitespace().collect();
    let mut words: Vec<String> = COMMON.split_whitespace().map(str::to_owned).collect();
    let mut seen: HashSet<String> = words.iter().cloned().collect();
    while words.len() < VOCABULARY_WORDS {
        let count = *rng.pick(&[2, 2, 3, 3, 4]);
        let word: String = (0..count).map(|_| *rng.pick(&syllables)).collect();
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}
