//! How stand-ins that are servers listen: on loopback, plain or TLS, with a way to close a connection
//! without an answer.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::connect_info::Connected,
    response::{IntoResponse, Response},
    serve::{IncomingStream, Listener},
};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;

use super::pace;
use crate::{
    pki::Identity,
    platform::{Behaviour, Faults, StandIn},
};

/// Serves `router` on a free loopback port until `shutdown`; with an identity, over TLS.
///
/// Handlers may take [`Connection`] as connect info.
///
/// # Errors
/// When no port is free or the identity is not usable.
pub(crate) async fn serve(
    router: Router,
    identity: Option<&Identity>,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen on loopback")?;
    let address = listener.local_addr().context("read the address listened on")?;
    let acceptor = identity.map(acceptor).transpose()?;
    let (accepted, incoming) = mpsc::channel(64);
    tokio::spawn(accept(listener, acceptor, accepted, shutdown.clone()));
    let service = router.into_make_service_with_connect_info::<Connection>();
    let server = axum::serve(Handshaken { incoming, address }, service);
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = server => {}
        }
    });
    Ok(address)
}

fn acceptor(identity: &Identity) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .context("read the server's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("read the server's key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("use the server's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts connections; handshakes happen beside each other, so that a slow client holds up nobody.
async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    accepted: mpsc::Sender<(Stream, SocketAddr)>,
    shutdown: CancellationToken,
) {
    loop {
        let connection = tokio::select! {
            () = shutdown.cancelled() => return,
            connection = listener.accept() => connection,
        };
        let Ok((stream, peer)) = connection else {
            // Out of file descriptors, most likely: accepting again at once would spin.
            pace::pause(pace::backoff(3)).await;
            continue;
        };
        // Answers are small and someone waits for each of them; failure only costs latency.
        let _ = stream.set_nodelay(true);
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            let transport = match acceptor {
                None => Transport::Plain(stream),
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Transport::Tls(Box::new(stream)),
                    Err(error) => {
                        tracing::debug!(%error, "TLS handshake failed");
                        return;
                    }
                },
            };
            // The server is gone when the lab goes down; nobody is left to tell.
            let _ = accepted.send((Stream { transport, cut: Arc::default() }, peer)).await;
        });
    }
}

struct Handshaken {
    incoming: mpsc::Receiver<(Stream, SocketAddr)>,
    address: SocketAddr,
}

impl Listener for Handshaken {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        match self.incoming.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The connection a request came in on.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<AtomicBool>);

impl Connection {
    /// Closes the connection; whatever the handler returns is not sent.
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Handshaken>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Handshaken>) -> Self {
        Self(stream.io().cut.clone())
    }
}

struct Stream {
    transport: Transport,
    cut: Arc<AtomicBool>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What is to become of a request after the table of faults was asked.
pub(crate) enum Verdict {
    /// It is handled; `wrong` asks for an answer of another shape.
    Proceed {
        /// Whether the answer is to be a lie.
        wrong: bool,
    },
    /// This is the answer, and the request never happened.
    Answer(Response),
}

/// Asks the table of faults how to treat a request about `subject`; slowness has passed on return.
pub(crate) async fn judge(
    faults: &Faults,
    stand_in: StandIn,
    subject: &str,
    connection: &Connection,
) -> Verdict {
    match faults.behaviour(stand_in, subject) {
        Behaviour::Normal => Verdict::Proceed { wrong: false },
        Behaviour::Wrong => Verdict::Proceed { wrong: true },
        Behaviour::Slow(delay) => {
            pace::pause(delay).await;
            Verdict::Proceed { wrong: false }
        }
        Behaviour::Absent => {
            connection.cut();
            Verdict::Answer(StatusCode::BAD_GATEWAY.into_response())
        }
        Behaviour::Failing(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Verdict::Answer((status, format!("{stand_in} was told to fail")).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{extract::ConnectInfo, routing::get};

    use super::*;
    use crate::pki::Pki;

    #[tokio::test]
    async fn a_cut_connection_ends_without_an_answer_and_the_next_one_works() {
        let router = Router::new().route("/", get(async || "here")).route(
            "/cut",
            get(async |ConnectInfo(connection): ConnectInfo<Connection>| {
                connection.cut();
                "never sent"
            }),
        );
        let shutdown = CancellationToken::new();
        let address = serve(router, None, shutdown.clone()).await.unwrap();
        let error = reqwest::get(format!("http://{address}/cut")).await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        let text = reqwest::get(format!("http://{address}/")).await.unwrap().text().await.unwrap();
        assert_eq!(text, "here");
        shutdown.cancel();
    }

    #[tokio::test]
    async fn tls_is_served_under_the_identity_of_the_domain() {
        let pki = Pki::new("apps.lab.test").unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", get(async || "secure"));
        let address = serve(router, Some(&pki.router), shutdown.clone()).await.unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(pki.ca.as_bytes()).unwrap()])
            .resolve("any.apps.lab.test", address)
            .build()
            .unwrap();
        let url = format!("https://any.apps.lab.test:{}/", address.port());
        assert_eq!(client.get(url).send().await.unwrap().text().await.unwrap(), "secure");
        shutdown.cancel();
    }
}
