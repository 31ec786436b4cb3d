//! A fork of a call's sound to a second destination over RTP: plain L16 (RFC 3551, 4.5.11), a stream for each party, as a
//! SIPREC client sends them (RFC 7866, 7.1.1).
//!
//! Use it where a recorder or an analyser on another machine takes plain RTP. Where the stream must be negotiated, encoded or protected,
//! a second call that reads a [`fork`](super::fork) is right.
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::record::fork::{Forked, Party, fork};
//! use host_std::record::rtp_fork::{RtpFork, RtpForkConfig};
//!
//! let recorder = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! let (mut tap, reader) = fork(Forked::Heard, 16_000);
//! let config = RtpForkConfig {
//!     to: recorder.local_addr()?,
//!     sample_rate_hz: 8_000,
//!     channels: 1,
//!     parties: vec![Party::Far],
//!     begin: Instant::ZERO,
//! };
//! let rtp = RtpFork::start(reader, &config)?;
//! println!("{}", rtp.sdp()); // what the receiver needs
//! // `call.add_tap(Box::new(tap))` makes a call do this in each tick:
//! for tick in 0..10 {
//!     tap.give(Party::Far, 0, Instant::from_millis(10 * tick), &[300; 80]);
//! }
//! assert_eq!(rtp.stop().packets, 5); // of 20 ms
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`RtpFork::start`] takes the end of a [`fork`](super::fork::fork) that reads, and a thread sends the sound from it, so that
//! neither network nor system calls hold up the call; sound that the thread can't take is dropped and counted. The first party
//! goes to the port of [`RtpForkConfig::to`], each further one to the next even port. [`RtpFork::sdp`] is the description that a
//! receiver needs: `ffmpeg -protocol_whitelist file,udp,rtp -i fork.sdp` plays it. Each stream has a label (RFC 4574), which
//! [metadata](super::siprec) refers to.
//!
//! Sound is sent as it was, without encoding. More than 40 ms that were dropped are a gap in timestamps, followed by a marker;
//! less is made up for in time as the drift of a clock is ([`TrackClock`]), and counted all the same. Packets are of 20 ms,
//! above 24 kHz of 10 ms, so that they fit a datagram of Ethernet. Memory: that of the fork, and a packet a stream.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dsp_core::codec::l16::L16;
use dsp_core::process::activity::NoDetector;
use dsp_core::send::{Sender, SenderConfig};
use dsp_core::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};

use super::fork::{ForkReader, Party};
use super::recorder::TrackClock;
use crate::registry::CodecFormat;

/// The payload type of the first stream, the first of the dynamic ones.
const PAYLOAD_TYPE: PayloadType = PayloadType::from_low_bits(96);
/// The interval at which the thread looks for sound.
const EVERY: Duration = Duration::from_millis(5);
/// A packet with its header.
const DATAGRAM_BYTES: usize = 1_500;
/// The longest tick of a call, 120 ms at 48 kHz, and a packet.
const ROOM: usize = 6_720;

/// The destination of an [`RtpFork`], and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpForkConfig {
    /// The address of the first stream. Each further stream goes to the next port but one, up to 65,534.
    pub to: SocketAddr,
    /// The rate of the call's sound, in Hz: one of [`L16::RATES_HZ`].
    pub sample_rate_hz: u32,
    /// The channels of the call's sound: 1, or 2 up to 24 kHz.
    pub channels: u8,
    /// The parties whose sound in the call's first stream is sent, each as one RTP stream.
    pub parties: Vec<Party>,
    /// The time of the call at which timestamps begin.
    pub begin: Instant,
}

/// The reason why a fork can't begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum RtpForkError {
    /// L16 at this rate, in Hz, and with this many channels doesn't fit a packet or doesn't exist.
    Format(u32, u8),
    /// There are no or more than 64 parties, or not as many ports.
    Streams(usize),
    /// The system has no socket or thread to give.
    System(io::Error),
    /// The operating system has no randomness for sources and sequence numbers.
    Randomness(getrandom::Error),
}

impl fmt::Display for RtpForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(rate_hz, channels) => {
                write!(f, "a fork of {channels} channels at {rate_hz} Hz isn't possible")
            }
            Self::Streams(streams) => write!(f, "a fork of {streams} streams from this port on isn't possible"),
            Self::System(error) => write!(f, "the fork's socket: {error}"),
            Self::Randomness(error) => write!(f, "no random numbers for a fork: {error}"),
        }
    }
}

impl std::error::Error for RtpForkError {}

/// The numbers of a fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RtpForkStatus {
    /// Packets that were sent.
    pub packets: u64,
    /// Packets that the system refused.
    pub refused_packets: u64,
    /// Pieces of sound that were dropped because the thread was too slow.
    pub dropped_pieces: u64,
}

#[derive(Debug, Default)]
struct Shared {
    packets: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    stop: AtomicBool,
}

/// A fork that runs; dropping it ends it.
#[derive(Debug)]
pub struct RtpFork {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    sdp: String,
    ssrcs: Vec<Ssrc>,
}

struct Stream {
    party: Party,
    to: SocketAddr,
    clock: TrackClock,
    channels: usize,
    /// Place of the next sample on the time line of the call.
    next: u64,
    sender: Sender<Vec<i16>, NoDetector>,
    encoder: L16,
}

impl RtpFork {
    /// Begins to send what `reader` gives.
    ///
    /// # Errors
    /// [`RtpForkError::Format`] if L16 can't have the rate and channels, [`RtpForkError::Streams`] if there are no or more than 64
    /// parties or not as many ports, [`RtpForkError::System`] if the system has no socket or thread to give,
    /// [`RtpForkError::Randomness`] if it has no randomness.
    pub fn start(reader: ForkReader, config: &RtpForkConfig) -> Result<Self, RtpForkError> {
        let RtpForkConfig { to, sample_rate_hz, channels, ref parties, begin } = *config;
        let format = RtpForkError::Format(sample_rate_hz, channels);
        let Ok(encoder) = L16::new(sample_rate_hz, channels) else { return Err(format) };
        let ptime_ms = if sample_rate_hz * u32::from(channels) > 24_000 { 10 } else { 20 };
        if sample_rate_hz / 1_000 * ptime_ms * u32::from(channels) * 2 + 12 > DATAGRAM_BYTES as u32 {
            return Err(format);
        }
        let last_port = usize::from(to.port()) + 2 * parties.len();
        if !(1..=64).contains(&parties.len()) || to.port() == 0 || last_port > 65_536 {
            return Err(RtpForkError::Streams(parties.len()));
        }
        let any = if to.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0u16; 8]) };
        let socket = UdpSocket::bind((any, 0)).map_err(RtpForkError::System)?;
        let (mut streams, mut ssrcs) = (Vec::with_capacity(parties.len()), Vec::new());
        for (number, &party) in (0..).zip(parties) {
            let mut random = [0; 10];
            getrandom::fill(&mut random).map_err(RtpForkError::Randomness)?;
            let [a, b, c, d, e, f, g, h, i, j] = random;
            let sender = SenderConfig {
                ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
                first_seq: Seq(u16::from_be_bytes([e, f])),
                first_timestamp: RtpTime(u32::from_be_bytes([g, h, i, j])),
                payload_type: PAYLOAD_TYPE,
                ptime_ms,
            };
            ssrcs.push(sender.ssrc);
            let room = vec![0; ROOM * usize::from(channels)];
            let Ok(sender) = Sender::with_room(sender, &encoder, room) else {
                return Err(RtpForkError::Format(sample_rate_hz, channels));
            };
            let to = SocketAddr::new(to.ip(), to.port() + 2 * number);
            let clock = TrackClock::new(sample_rate_hz, begin);
            streams.push(Stream { party, to, clock, channels: channels.into(), next: 0, sender, encoder });
        }
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = thread::Builder::new().name("rtp fork".into());
        let thread =
            thread.spawn(move || send(reader, &socket, &mut streams, &theirs)).map_err(RtpForkError::System)?;
        Ok(Self { shared, thread: Some(thread), sdp: sdp(config, ptime_ms), ssrcs })
    }

    /// Returns the description (RFC 8866) of the streams from the receiver's point of view: at the addresses where they arrive,
    /// with labels 1, 2 and so on in the order of the parties.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// Returns the sources of the streams, in the order of the parties.
    pub fn ssrcs(&self) -> &[Ssrc] {
        &self.ssrcs
    }

    /// Returns the numbers so far.
    pub fn status(&self) -> RtpForkStatus {
        RtpForkStatus {
            packets: self.shared.packets.load(Ordering::Relaxed),
            refused_packets: self.shared.refused.load(Ordering::Relaxed),
            dropped_pieces: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends the remaining sound, ends the fork and returns its numbers.
    pub fn stop(mut self) -> RtpForkStatus {
        self.end();
        self.status()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that broke off has sent as much as it could.
            let _ = thread.join();
        }
    }
}

impl Drop for RtpFork {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread.
fn send(mut reader: ForkReader, socket: &UdpSocket, streams: &mut [Stream], shared: &Shared) {
    let mut pcm = Vec::with_capacity(ROOM);
    loop {
        // The flag is read before the last look, so that sound that was given until then is sent.
        let last = shared.stop.load(Ordering::Acquire) || reader.is_over();
        while let Some(piece) = reader.read(&mut pcm) {
            let of_party = streams.iter_mut().find(|stream| stream.party == piece.party && piece.stream == 0);
            if let Some(stream) = of_party {
                stream.give(piece.at, &pcm, socket, shared);
            }
            pcm.clear();
        }
        shared.dropped.store(reader.dropped(), Ordering::Relaxed);
        if last {
            return;
        }
        thread::park_timeout(EVERY);
    }
}

impl Stream {
    fn give(&mut self, at: Instant, pcm: &[i16], socket: &UdpSocket, shared: &Shared) {
        let samples = pcm.len() / self.channels;
        let place = self.clock.place(at, samples);
        let missing = place.saturating_sub(self.next);
        if missing > 1 {
            self.sender.pause(usize::try_from(missing).unwrap_or(usize::MAX));
        }
        self.next = place + samples as u64;
        // Longer than any tick: silence of its length.
        if self.sender.capture(pcm).is_err() {
            self.sender.pause(samples);
        }
        let mut datagram = [0; DATAGRAM_BYTES];
        while let Some(Ok(bytes)) = self.sender.packet(&mut self.encoder, &mut datagram) {
            let counter = match socket.send_to(&datagram[..bytes], self.to) {
                Ok(_) => &shared.packets,
                Err(_) => &shared.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn sdp(config: &RtpForkConfig, ptime_ms: u32) -> String {
    let ip = config.to.ip();
    let version = if ip.is_ipv4() { 4 } else { 6 };
    let mut text = format!(
        "v=0\r\no=- 0 0 IN IP{version} {ip}\r\ns=recording\r\nc=IN IP{version} {ip}\r\nt=0 0\r\na=tool:media-core\r\n"
    );
    let rtpmap = CodecFormat::l16(config.sample_rate_hz, config.channels).to_rtpmap();
    let payload_type = PAYLOAD_TYPE.get();
    for number in 0..config.parties.len() {
        let (port, label) = (usize::from(config.to.port()) + 2 * number, number + 1);
        text += &format!(
            "m=audio {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {rtpmap}\r\na=ptime:{ptime_ms}\r\n\
             a=sendonly\r\na=label:{label}\r\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fork::{Forked, fork};
    use crate::session::Tap;
    use dsp_core::wire::rtp::RtpPacket;

    /// All that arrives within a time: sequence number, timestamp, marker and samples of each packet.
    fn packets(socket: &UdpSocket) -> Vec<(u16, u32, bool, Vec<i16>)> {
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut buffer = [0; 2_000];
        let mut all = Vec::new();
        while let Ok(bytes) = socket.recv(&mut buffer) {
            let packet = RtpPacket::parse(&buffer[..bytes]).unwrap();
            let pcm = packet.payload().chunks_exact(2).map(|two| i16::from_be_bytes([two[0], two[1]])).collect();
            all.push((packet.seq().0, packet.timestamp().0, packet.marker(), pcm));
        }
        all
    }

    #[test]
    fn each_party_is_a_stream_bit_for_bit_and_what_was_dropped_is_a_gap() {
        let sockets = loop {
            let first = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = first.local_addr().unwrap().port();
            if let Some(Ok(second)) = port.checked_add(2).map(|port| UdpSocket::bind(("127.0.0.1", port))) {
                break [first, second];
            }
        };
        let (mut tap, reader) = fork(Forked::Both, 64_000);
        let config = RtpForkConfig {
            to: sockets[0].local_addr().unwrap(),
            sample_rate_hz: 16_000,
            channels: 1,
            parties: vec![Party::Near, Party::Far],
            begin: Instant::ZERO,
        };
        let fork = RtpFork::start(reader, &config).unwrap();
        let mut said = Vec::new();
        for tick in 0..40u64 {
            let pcm: Vec<i16> = (0..160).map(|n| (160 * tick as i16 + n) % 7_919).collect();
            // Six ticks are missing in the middle: a leap, where less than 40 ms could be a clock.
            if (20..26).contains(&tick) {
                continue;
            }
            tap.captured(Instant::from_millis(10 * tick), 0, &pcm);
            said.extend_from_slice(&pcm);
        }
        let status = fork.stop();
        assert_eq!((status.packets, status.refused_packets, status.dropped_pieces), (17, 0, 0));
        let near = packets(&sockets[0]);
        assert_eq!(near.iter().flat_map(|(.., pcm)| pcm.clone()).collect::<Vec<_>>(), said);
        for pair in near.windows(2) {
            let gap = pair[1].1.wrapping_sub(pair[0].1);
            assert_eq!(pair[1].0, pair[0].0.wrapping_add(1));
            assert_eq!((gap, pair[1].2), if pair[1].2 { (1_280, true) } else { (320, false) });
        }
        assert_eq!(near.iter().filter(|(_, _, marker, _)| *marker).count(), 2, "the first, and behind the gap");
        assert!(packets(&sockets[1]).is_empty(), "nothing was heard");
    }

    #[test]
    fn what_is_not_possible_is_said() {
        let config = RtpForkConfig {
            to: SocketAddr::from(([127, 0, 0, 1], 65_534)),
            sample_rate_hz: 16_000,
            channels: 1,
            parties: vec![Party::Near, Party::Far],
            begin: Instant::ZERO,
        };
        let start = |config: &RtpForkConfig| RtpFork::start(fork(Forked::Both, 100).1, config).map(|_| ()).unwrap_err();
        assert!(matches!(start(&config), RtpForkError::Streams(2)));
        assert!(matches!(
            start(&RtpForkConfig { sample_rate_hz: 12_345, ..config.clone() }),
            RtpForkError::Format(12_345, 1)
        ));
        assert!(matches!(start(&RtpForkConfig { parties: Vec::new(), ..config }), RtpForkError::Streams(0)));
    }
}
