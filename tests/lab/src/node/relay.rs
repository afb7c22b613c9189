//! Doors of the host's loopback services to the node's machine: connections to a port of [`super::machine::HOST`]
//! are passed on to loopback.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::machine::HOST;

/// Passes on what comes to `port` to loopback's `inside`, until `shutdown`; the address to be called.
///
/// # Errors
/// When the port is taken there.
pub async fn open(port: u16, inside: u16, shutdown: &CancellationToken) -> anyhow::Result<SocketAddr> {
    let outside = SocketAddr::from((HOST, port));
    let listener = TcpListener::bind(outside).await.with_context(|| format!("listen on {outside}"))?;
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, inside));
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            let connection = tokio::select! {
                () = shutdown.cancelled() => return,
                connection = listener.accept() => connection,
            };
            let Ok((outer, _)) = connection else { continue };
            tokio::spawn(async move {
                if let Err(error) = pass(outer, inside).await {
                    tracing::debug!(%inside, %error, "a passed connection broke");
                }
            });
        }
    });
    Ok(outside)
}

async fn pass(mut outer: TcpStream, inside: SocketAddr) -> std::io::Result<()> {
    let mut inner = TcpStream::connect(inside).await?;
    let _ = outer.set_nodelay(true);
    let _ = inner.set_nodelay(true);
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await.map(drop)
}
