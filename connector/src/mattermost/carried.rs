//! The server's bytes, carried by egress, as a stream that a websocket can be run over.
//!
//! What is written goes out as whole control frames: the websocket writes each frame in one piece, and each piece
//! becomes one message. Reading waits on a short queue, so a reader that stops stops egress, and egress the server.

use bartizan_proto::Bytes;
use bartizan_proto::limits::MAX_CARRIED;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

/// A piece of traffic.
pub type Piece = Bytes<MAX_CARRIED>;

/// Pieces of the server's that wait for the websocket; each is at most [`MAX_CARRIED`] bytes.
const INCOMING: usize = 4;
/// Control frames that wait for egress. More than that means that it no longer reads.
const OUTGOING: usize = 32;

/// The websocket's end.
#[derive(Debug)]
pub struct Carried {
    incoming: mpsc::Receiver<Piece>,
    outgoing: mpsc::Sender<Piece>,
    piece: Vec<u8>,
    used: usize,
}

/// The carrier's end.
#[derive(Debug)]
pub struct Ends {
    /// Takes what the server sent; dropping it ends the stream.
    pub incoming: mpsc::Sender<Piece>,
    /// Gives what the server is to get.
    pub outgoing: mpsc::Receiver<Piece>,
}

/// Both ends of one connection.
pub fn pair() -> (Carried, Ends) {
    let (to_websocket, incoming) = mpsc::channel(INCOMING);
    let (outgoing, to_server) = mpsc::channel(OUTGOING);
    (Carried { incoming, outgoing, piece: Vec::new(), used: 0 }, Ends { incoming: to_websocket, outgoing: to_server })
}

impl AsyncRead for Carried {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.used == this.piece.len() {
            match ready!(this.incoming.poll_recv(cx)) {
                Some(piece) => (this.piece, this.used) = (piece.into_vec(), 0),
                None => return Poll::Ready(Ok(())),
            }
        }
        let rest = &this.piece[this.used..];
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        this.used += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carried {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let failed = |kind, why: &str| Poll::Ready(Err(io::Error::new(kind, why.to_owned())));
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Ok(piece) = Piece::new(bytes) else {
            return failed(io::ErrorKind::InvalidInput, "more than control frames");
        };
        match self.outgoing.try_send(piece) {
            Ok(()) => Poll::Ready(Ok(bytes.len())),
            Err(mpsc::error::TrySendError::Full(_)) => failed(io::ErrorKind::TimedOut, "egress does not read"),
            Err(mpsc::error::TrySendError::Closed(_)) => failed(io::ErrorKind::BrokenPipe, "the carrier is gone"),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(flavor = "current_thread")]
    async fn pieces_come_out_as_one_stream_and_its_end_is_seen() {
        let (mut carried, ends) = pair();
        for piece in ["ab", "", "c"] {
            ends.incoming.send(Piece::new(piece.as_bytes()).expect("short")).await.expect("open");
        }
        drop(ends.incoming);
        let mut read = String::new();
        carried.read_to_string(&mut read).await.expect("text");
        assert_eq!(read, "abc");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn each_write_stays_whole_and_a_carrier_that_does_not_read_is_an_error() {
        let (mut carried, mut ends) = pair();
        carried.write_all(b"frame").await.expect("room");
        assert_eq!(ends.outgoing.recv().await.map(Bytes::into_vec), Some(b"frame".to_vec()));
        for _ in 0..OUTGOING {
            carried.write_all(b"x").await.expect("room");
        }
        assert_eq!(carried.write_all(b"x").await.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
    }
}
