//! The recording of a call's datagrams into files while it runs: a capture (pcap) of the datagrams, protected as they are, and
//! the SRTP keys that decrypt them, whether the keys are from the descriptions (SDES) or from a handshake (DTLS-SRTP).
//!
//! Use it to look into a call afterwards, by Wireshark or by `media-core replay`. The sound alone is a
//! [`recorder`](super::recorder)'s.
//!
//! [`record_wire`] gives the call a tap and starts a thread that writes. Between them are rings of fixed length: data that the
//! disk can't take are dropped and counted, and delay nothing. The capture can be read up to its last fifth of a second whatever
//! happens; the key file is rewritten as a whole each time that there is another key. `media-core replay CAPTURE --keys KEYS`
//! plays both; [`keys`] describes the file of keys and the other programs that read it.
//!
//! Both files of a call to which one datagram comes:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::record::wire::{WireConfig, record_wire};
//! use host_std::session::{Call, CallConfig, Channel};
//!
//! # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
//! # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
//! # anna.accept(Instant::ZERO, &answer)?;
//! # let folder = std::env::temp_dir().join(format!("doc-wire-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let config = WireConfig {
//!     capture: Some(folder.join("call.pcap")),
//!     keys: Some(folder.join("call.keys")),
//!     local: ["127.0.0.1:4000".parse()?, "127.0.0.1:4001".parse()?],
//!     unix_micros_at_zero: 0,
//! };
//! let recorder = record_wire(&mut anna, &config)?;
//! anna.receive(Instant::ZERO, Channel::Rtp, "127.0.0.1:5000".parse()?, &mut [0x80; 172]);
//! assert_eq!(recorder.finish().datagrams, 1);
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Addresses are those that the call knows. Packets by way of a TURN server are captured as they are sent here, inside its
//! messages.
//!
//! Cost: a copy of each datagram. Memory: two rings, 1.1 MB together.

use std::io::{self, BufWriter, IntoInnerError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dsp_core::time::Instant;
use rtrb::{Consumer, Producer, RingBuffer};

use super::keys::{self, KeyLine};
use super::pcap::PcapWriter;
use crate::output::OutputFile;
use crate::sdp::{MasterKey, SrtpKeys};
use crate::session::{Call, Channel, Tap};

/// The interval at which the thread looks for datagrams.
const EVERY: Duration = Duration::from_millis(20);
/// The number of looks between two flushes.
const FLUSH_EVERY: u32 = 10;
/// Bytes and datagrams that wait for the disk: five seconds of a call at 1.6 Mbit/s.
const BYTES: usize = 1 << 20;
const DATAGRAMS: usize = 4_096;
/// Keys that wait to be written, and that a file has: a call whose keys change more often isn't an honest one.
const KEYS: usize = 256;

/// The files that [`record_wire`] writes.
#[derive(Clone, Debug)]
pub struct WireConfig {
    /// The file of the capture; `None` writes none.
    pub capture: Option<PathBuf>,
    /// The key file; `None` writes none. Anyone who has it can hear the call.
    pub keys: Option<PathBuf>,
    /// Our own addresses, of RTP and of RTCP.
    pub local: [SocketAddr; 2],
    /// The wall-clock time at [`Instant::ZERO`], in microseconds since 1970.
    pub unix_micros_at_zero: u64,
}

/// The amount that a [`WireRecorder`] has written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct WireStatus {
    /// Datagrams in the capture.
    pub datagrams: u64,
    /// Datagrams that are not in the capture, because the disk was too slow or they mix IPv4 and IPv6.
    pub dropped: u64,
    /// Lines in the key file: two for each change of keys or addresses.
    pub keys: u64,
    /// The reason why writing ended before the call; `None` if it didn't.
    pub error: Option<io::Error>,
}

#[derive(Clone, Copy)]
struct Entry {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: usize,
}

#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    stop: AtomicBool,
}

/// The end in the call.
struct WireTap {
    capture: Option<(Producer<u8>, Producer<Entry>)>,
    keys: Option<Producer<KeyLine>>,
    /// The keys and the destinations with which RTP and RTCP were sent when the keys were last recorded.
    known: [Option<(SrtpKeys, SocketAddr)>; 2],
    local: [SocketAddr; 2],
    shared: Arc<Shared>,
}

impl WireTap {
    fn local(&self, channel: Channel) -> SocketAddr {
        self.local[usize::from(channel == Channel::Rtcp)]
    }

    fn give(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let Some((bytes, entries)) = &mut self.capture else { return };
        let chunk = if entries.is_full() { None } else { bytes.write_chunk_uninit(datagram.len()).ok() };
        let Some(chunk) = chunk else {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        chunk.fill_from_iter(datagram.iter().copied());
        // There is room, and nobody else fills it.
        let _ = entries.push(Entry { at, from, to, bytes: datagram.len() });
    }
}

impl Tap for WireTap {
    fn sent(&mut self, now: Instant, channel: Channel, to: SocketAddr, datagram: &[u8]) {
        self.give(now, self.local(channel), to, datagram);
    }

    fn arrived(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.give(now, from, self.local(channel), datagram);
    }

    fn settled(&mut self, call: &Call) {
        let Some(producer) = &mut self.keys else { return };
        for (place, channel) in [Channel::Rtp, Channel::Rtcp].into_iter().enumerate() {
            let (Some(keys), Some(remote)) = (call.srtp_keys(channel), call.destination(channel)) else { continue };
            // RTP's hold for RTCP too, unless that has its own.
            let same = place == 1 && call.srtp_keys(Channel::Rtp) == Some(keys);
            if same || self.known[place].as_ref().is_some_and(|(known, to)| known == keys && *to == remote) {
                continue;
            }
            let line = |from, to, key: &MasterKey| KeyLine {
                suite: keys.suite.name().into(),
                from,
                to,
                key_and_salt: key.as_bytes().to_vec(),
                mki: key.terms().mki,
            };
            let local = self.local[place];
            // A key for which the ring has no room would be refused by the file's limit too.
            let _ = producer.push(line(local, remote, &keys.outgoing));
            let _ = producer.push(line(remote, local, &keys.incoming));
            self.known[place] = Some((keys.clone(), remote));
        }
    }
}

/// A capture that is being written, and the data to be written to it.
struct CaptureFile {
    writer: PcapWriter<BufWriter<OutputFile>>,
    bytes: Consumer<u8>,
    entries: Consumer<Entry>,
}

/// The same of keys, with those that are written.
struct KeyFile {
    path: PathBuf,
    lines: Vec<KeyLine>,
    news: Consumer<KeyLine>,
}

/// The thread's end.
struct Files {
    capture: Option<CaptureFile>,
    keys: Option<KeyFile>,
    status: WireStatus,
}

impl Files {
    fn run(mut self, shared: &Shared) -> WireStatus {
        let mut looks = 0;
        loop {
            let stops = shared.stop.load(Ordering::Acquire);
            looks += 1;
            if let Err(error) = self.write(looks % FLUSH_EVERY == 0) {
                self.status.error = Some(error);
            }
            if stops || self.status.error.is_some() {
                break;
            }
            thread::sleep(EVERY);
        }
        let Self { capture, mut status, .. } = self;
        if let Some(CaptureFile { writer, .. }) = capture {
            status.datagrams = writer.datagrams();
            let file = writer.finish().and_then(|file| file.into_inner().map_err(IntoInnerError::into_error));
            status.error = status.error.or(file.and_then(OutputFile::finish).err());
        }
        status.dropped += shared.dropped.load(Ordering::Relaxed);
        status
    }

    fn write(&mut self, flush: bool) -> io::Result<()> {
        if let Some(CaptureFile { writer, bytes, entries }) = &mut self.capture {
            let mut datagram = Vec::new();
            while let Ok(entry) = entries.pop() {
                datagram.clear();
                // They were put in before the entry was.
                if let Ok(chunk) = bytes.read_chunk(entry.bytes) {
                    datagram.extend(chunk);
                }
                match writer.datagram(entry.at, entry.from, entry.to, &datagram) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.status.dropped += 1,
                    written => written?,
                }
            }
            if flush {
                writer.flush()?;
            }
        }
        if let Some(KeyFile { path, lines, news }) = &mut self.keys {
            let before = lines.len();
            while let Ok(line) = news.pop() {
                if lines.len() < KEYS {
                    lines.push(line);
                }
            }
            if lines.len() > before {
                keys::write(&*path, lines)?;
                self.status.keys = lines.len() as u64;
            }
        }
        Ok(())
    }
}

/// The files of a call that are being written. Dropping this ends them.
#[must_use]
pub struct WireRecorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<WireStatus>>,
}

/// Begins to write the datagrams and the keys of a call. Both files exist when this returns, and no keys of an earlier call are left in
/// them. [The module's page](self) has an example.
///
/// # Errors
/// The error of the file system if a file can't be created, or of the system if it has no thread to give.
pub fn record_wire(call: &mut Call, config: &WireConfig) -> io::Result<WireRecorder> {
    let shared = Arc::new(Shared::default());
    let mut files = Files { capture: None, keys: None, status: WireStatus::default() };
    let mut tap =
        WireTap { capture: None, keys: None, known: [None, None], local: config.local, shared: shared.clone() };
    if let Some(path) = &config.capture {
        let writer = PcapWriter::create(path, config.unix_micros_at_zero)?;
        let (bytes, entries) = (RingBuffer::new(BYTES), RingBuffer::new(DATAGRAMS));
        tap.capture = Some((bytes.0, entries.0));
        files.capture = Some(CaptureFile { writer, bytes: bytes.1, entries: entries.1 });
    }
    if let Some(path) = &config.keys {
        keys::write(path, &[])?;
        let (give, take) = RingBuffer::new(KEYS);
        tap.keys = Some(give);
        files.keys = Some(KeyFile { path: path.clone(), lines: Vec::new(), news: take });
    }
    let theirs = shared.clone();
    let thread = thread::Builder::new().name("wire".into()).spawn(move || files.run(&theirs))?;
    call.add_tap(Box::new(tap));
    Ok(WireRecorder { shared, thread: Some(thread) })
}

impl WireRecorder {
    /// Writes the remaining data, closes the files and returns the amount that was written.
    pub fn finish(mut self) -> WireStatus {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<WireStatus> {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.take()?.join().ok()
    }
}

impl Drop for WireRecorder {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
