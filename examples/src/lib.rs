//! Runnable embeddings; each one is a file or folder in `examples/`. Here is
//! what they share: a plain HTTP client.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// Sends one request over a connection of its own, and reads the whole answer.
///
/// # Errors
/// The connection could not be made, or broke.
pub async fn send(addr: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>> {
    let stream = TcpStream::connect(addr).await?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::select! {
        result = exchange => result,
        ended = connection => Err(ended.err().map_or_else(
            || io::Error::from(io::ErrorKind::UnexpectedEof),
            io::Error::other,
        )),
    }
}
