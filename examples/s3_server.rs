//! A real S3 server on loopback, for tests and benchmarks that start it as a process.
//!
//! `s3_server --root DIR --access-key A --secret-key S [--port 0] [--bucket NAME]...` prints one line,
//! `listening 127.0.0.1:PORT`, and ends when its standard input does.
#![expect(clippy::print_stdout, reason = "this is a command")]

#[path = "../tests/support/s3_server.rs"]
mod s3_server;

use std::io::{Error, Read as _};
use std::path::PathBuf;

#[derive(Default)]
struct Arguments {
    root: PathBuf,
    port: u16,
    access_key: String,
    secret_key: String,
    buckets: Vec<String>,
}

fn arguments() -> Result<Arguments, Error> {
    let mut given = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| Error::other(format!("{name} needs a value")))?;
        match name.as_str() {
            "--root" => given.root = value.into(),
            "--port" => given.port = value.parse().map_err(Error::other)?,
            "--access-key" => given.access_key = value,
            "--secret-key" => given.secret_key = value,
            "--bucket" => given.buckets.push(value),
            _ => return Err(Error::other(format!("unknown option {name}"))),
        }
    }
    Ok(given)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let given = arguments()?;
    for bucket in &given.buckets {
        std::fs::create_dir_all(given.root.join(bucket))?;
    }
    let server =
        s3_server::S3Server::start(&given.root, given.port, &given.access_key, &given.secret_key)
            .await?;
    println!("listening {}", server.address());
    // Whoever started it holds the other end of the pipe: no server outlives its test.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
