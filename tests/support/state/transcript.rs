//! Session transcripts: the JSONL lines an agent writes, message by message.
//!
//! Written by hand rather than by `serde_json`, because the order of the keys is part of the shape.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::format_push_string,
    reason = "sizes and prices are made up; appending with format! cannot fail as write! might"
)]

use std::collections::VecDeque;
use std::io::{self, Write};

use super::rng::Rng;
use super::text::Text;

/// 2026-01-01T00:00:00Z in milliseconds: when the made-up use begins.
pub(crate) const EPOCH_MS: u64 = 1_767_225_600_000;

const TOOLS: [&str; 9] =
    ["read", "read", "exec", "exec", "exec", "edit", "memory_search", "web_fetch", "browser"];
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FROM: &str =
    r#""api":"anthropic-messages","provider":"anthropic","model":"claude-sonnet-4-5""#;

/// One line of a transcript with the id its event carries; the header has none.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: Option<String>,
    pub(crate) json: String,
}

/// An endless conversation.
#[derive(Debug)]
pub(crate) struct Transcript<'a> {
    text: &'a Text,
    pub(crate) rng: &'a mut Rng,
    session: String,
    parent: Option<String>,
    now_ms: u64,
    pending: VecDeque<Line>,
}

impl<'a> Transcript<'a> {
    pub(crate) fn new(
        text: &'a Text,
        rng: &'a mut Rng,
        session: &str,
        parent: Option<String>,
        now_ms: u64,
    ) -> Self {
        Self { text, rng, session: session.to_owned(), parent, now_ms, pending: VecDeque::new() }
    }

    pub(crate) fn header(&mut self) -> Line {
        let timestamp = self.timestamp();
        let session = &self.session;
        let json = format!(
            r#"{{"type":"session","version":3,"id":"{session}","timestamp":"{timestamp}","cwd":"/home/user/.openclaw/workspace"}}"#
        );
        Line { id: None, json }
    }

    pub(crate) fn next_line(&mut self) -> Line {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return line;
            }
            self.turn();
        }
    }

    /// Writes lines until `size` bytes are reached.
    pub(crate) fn write(
        &mut self,
        out: &mut impl Write,
        size: usize,
        header: bool,
    ) -> io::Result<usize> {
        let mut written = 0;
        let mut first = header.then(|| self.header());
        loop {
            let line = first.take().unwrap_or_else(|| self.next_line());
            out.write_all(line.json.as_bytes())?;
            out.write_all(b"\n")?;
            written += line.json.len() + 1;
            if written >= size && line.id.is_some() {
                return Ok(written);
            }
        }
    }

    fn timestamp(&mut self) -> String {
        self.now_ms += self.rng.between(300, 90_000) as u64;
        // Months of 28 days keep every date valid without a calendar.
        let elapsed_ms = self.now_ms - EPOCH_MS;
        let (seconds, milli) = (elapsed_ms / 1000, elapsed_ms % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (month, day) = (days / 28 % 12 + 1, days % 28 + 1);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }

    /// Wraps a message, given without its closing brace, into the envelope of a line.
    fn push(&mut self, message: &str) {
        let id = self.rng.hex(8);
        let timestamp = self.timestamp();
        let parent = self
            .parent
            .as_ref()
            .map_or_else(|| "null".to_owned(), |parent| format!("\"{parent}\""));
        let now = self.now_ms;
        let json = format!(
            r#"{{"type":"message","id":"{id}","parentId":{parent},"timestamp":"{timestamp}","message":{message},"timestamp":{now}}}}}"#
        );
        self.parent = Some(id.clone());
        self.pending.push_back(Line { id: Some(id), json });
    }

    /// A user's message, the tool calls it sets off, and the answer.
    fn turn(&mut self) {
        let length = self.rng.between(20, 600);
        let minutes = self.rng.between(1, 59);
        let said =
            quoted(&format!("[Telegram user +{minutes}m] {}", self.text.prose(self.rng, length)));
        self.push(&format!(r#"{{"role":"user","content":[{{"type":"text","text":{said}}}]"#));
        let calls = (self.rng.exponential(0.28) as usize + 1).min(14);
        for _ in 0..calls {
            self.tool_call();
        }
        let length = self.rng.between(60, 1600);
        let said = quoted(&self.text.prose(self.rng, length));
        let usage = self.usage();
        self.push(&format!(
            r#"{{"role":"assistant","content":[{{"type":"text","text":{said}}}],{FROM},"usage":{usage},"stopReason":"stop""#
        ));
    }

    fn tool_call(&mut self) {
        let call = format!("toolu_{}", self.rng.hex(24));
        let name = *self.rng.pick(&TOOLS);
        let arguments = self.arguments(name);
        let mut content = String::new();
        if self.rng.chance(0.45) {
            let length = self.rng.between(80, 900);
            let thought = quoted(&self.text.prose(self.rng, length));
            let signature: String = (0..120).map(|_| char::from(*self.rng.pick(BASE64))).collect();
            content.push_str(&format!(
                r#"{{"type":"thinking","thinking":{thought},"thinkingSignature":"{signature}"}},"#
            ));
        }
        if self.rng.chance(0.4) {
            let length = self.rng.between(30, 300);
            content.push_str(&format!(
                r#"{{"type":"text","text":{}}},"#,
                quoted(&self.text.prose(self.rng, length))
            ));
        }
        let usage = self.usage();
        self.push(&format!(
            r#"{{"role":"assistant","content":[{content}{{"type":"toolCall","id":"{call}","name":"{name}","arguments":{arguments}}}],{FROM},"usage":{usage},"stopReason":"toolUse""#
        ));
        let result = quoted(&self.tool_result());
        let (took, failed) = (self.rng.between(3, 9000), self.rng.chance(0.04));
        self.push(&format!(
            r#"{{"role":"toolResult","toolCallId":"{call}","toolName":"{name}","content":[{{"type":"text","text":{result}}}],"details":{{"status":"completed","exitCode":0,"durationMs":{took},"cwd":"/home/user/.openclaw/workspace"}},"isError":{failed}"#
        ));
    }

    fn arguments(&mut self, name: &str) -> String {
        let (text, rng) = (self.text, &mut *self.rng);
        match name {
            "read" => format!(r#"{{"path":"{}"}}"#, rng.pick(&text.paths)),
            "exec" => {
                let phrase = text.phrase(rng);
                format!(r#"{{"command":"cd /home/user/proj && {phrase} | head -50","timeout":30}}"#)
            }
            "edit" => {
                let length = rng.between(100, 900);
                let (path, old, new) =
                    (rng.pick(&text.paths), text.prose(rng, 120), text.prose(rng, length));
                format!(
                    r#"{{"path":"{path}","oldText":{},"newText":{}}}"#,
                    quoted(&old),
                    quoted(&new)
                )
            }
            "memory_search" => format!(r#"{{"query":"{}"}}"#, text.phrase(rng)),
            "web_fetch" => format!(r#"{{"url":"https://example.com/{}"}}"#, rng.pick(&text.words)),
            _ => r#"{"action":"snapshot","profile":"openclaw"}"#.to_owned(),
        }
    }

    fn usage(&mut self) -> String {
        let (input, output) = (self.rng.between(3, 900), self.rng.between(50, 1500));
        let (cached, written) = (self.rng.between(10_000, 180_000), self.rng.between(0, 3000));
        let price = |tokens: usize, each: f64| tokens as f64 * each;
        let (a, b, c) = (price(input, 3e-6), price(output, 15e-6), price(cached, 3e-7));
        let round = |dollars: f64| (dollars * 1e6).round() / 1e6;
        format!(
            r#"{{"input":{input},"output":{output},"cacheRead":{cached},"cacheWrite":{written},"totalTokens":{},"cost":{{"input":{},"output":{},"cacheRead":{},"cacheWrite":0,"total":{}}}}}"#,
            input + output + cached,
            round(a),
            round(b),
            round(c),
            a + b + c
        )
    }

    fn tool_result(&mut self) -> String {
        let (text, rng) = (self.text, &mut *self.rng);
        let kind = rng.unit();
        let length = (rng.log_normal(7.4, 1.25) as usize).min(60_000);
        if kind < 0.38 {
            // Reading sources or notes: the same bodies come back again and again, at other offsets.
            let mut body = rng.pick(&text.sources).clone();
            while body.len() < length {
                body.push('\n');
                if rng.chance(0.55) {
                    body.push_str(rng.pick::<String>(&text.sources));
                } else {
                    body.push_str(&text.prose(rng, 700));
                }
            }
            let start = rng.between(0, body.len() - length);
            body.get(start..start + length).unwrap_or_default().to_owned()
        } else if kind < 0.62 {
            text.log(rng, length)
        } else if kind < 0.78 {
            let lines: Vec<String> = (0..(length / 75).max(1))
                .map(|_| {
                    let (path, line) = (rng.pick(&text.paths), rng.between(1, 900));
                    format!("{path}:{line}: {}", text.phrase(rng))
                })
                .collect();
            lines.join("\n")
        } else {
            text.prose(rng, length)
        }
    }
}

/// A JSON string; the texts are ASCII without control characters other than line feeds.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    out.push('"');
    let mut lines = text.split('\n');
    out.extend(lines.next());
    for line in lines {
        out.push_str("\\n");
        out.push_str(line);
    }
    out.push('"');
    out
}
