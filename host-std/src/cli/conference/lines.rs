//! Lines of real sockets between callers and room.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use dsp_core::time::Instant;
use host_std::session::Channel;
use host_std::simulate::callers::{Arrived, Carrier, Side};
use host_std::sockets::{SocketConfig, Sockets};

/// A datagram of a call.
const DATAGRAM_BYTES: usize = 2_048;

/// A socket for each end of each line.
pub(super) struct SocketLines {
    sockets: Vec<[UdpSocket; 2]>,
    pub(super) addresses: Vec<[SocketAddr; 2]>,
    at: usize,
    buffer: Vec<u8>,
}

impl SocketLines {
    pub(super) fn open(callers: usize) -> Result<Self, Box<dyn Error>> {
        let open = || -> Result<UdpSocket, Box<dyn Error>> {
            let socket = Sockets::open(&SocketConfig::default(), false)?.rtp;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let sockets: Vec<[UdpSocket; 2]> =
            (0..callers).map(|_| Ok([open()?, open()?])).collect::<Result<_, Box<dyn Error>>>()?;
        let addresses = sockets
            .iter()
            .map(|[one, two]| Ok([one.local_addr()?, two.local_addr()?]))
            .collect::<Result<_, std::io::Error>>()?;
        Ok(Self { sockets, addresses, at: 0, buffer: vec![0; DATAGRAM_BYTES] })
    }
}

impl Carrier for SocketLines {
    fn send(&mut self, caller: usize, from: Side, _: Instant, _: Channel, datagram: &[u8]) {
        let (from, to) = if from == Side::Caller { (0, 1) } else { (1, 0) };
        // A datagram that the loopback device can't take is lost, as on any network.
        let _ = self.sockets[caller][from].send_to(datagram, self.addresses[caller][to]);
    }

    fn arrived(&mut self, now: Instant) -> Option<Arrived> {
        while self.at < 2 * self.sockets.len() {
            let (caller, end) = (self.at / 2, self.at % 2);
            match self.sockets[caller][end].recv_from(&mut self.buffer) {
                Ok((bytes, from)) => {
                    return Some(Arrived {
                        caller,
                        to: if end == 0 { Side::Caller } else { Side::Leg },
                        at: now,
                        from,
                        // Both come to one port.
                        channel: Channel::Rtp,
                        bytes: self.buffer[..bytes].to_vec(),
                    });
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.at += 1,
            }
        }
        self.at = 0;
        None
    }
}
