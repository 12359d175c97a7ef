//! The server's thread: listening, restarting, ending.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_rustls::TlsAcceptor;

use super::listen::{Link, accept};
use super::routes;
use super::state::Shared;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// End every connection and refuse new ones for a while; told when that has begun.
    Restart(SyncSender<()>),
    /// End.
    Stop,
}

/// Where the server listens. The first socket never listens: it only keeps the port while, in a restart,
/// nobody listens on it.
#[derive(Debug)]
pub(crate) struct Place {
    address: SocketAddr,
    _keeper: TcpSocket,
}

impl Place {
    /// Takes the address; to be called within the runtime.
    pub(crate) fn take(wanted: SocketAddr) -> io::Result<Place> {
        let keeper = socket(wanted)?;
        Ok(Place { address: keeper.local_addr()?, _keeper: keeper })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        socket(self.address)?.listen(1024)
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves until told to stop.
pub(crate) async fn run(
    shared: Arc<Shared>,
    place: Place,
    mut listener: TcpListener,
    tls: Option<TlsAcceptor>,
    mut commands: UnboundedReceiver<Command>,
) -> io::Result<()> {
    loop {
        let (incoming, acceptor) = accept(listener, tls.clone(), shared.links.clone())?;
        let app = routes::all(Arc::clone(&shared)).into_make_service_with_connect_info::<Link>();
        let serving = tokio::spawn(axum::serve(incoming, app).into_future());
        let command = commands.recv().await;
        acceptor.close().await;
        serving.abort();
        shared.links.cut_all();
        match command {
            Some(Command::Restart(begun)) => {
                shared.lock().begin_anew();
                let _ = begun.send(());
                tokio::time::sleep(shared.options.restart_takes).await;
                listener = place.listen()?;
            }
            Some(Command::Stop) | None => return Ok(()),
        }
    }
}
