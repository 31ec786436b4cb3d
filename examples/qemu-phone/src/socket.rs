//! The phone's socket, over embassy-net.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use dsp_core::time::Instant;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpAddress, IpEndpoint};
use host_embedded::transport::Socket;

use crate::clock;

/// How the emulator's network calls the host.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What the socket's queues lie in: 40 datagrams that came, 8 that leave.
pub(crate) struct Room {
    incoming: [PacketMetadata; 40],
    incoming_bytes: [u8; 12_288],
    outgoing: [PacketMetadata; 8],
    outgoing_bytes: [u8; 4_096],
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self {
            incoming: [PacketMetadata::EMPTY; 40],
            incoming_bytes: [0; 12_288],
            outgoing: [PacketMetadata::EMPTY; 8],
            outgoing_bytes: [0; 4_096],
        }
    }
}

pub(crate) struct PhoneSocket<'a>(UdpSocket<'a>);

impl<'a> PhoneSocket<'a> {
    /// # Panics
    /// If the port is taken.
    pub(crate) fn bind(stack: embassy_net::Stack<'a>, room: &'a mut Room, port: u16) -> Self {
        let Room { incoming, incoming_bytes, outgoing, outgoing_bytes } = room;
        let mut socket = UdpSocket::new(stack, incoming, incoming_bytes, outgoing, outgoing_bytes);
        assert!(socket.bind(port).is_ok(), "port {port} is taken");
        Self(socket)
    }
}

/// Where this address is from here: the host's own is that of the gateway.
pub(crate) fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    let ip = if ip.is_loopback() { HOST } else { ip };
    Some(IpEndpoint { addr: IpAddress::Ipv4(ip), port: address.port() })
}

impl Socket for PhoneSocket<'_> {
    type Address = IpEndpoint;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, IpEndpoint, Instant) {
        let room = datagram.len();
        match self.0.recv_from(datagram).await {
            Ok((len, from)) => (len, from.endpoint, clock::now()),
            // It was longer, and from whom isn't known any more.
            Err(_) => (room + 1, IpEndpoint { addr: IpAddress::Ipv4(Ipv4Addr::UNSPECIFIED), port: 0 }, clock::now()),
        }
    }

    fn send(&mut self, datagram: &[u8], to: IpEndpoint) -> bool {
        // Nobody waits: a packet for which there is no room is late already.
        let sent = self.0.poll_send_to(datagram, to, &mut Context::from_waker(Waker::noop()));
        matches!(sent, Poll::Ready(Ok(())))
    }

    fn now(&self) -> Instant {
        clock::now()
    }
}
