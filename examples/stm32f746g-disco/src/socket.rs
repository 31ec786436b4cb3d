//! The phone's socket, over embassy-net, and the clock.

use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use dsp_core::time::{Duration, Instant};
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpAddress, IpEndpoint};
use host_embedded::transport::Socket;

/// Time since the start.
pub(crate) fn now() -> Instant {
    Instant::ZERO + Duration::from_micros(embassy_time::Instant::now().as_micros())
}

/// What a socket's queues lie in: 24 datagrams that came, 8 that leave.
pub(crate) struct Room {
    incoming: [PacketMetadata; 24],
    incoming_bytes: [u8; 8_192],
    outgoing: [PacketMetadata; 8],
    outgoing_bytes: [u8; 4_096],
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self {
            incoming: [PacketMetadata::EMPTY; 24],
            incoming_bytes: [0; 8_192],
            outgoing: [PacketMetadata::EMPTY; 8],
            outgoing_bytes: [0; 4_096],
        }
    }

    /// # Panics
    /// If the port is taken.
    pub(crate) fn bind<'a>(&'a mut self, stack: embassy_net::Stack<'a>, port: u16) -> UdpSocket<'a> {
        let Self { incoming, incoming_bytes, outgoing, outgoing_bytes } = self;
        let mut socket = UdpSocket::new(stack, incoming, incoming_bytes, outgoing, outgoing_bytes);
        assert!(socket.bind(port).is_ok(), "port {} is taken", port);
        socket
    }
}

pub(crate) struct PhoneSocket<'a, 'b>(pub(crate) &'b mut UdpSocket<'a>);

pub(crate) fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    let SocketAddr::V4(address) = address else { return None };
    Some(IpEndpoint { addr: IpAddress::Ipv4(*address.ip()), port: address.port() })
}

impl Socket for PhoneSocket<'_, '_> {
    type Address = IpEndpoint;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, IpEndpoint, Instant) {
        let room = datagram.len();
        match self.0.recv_from(datagram).await {
            Ok((len, from)) => (len, from.endpoint, now()),
            // It was longer, and from whom isn't known any more.
            Err(_) => (room + 1, IpEndpoint { addr: IpAddress::Ipv4(Ipv4Addr::UNSPECIFIED), port: 0 }, now()),
        }
    }

    fn send(&mut self, datagram: &[u8], to: IpEndpoint) -> bool {
        // Nobody waits: a packet for which there is no room is late already.
        let sent = self.0.poll_send_to(datagram, to, &mut Context::from_waker(Waker::noop()));
        matches!(sent, Poll::Ready(Ok(())))
    }

    fn now(&self) -> Instant {
        now()
    }
}
