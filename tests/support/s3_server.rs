//! A real S3 server on this machine (s3s-fs): checks signatures, keeps objects as files.

use std::net::SocketAddr;
use std::path::Path;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server; stops accepting when dropped.
#[derive(Debug)]
pub(crate) struct S3Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl S3Server {
    /// Serves `root`, in which each directory is a bucket, on 127.0.0.1; port 0 is any free one.
    ///
    /// # Errors
    /// When the directory or the port cannot be used.
    pub(crate) async fn start(
        root: &Path,
        port: u16,
        access_key: &str,
        secret_key: &str,
    ) -> std::io::Result<Self> {
        let files = FileSystem::new(root)
            .map_err(|error| std::io::Error::other(format!("{}: {error:?}", root.display())))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = builder.build();
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // Answers are small: waiting to fill a packet would only slow tests down.
                drop(socket.set_nodelay(true));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
                // A client that goes away is no event.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
