//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes a port between the
/// moment it is found free here and the moment a server binds it.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A port nobody listens on, picked at random so that labs starting side by side rarely meet.
///
/// # Errors
/// When a hundred picks in a row are taken.
pub(crate) fn free() -> std::io::Result<SocketAddr> {
    for _ in 0..100 {
        let random = getrandom::u32().map_err(std::io::Error::other)?;
        let port = FIRST + u16::try_from(random % u32::from(LAST - FIRST)).expect("less than a u16");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, format!("no free port from {FIRST} to {LAST}")))
}
