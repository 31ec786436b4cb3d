//! A bad network on loopback that does the same to two calls: what becomes of an RTP packet depends on the seed, the direction and how
//! many packets its stream has come on since its first, and on nothing else.
//!
//! Use it to compare two programs by the sound of a call. [`Proxy`](host_std::simulate::proxy::Proxy) throws its dice for each datagram as it
//! comes: a report more or less, whose times are drawn at random, and another part of the speech is lost.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dsp_core::time::Instant as Time;
use host_std::simulate::netsim::{Network, NetworkConfig};

/// What the network is told of by: packets that are sent each 20 ms, as many as ten minutes have.
const PACKETS: u64 = 30_000;
const PTIME_MS: u64 = 20;
/// How often a thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How long each packet of a stream takes from its first on; `None`: it's lost.
pub fn fates(config: NetworkConfig, seed: u64) -> Vec<Option<Duration>> {
    let mut network = Network::new(config, seed);
    let carry = |n: u64| {
        let sent = Time::from_millis(PTIME_MS * n);
        network.carry(sent)[0].map(|arrival| Duration::from_micros(arrival.since(sent).as_micros()))
    };
    (0..PACKETS).map(carry).collect()
}

/// The sequence number and the source of an RTP packet; `None` for reports and for what is none.
fn rtp(datagram: &[u8]) -> Option<(u32, u16)> {
    let [first, second, high, low, _, _, _, _, a, b, c, d, ..] = *datagram else { return None };
    // RTCP beside RTP on one port (RFC 5761, 4).
    let report = (64..96).contains(&(second & 0x7f));
    (first >> 6 == 2 && !report).then_some((u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([high, low])))
}

/// Two sockets on loopback; what comes in on one goes out of the other. It ends when it's dropped.
pub struct PairedProxy {
    ports: [u16; 2],
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl PairedProxy {
    /// Between these two: `peers[0]` sends to the first of [`ports`](Self::ports). Reports are never lost, and take the constant part
    /// of the delay at least. No packet overtakes another.
    ///
    /// # Errors
    /// What the system answers.
    pub fn start(peers: [SocketAddr; 2], config: NetworkConfig, seed: u64) -> io::Result<Self> {
        let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        let ports = [sockets[0].local_addr()?.port(), sockets[1].local_addr()?.port()];
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (side, salt) in [(0, 0), (1, 0x9e37_79b9_7f4a_7c15)] {
            let (socket, out, to) = (sockets[side].try_clone()?, sockets[1 - side].try_clone()?, peers[1 - side]);
            socket.set_read_timeout(Some(LOOK))?;
            let (queue, due) = channel();
            let (fates, over) = (fates(config, seed ^ salt), over.clone());
            let constant = Duration::from_micros((config.delay_ms * 1_000.0) as u64);
            threads.push(spawn(move || take(&socket, &fates, constant, &queue, &over)));
            threads.push(spawn(move || give(&out, to, &due)));
        }
        Ok(Self { ports, over, threads })
    }

    /// The ports that the first and the second peer send to.
    pub fn ports(&self) -> [u16; 2] {
        self.ports
    }
}

impl Drop for PairedProxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Due = (Instant, Vec<u8>);

/// Decides when each datagram that comes is due.
fn take(socket: &UdpSocket, fates: &[Option<Duration>], constant: Duration, queue: &Sender<Due>, over: &AtomicBool) {
    let mut buffer = vec![0; 2_048];
    // The first sequence number of each source.
    let mut firsts = BTreeMap::new();
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        // Nothing came, or the other side's port is closed.
        let Ok((len, _)) = socket.recv_from(&mut buffer) else { continue };
        let now = Instant::now();
        let delay = match rtp(&buffer[..len]) {
            None => Some(constant),
            Some((source, seq)) => {
                let first = *firsts.entry(source).or_insert(seq);
                fates[usize::from(seq.wrapping_sub(first)) % fates.len()]
            }
        };
        if let Some(delay) = delay {
            last = last.max(now + delay);
            if queue.send((last, buffer[..len].to_vec())).is_err() {
                return;
            }
        }
    }
}

/// Sends what is due.
fn give(socket: &UdpSocket, to: SocketAddr, due: &Receiver<Due>) {
    while let Ok((at, datagram)) = due.recv() {
        sleep(at.saturating_duration_since(Instant::now()));
        let _ = socket.send_to(&datagram, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 20 bytes; its last byte says which.
    fn packet(payload_type: u8, seq: u16, mark: u8) -> [u8; 20] {
        let mut datagram = [mark; 20];
        datagram[..12].copy_from_slice(&[0x80, payload_type, (seq >> 8) as u8, seq as u8, 0, 0, 0, 0, 0, 0, 0, 7]);
        datagram
    }

    /// Which of 200 packets come, with a report behind each `reports`th.
    fn come(first: u16, reports: usize) -> Vec<u8> {
        let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let config = NetworkConfig { loss_percent: 30.0, delay_ms: 1.0, ..NetworkConfig::default() };
        let peers = [one.local_addr().unwrap(), other.local_addr().unwrap()];
        let proxy = PairedProxy::start(peers, config, 5).unwrap();
        let to = ("127.0.0.1", proxy.ports()[0]);
        for n in 0..200u8 {
            one.send_to(&packet(0, first.wrapping_add(n.into()), n), to).unwrap();
            if usize::from(n) % reports == 0 {
                one.send_to(&packet(200, 0, n), to).unwrap();
            }
            sleep(Duration::from_micros(200));
        }
        other.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let (mut came, mut told) = (Vec::new(), 0);
        let mut buffer = [0; 100];
        while let Ok(len) = other.recv(&mut buffer) {
            match rtp(&buffer[..len]) {
                Some(_) => came.push(buffer[19]),
                None => told += 1,
            }
        }
        assert_eq!(told, 200usize.div_ceil(reports));
        came
    }

    #[test]
    fn the_same_packets_are_lost_whatever_their_numbers_and_however_many_reports() {
        let came = come(1_000, 3);
        assert!((100..180).contains(&came.len()), "{} of 200", came.len());
        assert_eq!(come(65_500, 50), came);
    }
}
