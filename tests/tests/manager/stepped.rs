//! Managers over sockets of this machine in virtual time: tokio's clock stands still, and goes on by steps, with time
//! for the system to carry what was sent. Hours cost seconds, and a machine that is busy is no network that is bad.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The clock of a current-thread runtime.
pub(super) struct Stepped {
    step_ms: u64,
    /// What it sends to itself arrives behind all that was sent before.
    messenger: UdpSocket,
    own: SocketAddr,
}

impl Stepped {
    /// Lets the clock of this runtime stand; it goes on by half a tick at a time.
    pub(super) fn new() -> Self {
        Self::by(5)
    }

    /// The same by other steps.
    pub(super) fn by(step_ms: u64) -> Self {
        tokio::time::pause();
        let messenger = UdpSocket::bind("127.0.0.1:0").unwrap();
        messenger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let own = messenger.local_addr().unwrap();
        Self { step_ms, messenger, own }
    }

    /// Lets so much time pass.
    pub(super) async fn run(&self, ms: u64) {
        for _ in 0..ms.div_ceil(self.step_ms) {
            self.step(self.step_ms).await;
        }
    }

    /// Lets so much time pass at once.
    pub(super) async fn step(&self, ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
        // Those that a step wakes send; whoever gets that may send too.
        for _ in 0..2 {
            self.settle().await;
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
    // Threads that have nothing to do end soon, and can be counted.
    let keep = Duration::from_millis(50);
    tokio::runtime::Builder::new_current_thread().thread_keep_alive(keep).enable_all().build().unwrap()
}
