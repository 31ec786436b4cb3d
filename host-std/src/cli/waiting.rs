//! The sockets of a call that isn't agreed on yet are read, so that nothing lies in them and is delay afterwards.
//!
//! What comes before the answer (early media of a gateway, or of whoever answers before its answer is here) can't be heard
//! yet: the answer has the keys. It's counted.

use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Reads until it is stopped.
pub(super) struct Waiting {
    readers: Vec<JoinHandle<()>>,
    datagrams: Arc<AtomicU32>,
}

impl Waiting {
    /// Begins to read, on the runtime that this is called in.
    ///
    /// # Errors
    /// When the system can't share the sockets.
    pub(super) fn read(sockets: &[&StdUdpSocket]) -> io::Result<Self> {
        let datagrams = Arc::new(AtomicU32::new(0));
        let mut readers = Vec::new();
        for socket in sockets {
            let socket = UdpSocket::from_std(socket.try_clone()?)?;
            let datagrams = Arc::clone(&datagrams);
            readers.push(tokio::spawn(async move {
                let mut buffer = [0; 2_048];
                // An error of one datagram is no reason to leave the others in the socket.
                while socket.readable().await.is_ok() {
                    if socket.try_recv_from(&mut buffer).is_ok() {
                        datagrams.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        Ok(Self { readers, datagrams })
    }

    /// Reads no more; how many datagrams came.
    pub(super) async fn stop(self) -> u32 {
        for reader in self.readers {
            reader.abort();
            // It ends with that, so its own end of the socket is closed.
            let _ = reader.await;
        }
        self.datagrams.load(Ordering::Relaxed)
    }
}
