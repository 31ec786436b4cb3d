//! The reading of sockets of a call that isn't agreed on yet, so that no datagrams wait in them and add delay afterwards.
//!
//! Datagrams before the answer (early media of a gateway, or of a peer that sends before its answer is here) can't be played yet:
//! the answer has the keys. They are counted. The beginning of a handshake is kept: the answering side may begin it at once (RFC
//! 5763, 5), and would repeat it only a second later.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};

use dsp_core::wire::DatagramKind;
use host_std::session::Channel;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The most datagrams of handshakes that are kept.
const KEPT: usize = 8;

/// Reads until it is stopped.
pub(super) struct WaitingReader {
    readers: Vec<JoinHandle<u32>>,
    kept: mpsc::Receiver<HandshakeDatagram>,
}

/// A datagram of a handshake.
pub(super) struct HandshakeDatagram {
    pub(super) channel: Channel,
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl WaitingReader {
    /// Begins to read, on the runtime that this is called in.
    ///
    /// # Errors
    /// When the system can't share the sockets.
    pub(super) fn read(sockets: [(Channel, &StdUdpSocket); 2]) -> io::Result<Self> {
        let (keep, kept) = mpsc::channel(KEPT);
        let mut readers = Vec::new();
        for (channel, socket) in sockets {
            let (socket, keep) = (UdpSocket::from_std(socket.try_clone()?)?, keep.clone());
            readers.push(tokio::spawn(count(channel, socket, keep)));
        }
        Ok(Self { readers, kept })
    }

    /// Reads no more; how many datagrams came that were not kept, and those that were.
    pub(super) async fn stop(mut self) -> (u32, Vec<HandshakeDatagram>) {
        let mut kept = Vec::new();
        // Their ends of the channel are what they go on with.
        self.kept.close();
        while let Some(datagram) = self.kept.recv().await {
            kept.push(datagram);
        }
        let mut count = 0;
        for reader in self.readers {
            count += reader.await.unwrap_or_default();
        }
        (count, kept)
    }
}

/// Until nobody takes anything any more.
async fn count(channel: Channel, socket: UdpSocket, keep: mpsc::Sender<HandshakeDatagram>) -> u32 {
    let (mut buffer, mut count) = ([0; 2_048], 0u32);
    loop {
        tokio::select! {
            () = keep.closed() => return count,
            readable = socket.readable() => if readable.is_err() {
                return count;
            },
        }
        // An error of one datagram is no reason to leave the others in the socket.
        let Ok((len, from)) = socket.try_recv_from(&mut buffer) else { continue };
        let bytes = &buffer[..len];
        let is_kept = DatagramKind::of(bytes) == DatagramKind::Dtls
            && keep.try_send(HandshakeDatagram { channel, from, bytes: bytes.to_vec() }).is_ok();
        count = count.saturating_add(u32::from(!is_kept));
    }
}
