//! The connection to a camera: bytes out, items in. Whatever is cancelled loses nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use super::error::{CameraError, one_line};
use super::message::{Item, Reader};

/// A name server that does not answer within this is as good as none.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// For each address that a host has.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// So many addresses of a host are tried.
const ADDRESSES_MAX: usize = 4;
/// What waits to be sent at most, in bytes: a camera that reads nothing is as good as gone.
const OUT_BYTES_MAX: usize = 64 << 10;

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    reader: Reader,
    out: Vec<u8>,
    /// So many bytes have to be there before it is read.
    wakes_at: u32,
}

impl Wire {
    fn new(stream: TcpStream) -> Wire {
        Wire { stream, reader: Reader::new(), out: Vec::new(), wakes_at: 1 }
    }

    /// Connects to the first address of a host that answers.
    pub(super) async fn connect(host: &str, port: u16) -> Result<Wire, CameraError> {
        let mut failure = "no address".to_owned();
        for address in resolve(host, port).await? {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Only a hint: requests are small and wait for answers.
                    let _ = stream.set_nodelay(true);
                    return Ok(Wire::new(stream));
                }
                Ok(Err(error)) => failure = error.to_string(),
                Err(_) => failure = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            }
        }
        Err(CameraError::Connect { host: host.to_owned(), port, why: failure })
    }

    /// The address of the camera.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.stream.peer_addr().ok().map(|address| address.ip())
    }

    /// The address of this end.
    pub(super) fn local(&self) -> Option<IpAddr> {
        self.stream.local_addr().ok().map(|address| address.ip())
    }

    /// Lets the kernel wake this end when so many bytes are there (`SO_RCVLOWAT` in socket(7)); at
    /// once, where as many are there already. Where that can't be had each byte wakes it.
    pub(super) fn wake_at(&mut self, bytes: u32) {
        if std::mem::replace(&mut self.wakes_at, bytes) == bytes {
            return;
        }
        let value = bytes.cast_signed();
        // SAFETY: the descriptor is open as long as the stream is, and the kernel reads no more
        // than the size that it is told of a value that outlives the call.
        unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVLOWAT,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            );
        }
    }

    /// Bytes that are sent from now on.
    ///
    /// # Errors
    /// If the camera does not take what was sent before.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        if self.out.len() + bytes.len() > OUT_BYTES_MAX {
            let why = "the camera takes no requests".to_owned();
            return Err(CameraError::Protocol { stage: "sending", why });
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// The next item that is there.
    ///
    /// # Errors
    /// If it is over a limit.
    pub(super) fn item(&mut self) -> Result<Option<Item<'_>>, CameraError> {
        self.reader.next().map_err(CameraError::from)
    }

    /// Bytes that nothing could be made of, since it was asked last.
    pub(super) fn take_skipped(&mut self) -> usize {
        self.reader.take_skipped()
    }

    /// Waits until something has come, and sends what waits meanwhile.
    ///
    /// # Errors
    /// If the connection is over.
    pub(super) async fn step(&mut self) -> Result<(), CameraError> {
        match self.transfer().await {
            Ok(0) => Err(CameraError::Ended),
            Ok(count) => {
                self.reader.filled(count);
                Ok(())
            }
            Err(error) => {
                let why = one_line(&error.to_string());
                Err(CameraError::Protocol { stage: "receiving", why })
            }
        }
    }

    async fn transfer(&mut self) -> io::Result<usize> {
        loop {
            if self.out.is_empty() {
                return self.stream.read(self.reader.room()).await;
            }
            let ready = self.stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
            if ready.is_writable() {
                match self.stream.try_write(&self.out) {
                    Ok(count) => drop(self.out.drain(..count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            if ready.is_readable() {
                match self.stream.try_read(self.reader.room()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            }
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, CameraError> {
    // Brackets of an IPv6 address belong to the URL and not to the address.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |why: String| CameraError::Resolve { host: host.to_owned(), why };
    let lookup = tokio::net::lookup_host((name, port));
    match tokio::time::timeout(RESOLVE_TIMEOUT, lookup).await {
        Err(_) => Err(failed(format!("no answer within {} s", RESOLVE_TIMEOUT.as_secs()))),
        Ok(Err(error)) => Err(failed(one_line(&error.to_string()))),
        Ok(Ok(addresses)) => Ok(addresses.take(ADDRESSES_MAX).collect()),
    }
}
