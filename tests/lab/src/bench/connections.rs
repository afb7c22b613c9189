//! Which connections a process holds, read from proc(5).

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, SocketAddrV4},
};

use tenant_lab::state::State;

/// Peer → the most connections to it at once.
pub(super) type Connections = BTreeMap<SocketAddrV4, usize>;

/// Who `tenant` connects to: the API server, LiteLLM, the router.
pub(super) struct Peers([Option<SocketAddrV4>; 3]);

impl Peers {
    /// Those of a lab.
    pub(super) fn of(state: &State) -> Self {
        let env = state.env();
        let host = env.iter().find(|(name, _)| name == "K8S_AUTH_HOST").map(|(_, host)| host.as_str());
        let router = state.router.and_then(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        });
        Self([host.and_then(address), address(&state.litellm_url), router])
    }

    /// How many connections each had at most: `1 + 1 + 3`.
    pub(super) fn shown(&self, connections: &Connections) -> String {
        let most = |peer: &Option<SocketAddrV4>| peer.and_then(|peer| connections.get(&peer)).copied();
        self.0.iter().map(|peer| most(peer).unwrap_or(0).to_string()).collect::<Vec<_>>().join(" + ")
    }
}

/// `127.0.0.1:1234` of `http://127.0.0.1:1234/v1`.
fn address(url: &str) -> Option<SocketAddrV4> {
    url.split_once("://")?.1.split('/').next()?.parse().ok()
}

/// Peer → connections to it that are open at this moment. IPv4 only: labs are on 127.0.0.1.
pub(super) fn open(pid: i32) -> Connections {
    let mut peers = Connections::new();
    let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/tcp")) else { return peers };
    let own = sockets(pid);
    for (peer, inode) in table.lines().skip(1).filter_map(established) {
        if own.contains(&inode) {
            *peers.entry(peer).or_default() += 1;
        }
    }
    peers
}

/// Inodes of the process's sockets: its descriptors are links such as `socket:[4711]`.
fn sockets(pid: i32) -> Vec<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.filter_map(inode).collect()
}

/// Peer and inode of a line of `/proc/net/tcp`, of a connection that is established (state 01).
fn established(line: &str) -> Option<(SocketAddrV4, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (peer, state, inode) = (fields.get(2)?, fields.get(3)?, fields.get(9)?);
    let (address, port) = peer.split_once(':')?;
    // the address is printed as a number of the machine's own byte order
    let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    (*state == "01").then_some((SocketAddrV4::new(address.into(), port), inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn own_connections_are_counted_by_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("asked for IPv4") };
        let _held = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(open(pid).get(&address), Some(&2), "{:?}", open(pid));
    }
}
