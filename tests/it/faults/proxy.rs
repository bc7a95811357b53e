//! What stands between the client and the server, and spoils some of what passes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to a request, or to its answer.
#[derive(Clone, Debug)]
pub(crate) enum Spoil {
    /// Another answer in place of the server's, which hears nothing.
    Instead(u16, &'static str, Option<&'static str>),
    /// The connection ends before the server hears anything.
    Drop,
    /// It ends after half of the request's body.
    HalfUp,
    /// It ends after half of the answer's body.
    HalfDown,
    /// Half of the answer's body, and the rest never existed.
    Truncate,
    /// A byte in the middle of the answer's body.
    Flip,
    /// The server does it, and nobody hears of it.
    LoseAnswer,
    /// The server is told twice.
    Twice,
    /// The server is told when all is over; the client hears at once that it is done.
    Late,
    /// The answer to this request as it was earlier.
    Stale,
    /// A header of the answer.
    Header(&'static str, &'static str),
}

/// Which requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Get,
    Put,
    Delete,
    List,
    All,
}

impl Which {
    fn fits(self, head: &Parts) -> bool {
        // Names of objects are longer than that of the bucket alone.
        let list = head.uri.path().trim_matches('/').split('/').count() == 1;
        match self {
            Self::Get => head.method == Method::GET && !list,
            Self::Put => head.method == Method::PUT,
            Self::Delete => head.method == Method::DELETE,
            Self::List => head.method == Method::GET && list,
            Self::All => true,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    spoil: Option<(Which, Spoil)>,
    /// How many more are spoiled.
    left: usize,
    spoiled: usize,
    late: Vec<(Parts, Bytes)>,
    /// Answers of before, by what was asked for.
    earlier: std::collections::HashMap<String, Bytes>,
    remember: bool,
}

/// The proxy; stops when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    server: String,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

fn reset() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Half of it, and then the end of the connection.
fn half(bytes: &Bytes) -> Body {
    let first = Ok(Frame::data(bytes.slice(..bytes.len() / 2)));
    BodyExt::boxed(StreamBody::new(stream::iter([first, Err(reset())])))
}

impl Proxy {
    /// Starts it on a free port, before the server at `server` (`host:port`).
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let (serving, to) = (Arc::clone(&state), server.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                drop(socket.set_nodelay(true));
                let (state, to) = (Arc::clone(&serving), to.clone());
                let service =
                    service_fn(move |request| pass(Arc::clone(&state), to.clone(), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { address, server, state, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spoils the next `count` requests of that kind.
    pub(crate) fn spoil(&self, which: Which, spoil: Spoil, count: usize) {
        let mut state = self.state.lock().unwrap();
        (state.spoil, state.left, state.spoiled) = (Some((which, spoil)), count, 0);
    }

    /// Answers from now on are those that stale ones will be.
    pub(crate) fn remember(&self) {
        let mut state = self.state.lock().unwrap();
        state.earlier.clear();
        state.remember = true;
    }

    /// Nothing is spoiled any more, and what was late comes now. How many were spoiled.
    pub(crate) async fn heal(&self) -> usize {
        let (spoiled, late) = {
            let mut state = self.state.lock().unwrap();
            (state.spoil, state.remember) = (None, false);
            (state.spoiled, std::mem::take(&mut state.late))
        };
        for (head, body) in late {
            forward(&self.server, &head, body).await.unwrap();
        }
        spoiled
    }
}

async fn forward(
    server: &str,
    head: &Parts,
    body: Bytes,
) -> Result<(http::response::Parts, Bytes), std::io::Error> {
    let socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(async move { drop(connection.await) });
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request.headers_mut().insert(HOST, HeaderValue::from_str(server).unwrap());
    let (head, body) =
        sender.send_request(request).await.map_err(std::io::Error::other)?.into_parts();
    Ok((head, body.collect().await.map_err(std::io::Error::other)?.to_bytes()))
}

async fn pass(
    state: Arc<Mutex<State>>,
    server: String,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let (head, mut body) = request.into_parts();
    let spoil = {
        let mut state = state.lock().unwrap();
        let fits = state.spoil.as_ref().is_some_and(|(which, _)| which.fits(&head));
        if fits && state.left > 0 {
            state.left -= 1;
            state.spoiled += 1;
            state.spoil.as_ref().map(|(_, spoil)| spoil.clone())
        } else {
            None
        }
    };
    let late = match spoil {
        Some(Spoil::Drop) => return Err(reset()),
        Some(Spoil::HalfUp) => {
            // Something of it came, where there is something.
            drop(body.frame().await);
            return Err(reset());
        }
        Some(Spoil::Late) => true,
        _ => false,
    };
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    if let Some(Spoil::Instead(status, text, retry_after)) = spoil {
        let mut response = Response::builder().status(status);
        if let Some(seconds) = retry_after {
            response = response.header("retry-after", seconds);
        }
        return Ok(response.body(whole(text.into())).unwrap());
    }
    if late {
        state.lock().unwrap().late.push((head, body));
        return Ok(Response::builder().status(204).body(whole(Bytes::new())).unwrap());
    }
    if matches!(spoil, Some(Spoil::Twice)) {
        forward(&server, &head, body.clone()).await?;
    }
    let asked = format!("{} {}", head.method, head.uri);
    let (mut answer, bytes) = forward(&server, &head, body).await?;
    let bytes = {
        let mut state = state.lock().unwrap();
        let earlier = matches!(spoil, Some(Spoil::Stale))
            .then(|| state.earlier.get(&asked).cloned())
            .flatten();
        if state.remember && answer.status.is_success() && head.method == Method::GET {
            state.earlier.entry(asked).or_insert_with(|| bytes.clone());
        }
        earlier.unwrap_or(bytes)
    };
    let length = |bytes: &Bytes| HeaderValue::from(bytes.len());
    let (bytes, body) = match spoil {
        Some(Spoil::LoseAnswer) => return Err(reset()),
        Some(Spoil::HalfDown) => (bytes.clone(), half(&bytes)),
        Some(Spoil::Truncate) => {
            let bytes = bytes.slice(..bytes.len() / 2);
            (bytes.clone(), whole(bytes))
        }
        Some(Spoil::Flip) if !bytes.is_empty() => {
            let mut flipped = bytes.to_vec();
            flipped[bytes.len() / 2] ^= 1;
            let bytes = Bytes::from(flipped);
            (bytes.clone(), whole(bytes))
        }
        Some(Spoil::Header(name, value)) => {
            answer.headers.insert(name, HeaderValue::from_static(value));
            (bytes.clone(), whole(bytes))
        }
        _ => (bytes.clone(), whole(bytes)),
    };
    if answer.status != 204 {
        answer.headers.insert(CONTENT_LENGTH, length(&bytes));
    }
    Ok(Response::from_parts(answer, body))
}
