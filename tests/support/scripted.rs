//! An HTTP server that plays a list of canned answers and writes down what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One canned answer.
#[derive(Clone, Debug, Default)]
pub struct Canned {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    trouble: Trouble,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// Promise the whole body, send this much, close.
    CutAfter(usize),
    /// Read nothing and say nothing.
    Silent,
    /// Close at once.
    Close,
}

impl Canned {
    /// An answer with a body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// An S3 error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            ),
        )
    }

    /// A connection that ends before any answer.
    pub fn close() -> Self {
        Self { trouble: Trouble::Close, ..Self::default() }
    }

    /// A server that neither reads nor answers.
    pub fn silent() -> Self {
        Self { trouble: Trouble::Silent, ..Self::default() }
    }

    /// The connection ends after `bytes` of the body.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.trouble = Trouble::CutAfter(bytes);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a `Date` that is `seconds` off the real time.
    pub fn date(self, seconds: i64) -> Self {
        let by = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { SystemTime::now() - by } else { SystemTime::now() + by };
        let text = jiff::Timestamp::try_from(time)
            .unwrap()
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        self.header("date", &text)
    }
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// Path with query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The how-many-th connection it came on, from 1.
    pub connection: usize,
}

impl Recorded {
    /// A header's text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The server. Without an answer left it says 418.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Answers = Arc<Mutex<VecDeque<Canned>>>;

impl Scripted {
    /// Starts it on a free port.
    pub async fn start(answers: impl IntoIterator<Item = Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((mut socket, _)) = listener.accept().await {
                connection += 1;
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                tokio::spawn(async move {
                    let trouble =
                        answers.lock().unwrap().front().map_or(Trouble::None, |next| next.trouble);
                    match trouble {
                        Trouble::None => serve(socket, answers, log, connection).await,
                        Trouble::Silent => {
                            answers.lock().unwrap().pop_front();
                            std::future::pending::<()>().await;
                        }
                        Trouble::Close | Trouble::CutAfter(_) => {
                            let canned = answers.lock().unwrap().pop_front().unwrap();
                            // The head of the request must have come, or it would not count as one.
                            drop(socket.read(&mut [0; 16 * 1024]).await);
                            if let Trouble::CutAfter(bytes) = trouble {
                                let head = format!(
                                    "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
                                    canned.status,
                                    canned.body.len()
                                );
                                let fields: Vec<_> = canned
                                    .headers
                                    .iter()
                                    .map(|(n, v)| format!("{n}: {v}\r\n"))
                                    .collect();
                                let fields = fields.concat();
                                socket
                                    .write_all(format!("{head}{fields}\r\n").as_bytes())
                                    .await
                                    .unwrap();
                                socket.write_all(&canned.body[..bytes]).await.unwrap();
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, accepting }
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:port`
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Every complete request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    socket: tokio::net::TcpStream,
    answers: Answers,
    log: Arc<Mutex<Vec<Recorded>>>,
    connection: usize,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body =
                body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let target = head.uri.to_string();
            let method = head.method.to_string();
            log.lock().unwrap().push(Recorded {
                method,
                target,
                headers: head.headers,
                body,
                connection,
            });
            let canned = answers
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(|| Canned::new(418, "nothing left to say"));
            // Troubles work on whole connections: the next request must come on a new one.
            let next_is_trouble =
                answers.lock().unwrap().front().is_some_and(|next| next.trouble != Trouble::None);
            let mut response = Response::builder().status(canned.status);
            for (name, value) in &canned.headers {
                response = response.header(name, value);
            }
            if next_is_trouble {
                response = response.header("connection", "close");
            }
            Ok::<_, Infallible>(response.body(Full::new(canned.body)).unwrap())
        }
    });
    drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await);
}
