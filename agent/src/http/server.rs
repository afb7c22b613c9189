//! Connections: how many, how slow they may be, and how they end.
//!
//! axum's own server has no time-out for a request head and no bound on connections; both are how a slow or
//! crowded network keeps reporters out.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 4_096;
/// Time for the head of a request, and for the next one on an idle connection.
const HEAD: Duration = Duration::from_secs(15);
/// Largest head, in bytes.
const LARGEST_HEAD: usize = 32 * 1024;

/// Serve until `stop`, then let requests under way end; the caller bounds that.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LARGEST_HEAD);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
        let (stream, peer): (_, SocketAddr) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, mostly: it passes when connections end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    pause().await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Answers are small: waiting for more of them to fill a packet only delays them.
        let _as_it_was = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone().layer(axum::Extension(ConnectInfo(peer))));
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, %peer, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

#[expect(clippy::disallowed_methods, reason = "the kernel offers nothing to watch for free descriptors")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
