//! Doors of loopback's services to those who cannot reach loopback, such as pods: connections to another address of
//! this host, or of the pod that this process is in, are passed on.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long a door that failed to take a connection stays shut.
const BREATH: Duration = Duration::from_millis(100);

/// Passes on what comes to `port` of `address` to loopback's `inside`, until `shutdown`; where to call.
///
/// # Errors
/// When the port is taken there.
pub async fn open(
    address: IpAddr,
    port: u16,
    inside: u16,
    shutdown: &CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let outside = SocketAddr::from((address, port));
    let listener = TcpListener::bind(outside).await.with_context(|| format!("listen on {outside}"))?;
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, inside));
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            let connection = tokio::select! {
                () = shutdown.cancelled() => return,
                connection = listener.accept() => connection,
            };
            let outer = match connection {
                Ok((outer, _)) => outer,
                // out of file descriptors, mostly: asking again at once would not give any back
                Err(error) => {
                    tracing::warn!(%outside, %error, "a connection is not accepted");
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "nobody tells that there are descriptors again"
                    )]
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
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
