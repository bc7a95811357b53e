//! A reverse proxy that counts what passes between a client and an S3 server on loopback, and can slow it down.
//!
//! `s3_count_proxy LISTEN BACKEND ADMIN`, for example `s3_count_proxy 127.0.0.1:0 127.0.0.1:9000 127.0.0.1:0`; prints
//! `listening ADDRESS admin ADDRESS` and exits when standard input closes. The administration answers HTTP GET:
//!
//! - `/stats`: the counts as JSON; `/reset`: zeroes them
//! - `/set?delay_ms=40&rate=20000000&connect_ms=0`: a pause before each request, bytes per second in each direction
//!   (0 is no limit), and a pause for each new connection
//!
//! The Host header and everything else that is signed passes unchanged. One thread for each connection, std only, so
//! that the proxy itself stays a small part of what is measured.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 64 * 1024;
/// More than this before the blank line is not HTTP.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// Bytes in one direction and when the line is free for the next ones.
#[derive(Default)]
struct Direction {
    bytes: AtomicU64,
    free_at: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Proxy {
    delay_ms: AtomicU64,
    connect_ms: AtomicU64,
    rate: AtomicU64,
    connections: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    up: Direction,
    down: Direction,
    requests: Mutex<BTreeMap<String, u64>>,
    status: Mutex<BTreeMap<String, u64>>,
}

fn count(counts: &Mutex<BTreeMap<String, u64>>, name: String) {
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
}

fn json(counts: &Mutex<BTreeMap<String, u64>>) -> String {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let fields: Vec<String> =
        counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!("{{{}}}", fields.join(","))
}

impl Direction {
    /// Waits until `bytes` fit through a line of `rate` bytes per second that all connections share.
    fn wait(&self, bytes: usize, rate: u64) {
        if rate == 0 || bytes == 0 {
            return;
        }
        let cost = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate);
        let now = Instant::now();
        let due = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let due = free_at.filter(|at| *at > now).unwrap_or(now) + cost;
            *free_at = Some(due);
            due
        };
        thread::sleep(due - now);
    }
}

/// One message's head, raw and as text; header names compare without case.
struct Head {
    raw: Vec<u8>,
    text: String,
}

impl Head {
    /// `None` at a clean end of the connection.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut raw = Vec::with_capacity(1024);
        loop {
            let before = raw.len();
            if from.read_until(b'\n', &mut raw)? == 0 {
                return if raw.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            if matches!(raw.get(before..), Some(b"\r\n" | b"\n")) {
                let text = String::from_utf8_lossy(&raw).into_owned();
                return Ok(Some(Self { raw, text }));
            }
            if raw.len() > HEAD_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|is| is.to_ascii_lowercase().contains(value))
    }

    fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    fn word(&self, index: usize) -> &str {
        self.text.split(' ').nth(index).unwrap_or_default()
    }

    /// What kind of S3 request this is, such as `GET.object` or `GET.list`.
    fn class(&self) -> String {
        let (method, target) = (self.word(0), self.word(1));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has = |key: &str| query.split('&').any(|pair| pair.split('=').next() == Some(key));
        let object = path.trim_matches('/').contains('/');
        let kind = match method {
            "GET" if has("location") => "location",
            "GET" if has("uploadId") => "listparts",
            "GET" if has("versions") => "listversions",
            "GET" if !object => "list",
            "PUT" if has("partNumber") => "part",
            "PUT" | "HEAD" if !object => "bucket",
            "POST" if has("uploads") => "initmp",
            "POST" if has("uploadId") => "completemp",
            "POST" if has("delete") => "multidelete",
            "DELETE" if has("uploadId") => "abortmp",
            _ => "object",
        };
        format!("{method}.{kind}")
    }
}

/// One client's connection and the one to the server that belongs to it.
struct Pair {
    from_client: BufReader<TcpStream>,
    to_client: TcpStream,
    from_server: BufReader<TcpStream>,
    to_server: TcpStream,
}

impl Proxy {
    fn serve(&self, client: TcpStream, backend: &str) -> io::Result<()> {
        client.set_nodelay(true)?;
        self.connections.fetch_add(1, Relaxed);
        thread::sleep(Duration::from_millis(self.connect_ms.load(Relaxed)));
        let server = TcpStream::connect(backend)?;
        server.set_nodelay(true)?;
        let mut pair = Pair {
            from_client: BufReader::with_capacity(BUFFER_BYTES, client.try_clone()?),
            to_client: client,
            from_server: BufReader::with_capacity(BUFFER_BYTES, server.try_clone()?),
            to_server: server,
        };
        while let Some(request) = Head::read(&mut pair.from_client)? {
            count(&self.requests, request.class());
            let now = self.in_flight.fetch_add(1, Relaxed) + 1;
            self.max_in_flight.fetch_max(now, Relaxed);
            let kept = self.exchange(&request, &mut pair);
            self.in_flight.fetch_sub(1, Relaxed);
            if !kept? {
                break;
            }
        }
        Ok(())
    }

    /// Passes one request and its answer; returns whether the connection lives on.
    fn exchange(&self, request: &Head, pair: &mut Pair) -> io::Result<bool> {
        thread::sleep(Duration::from_millis(self.delay_ms.load(Relaxed)));
        pair.to_server.write_all(&request.raw)?;
        if request.says("expect", "100-continue") {
            pair.to_client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.says("transfer-encoding", "chunked") {
            self.pass_chunked(&mut pair.from_client, &mut pair.to_server, &self.up)?;
        } else if let Some(length) = request.length() {
            self.pass(&mut pair.from_client, &mut pair.to_server, length, &self.up)?;
        }
        let answer = loop {
            let answer = Head::read(&mut pair.from_server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if answer.word(1) != "100" {
                break answer;
            }
        };
        let code = answer.word(1).to_owned();
        pair.to_client.write_all(&answer.raw)?;
        let mut kept = !answer.says("connection", "close") && !request.says("connection", "close");
        let bodyless = request.word(0) == "HEAD" || code == "204" || code == "304";
        if !bodyless {
            if answer.says("transfer-encoding", "chunked") {
                self.pass_chunked(&mut pair.from_server, &mut pair.to_client, &self.down)?;
            } else if let Some(length) = answer.length() {
                self.pass(&mut pair.from_server, &mut pair.to_client, length, &self.down)?;
            } else {
                io::copy(&mut pair.from_server, &mut pair.to_client)?;
                kept = false;
            }
        }
        count(&self.status, code);
        pair.to_client.flush()?;
        Ok(kept)
    }

    fn pass(
        &self,
        from: &mut impl Read,
        to: &mut impl Write,
        length: u64,
        way: &Direction,
    ) -> io::Result<()> {
        let mut from = from.take(length);
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = length;
        while left > 0 {
            let read = from.read(&mut buffer)?;
            let bytes = buffer
                .get(..read)
                .filter(|bytes| !bytes.is_empty())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            way.wait(read, self.rate.load(Relaxed));
            to.write_all(bytes)?;
            way.bytes.fetch_add(read as u64, Relaxed);
            left -= read as u64;
        }
        Ok(())
    }

    fn pass_chunked(
        &self,
        from: &mut impl BufRead,
        to: &mut impl Write,
        way: &Direction,
    ) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line)?;
            to.write_all(&line)?;
            let text = String::from_utf8_lossy(&line);
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if size > 0 {
                self.pass(from, to, size + 2, way)?;
                continue;
            }
            // Trailers, up to the blank line.
            loop {
                let mut trailer = Vec::new();
                let length = from.read_until(b'\n', &mut trailer)?;
                to.write_all(&trailer)?;
                if length <= 2 {
                    return to.flush();
                }
            }
        }
    }

    fn administer(&self, mut stream: TcpStream) -> io::Result<()> {
        let Some(request) = Head::read(&mut BufReader::new(stream.try_clone()?))? else {
            return Ok(());
        };
        let target = request.word(1);
        if target == "/reset" {
            for counts in [&self.requests, &self.status] {
                counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            for number in [&self.up.bytes, &self.down.bytes, &self.connections, &self.max_in_flight]
            {
                number.store(0, Relaxed);
            }
        } else if let Some(query) = target.strip_prefix("/set?") {
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                let value = value.parse().unwrap_or(0);
                match name {
                    "delay_ms" => self.delay_ms.store(value, Relaxed),
                    "connect_ms" => self.connect_ms.store(value, Relaxed),
                    "rate" => self.rate.store(value, Relaxed),
                    _ => {}
                }
            }
        }
        let body = self.stats();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }

    fn stats(&self) -> String {
        format!(
            "{{\"requests\":{},\"status\":{},\"up\":{},\"down\":{},\"connections\":{},\"max_in_flight\":{}}}",
            json(&self.requests),
            json(&self.status),
            self.up.bytes.load(Relaxed),
            self.down.bytes.load(Relaxed),
            self.connections.load(Relaxed),
            self.max_in_flight.load(Relaxed)
        )
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, backend, admin] = arguments.as_slice() else {
        return Err(io::Error::other("s3_count_proxy LISTEN BACKEND ADMIN"));
    };
    let proxy = Arc::new(Proxy::default());
    let (clients, administration) = (TcpListener::bind(listen)?, TcpListener::bind(admin)?);
    println!("listening {} admin {}", clients.local_addr()?, administration.local_addr()?);
    let administered = Arc::clone(&proxy);
    thread::spawn(move || {
        for stream in administration.incoming().flatten() {
            // A broken administration request concerns its sender alone.
            drop(administered.administer(stream));
        }
    });
    let backend = backend.clone();
    thread::spawn(move || {
        for client in clients.incoming().flatten() {
            let (proxy, backend) = (Arc::clone(&proxy), backend.clone());
            // A client that hangs up is its own affair; the counts stand.
            thread::spawn(move || drop(proxy.serve(client, &backend)));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
