//! The Service `kubernetes` for a container without a cluster network.
//!
//! kubernetes-mcp-server reaches the API server by that name when it runs in a cluster and acts for a user, so
//! neither address nor port can be chosen. An HTTPS proxy that leads this one name, and no other, to the API
//! server needs neither name resolution nor port 443.

use std::{io, net::Ipv4Addr, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a client asks the proxy for.
const WANTED: &[u8] = b"CONNECT kubernetes.default.svc:443 ";
const END: &[u8] = b"\r\n\r\n";
/// Longer requests are not a client's.
const LONGEST: usize = 8 << 10;

/// The proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    _open: DropGuard,
}

impl Service {
    /// Leads to the API server at `api`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn leading_to(api: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let open = CancellationToken::new();
        let closed = open.clone();
        tokio::spawn(closed.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                // How a connection ends is the affair of those who use it.
                tokio::spawn(closed.clone().run_until_cancelled_owned(tunnel(client, api)));
            }
        }));
        Ok(Self { address, _open: open.drop_guard() })
    }
}

async fn tunnel(mut client: TcpStream, api: SocketAddr) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(END) && request.len() < LONGEST {
        request.push(client.read_u8().await?);
    }
    if !request.starts_with(WANTED) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(api).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_name_leads_to_the_api_server_and_no_other_leads_anywhere() {
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let service = Service::leading_to(api.local_addr().unwrap()).await.unwrap();
        let ask = async |name: &str| {
            let mut client = TcpStream::connect(service.address).await.unwrap();
            let request = format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            client.read_exact(&mut status).await.unwrap();
            (client, String::from_utf8_lossy(&status).into_owned())
        };
        assert_eq!(ask("elsewhere.example.com:443").await.1, "HTTP/1.1 403");
        let (mut client, status) = ask("kubernetes.default.svc:443").await;
        assert_eq!(status, "HTTP/1.1 200");
        let (mut server, _) = api.accept().await.unwrap();
        server.write_all(b"!").await.unwrap();
        let mut rest = [0; 8];
        client.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, *b" OK\r\n\r\n!");
    }
}
