//! A bad network on real sockets: a proxy on loopback between two calls, which loses, delays, reorders and repeats datagrams.
//!
//! Use it to test another program, or a driver with its sockets and devices. Two calls of this crate are
//! tested faster in [`virtual_time`](super::virtual_time). The network is that of [`netsim`](super::netsim).
//!
//! A datagram that comes 30 ms later:
//!
//! ```
//! use std::time::Duration;
//!
//! use host_std::session::driver::Clock;
//! use host_std::simulate::netsim::NetworkConfig;
//! use host_std::simulate::proxy::Proxy;
//! use tokio::net::UdpSocket;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
//! let network = NetworkConfig { delay_ms: 30.0, ..NetworkConfig::default() };
//! let proxy = Proxy::bind([one.local_addr()?, other.local_addr()?], network, 1).await?;
//! let [to_other, _] = proxy.ports()?;
//! tokio::spawn(proxy.run(Clock::start()));
//!
//! let sent = std::time::Instant::now();
//! one.send_to(b"hello", ("127.0.0.1", to_other)).await?;
//! let mut datagram = [0; 100];
//! assert_eq!(other.recv(&mut datagram).await?, 5);
//! assert!(sent.elapsed() >= Duration::from_millis(29));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! **Limits.** It runs on loopback, in real time, and delays are as exact as tokio's timers, 1 ms. Each of its ports serves one side.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant as TokioInstant, sleep_until};

use crate::session::driver::{Clock, unreachable};
use crate::simulate::bottleneck::{Bottleneck, BottleneckConfig};
use crate::simulate::in_flight::InFlight;
use crate::simulate::netsim::{Network, NetworkConfig};
use crate::sockets::{SocketConfig, Sockets};

/// Two sockets. Datagrams that come in on one leave through the other, over the simulated network.
///
/// [The module's page](self) has an example.
pub struct Proxy {
    sockets: [UdpSocket; 2],
    /// The peer of each socket.
    peers: [SocketAddr; 2],
    networks: [Network; 2],
}

impl Proxy {
    /// Binds two free ports on loopback, for two peers. Let `peers[0]` send to the first socket and `peers[1]` to the second. A peer
    /// with port 0 is known by the first datagram that comes to its socket. The seeds of the two directions are those of
    /// `VirtualTime`.
    ///
    /// # Errors
    /// The error of the system if it has no two ports to give on 127.0.0.1.
    pub async fn bind(peers: [SocketAddr; 2], config: NetworkConfig, seed: u64) -> io::Result<Self> {
        let open = || -> io::Result<UdpSocket> {
            let sockets = Sockets::open(&SocketConfig::default(), false).map_err(io::Error::other)?;
            UdpSocket::from_std(sockets.rtp)
        };
        let sockets = [open()?, open()?];
        let networks = [Network::new(config, seed), Network::new(config, seed ^ 0x9e37_79b9_7f4a_7c15)];
        Ok(Self { sockets, peers, networks })
    }

    /// Puts a narrow link in front of the network from each side to the other.
    pub fn set_bottlenecks(&mut self, config: BottleneckConfig) {
        self.networks = self.networks.clone().map(|network| network.behind(Bottleneck::new(config)));
    }

    /// Returns the ports that the first and the second peer send to.
    ///
    /// # Errors
    /// The error of the system if a socket has no address.
    pub fn ports(&self) -> io::Result<[u16; 2]> {
        Ok([self.sockets[0].local_addr()?.port(), self.sockets[1].local_addr()?.port()])
    }

    /// Forwards until it is dropped or a socket fails.
    pub async fn run(mut self, clock: Clock) -> io::Error {
        // Each is for the socket through which it leaves.
        let mut in_flight = InFlight::<usize>::default();
        let mut buffers = [vec![0; 65_535], vec![0; 65_535]];
        let begin = TokioInstant::now();
        let offset = clock.now();
        loop {
            let next = in_flight.next_arrival();
            let next = next.map(|arrival| begin + Duration::from_micros(arrival.since(offset).as_micros()));
            let [first, second] = &mut buffers;
            let (side, received) = tokio::select! {
                biased;
                () = sleep_until(next.unwrap_or(begin)), if next.is_some() => {
                    if let Some(datagram) = in_flight.take() {
                        // Refused or unreachable: lost, as on any network.
                        let _ = self.sockets[datagram.to].send_to(&datagram.bytes, self.peers[datagram.to]).await;
                    }
                    continue;
                }
                received = self.sockets[0].recv_from(first) => (0usize, received),
                received = self.sockets[1].recv_from(second) => (1, received),
            };
            match received {
                Ok((len, from)) => {
                    if self.peers[side].port() == 0 {
                        self.peers[side] = from;
                    }
                    in_flight.send(&mut self.networks[side], clock.now(), 1 - side, &buffers[side][..len]);
                }
                Err(error) if unreachable(&error) => {}
                Err(error) => return error,
            }
        }
    }
}
