//! The side of whoever asks.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Answer, Ask};

/// Longer than the daemon takes.
const TIMEOUT: Duration = Duration::from_secs(40);
/// A line for each clip of a year of a camera is shorter, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Asks the daemon that listens at `socket`.
///
/// # Errors
/// Nobody does, or answers.
pub fn ask(socket: &Path, ask: &Ask) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let answer = tokio::time::timeout(TIMEOUT, send(socket, ask)).await;
        answer.map_err(|_| io::ErrorKind::TimedOut)?
    })
}

async fn send(socket: &Path, ask: &Ask) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket).await?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let body = ask.encode()?;
    let request = Request::post(ask.path())
        .header(hyper::header::HOST, "reelfs")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(serde_json::from_slice(&body.map_err(io::Error::other)?.to_bytes())?)
}
