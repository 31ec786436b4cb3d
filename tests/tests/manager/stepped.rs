//! Managers over sockets of this machine in virtual time: tokio's clock stands still, and goes on by steps, with time
//! for the system to carry what was sent. Hours cost seconds, and a machine that is busy is no network that is bad.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Half a tick.
const STEP_MS: u64 = 5;

/// The clock of a current-thread runtime.
pub(super) struct Stepped {
    /// What it sends to itself arrives behind all that was sent before.
    messenger: UdpSocket,
    own: SocketAddr,
}

impl Stepped {
    /// Lets the clock of this runtime stand.
    pub(super) fn new() -> Self {
        tokio::time::pause();
        let messenger = UdpSocket::bind("127.0.0.1:0").unwrap();
        messenger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let own = messenger.local_addr().unwrap();
        Self { messenger, own }
    }

    /// Lets so much time pass.
    pub(super) async fn run(&self, ms: u64) {
        for _ in 0..ms.div_ceil(STEP_MS) {
            tokio::time::advance(Duration::from_millis(STEP_MS)).await;
            // Those that a step wakes send; whoever gets that may send too.
            for _ in 0..2 {
                self.settle().await;
            }
        }
    }

    /// Until all that was sent has arrived, and everybody who can do something has.
    async fn settle(&self) {
        self.messenger.send_to(&[0], self.own).unwrap();
        self.messenger.recv(&mut [0]).unwrap();
        // While a thread works tokio's clock doesn't jump to the next timer, and the runtime asks for readable sockets.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
}

/// A runtime whose clock can stand.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
