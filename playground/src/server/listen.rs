//! Connections below HTTP: accepting them (plain or TLS), and what only this layer can do to one of them: cut
//! it without a word, freeze it so that the peer notices nothing, or put raw bytes between two frames.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Every open connection, so that all can be cut at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    all: Arc<Mutex<Vec<Weak<Inner>>>>,
}

impl Links {
    /// Cuts every connection without a closing word, as the end of a server process does.
    pub(crate) fn cut_all(&self) {
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        for inner in all.iter().filter_map(Weak::upgrade) {
            Link { inner }.cut();
        }
    }

    fn add(&self) -> Link {
        let link = Link { inner: Arc::new(Inner::default()) };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|old| old.strong_count() > 0);
        all.push(Arc::downgrade(&link.inner));
        link
    }
}

/// A handle to one connection, from the side of the requests that came over it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cut: AtomicBool,
    frozen: AtomicBool,
    injected: Mutex<Vec<u8>>,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Link {
    /// Ends the connection at TCP, with nothing said before.
    pub(crate) fn cut(&self) {
        self.inner.cut.store(true, Ordering::SeqCst);
        self.inner.reader.wake();
        self.inner.writer.wake();
    }

    /// From now on nothing is read, and what is written goes nowhere; the connection stays open.
    pub(crate) fn freeze(&self) {
        self.inner.frozen.store(true, Ordering::SeqCst);
    }

    /// Raw bytes that go out before whatever is written next.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        self.inner.injected.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    fn is_cut(&self) -> bool {
        self.inner.cut.load(Ordering::SeqCst)
    }

    fn is_frozen(&self) -> bool {
        self.inner.frozen.load(Ordering::SeqCst)
    }
}

impl Connected<IncomingStream<'_, Incoming>> for Link {
    fn connect_info(stream: IncomingStream<'_, Incoming>) -> Link {
        stream.io().link.clone()
    }
}

/// The accepted connections, for `axum::serve`. Dropping it does not close the listening socket;
/// [`Acceptor::close`] does.
#[derive(Debug)]
pub(crate) struct Incoming {
    accepted: mpsc::Receiver<(Wire, SocketAddr)>,
    address: SocketAddr,
}

/// The task that accepts; it owns the listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor {
    task: JoinHandle<()>,
}

impl Acceptor {
    /// Closes the listening socket; when this returns, connecting is refused.
    pub(crate) async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Starts to accept on `listener`.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    links: Links,
) -> io::Result<(Incoming, Acceptor)> {
    let address = listener.local_addr()?;
    let (sender, accepted) = mpsc::channel(64);
    let task = tokio::spawn(async move {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors, most likely: let some be closed first.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (link, tls, sender) = (links.add(), tls.clone(), sender.clone());
            tokio::spawn(async move {
                if let Ok(stream) = handshake(stream, tls).await {
                    let _ = sender.send((Wire { stream, link }, peer)).await;
                }
            });
        }
    });
    Ok((Incoming { accepted, address }, Acceptor { task }))
}

async fn handshake(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Stream> {
    match tls {
        None => Ok(Stream::Plain(stream)),
        Some(tls) => Ok(Stream::Tls(Box::new(tls.accept(stream).await?))),
    }
}

impl Listener for Incoming {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        match self.accepted.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    link: Link,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

fn cut() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.link.inner.reader.register(cx.waker());
        if self.link.is_cut() {
            return Poll::Ready(Err(cut()));
        }
        if self.link.is_frozen() {
            return Poll::Pending;
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.link.inner.writer.register(cx.waker());
        if self.link.is_cut() {
            return Poll::Ready(Err(cut()));
        }
        if self.link.is_frozen() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let this = &mut *self;
        let mut injected = this.link.inner.injected.lock().unwrap_or_else(PoisonError::into_inner);
        while !injected.is_empty() {
            match this.stream.poll_write(cx, &injected) {
                Poll::Ready(Ok(written)) => drop(injected.drain(..written)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        drop(injected);
        this.stream.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Stream {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }
}
