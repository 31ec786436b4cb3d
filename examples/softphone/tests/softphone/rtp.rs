//! The sound of a peer whose signalling is a scenario: G.711 at a port, at a packet length, to wherever packets come
//! from.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dsp_core::codec::g711::{linear_to_ulaw, ulaw_to_linear};
use host_std::wav::WavSink;

use crate::heard::{Heard, RATE, tone};

const CLOCK: u32 = 8_000;
const PCMU: u8 = 0;
pub(crate) const EVENTS: u8 = 101;
const HEADER: usize = 12;

#[derive(Default)]
struct Told {
    /// Arrival of the first packet.
    begin: Option<Instant>,
    pcm: Vec<i16>,
    /// Of the first packet.
    timestamp: u32,
    packets: u32,
    /// Keys that were pressed, each once.
    keys: Vec<u8>,
    last_key: Option<u32>,
    /// Samples of the last packet.
    length: usize,
}

/// Speaks and hears until it is dropped.
pub(crate) struct Rtp {
    pub(crate) port: u16,
    told: Arc<Mutex<Told>>,
    ends: Arc<AtomicBool>,
    ptime_ms: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Rtp {
    /// Says this tone as soon as it has heard something.
    pub(crate) fn start(hz: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (told, ends) = (Arc::new(Mutex::new(Told::default())), Arc::new(AtomicBool::new(false)));
        let ptime_ms = Arc::new(AtomicU32::new(20));
        let thread = {
            let (told, ends, ptime_ms) = (told.clone(), ends.clone(), ptime_ms.clone());
            std::thread::spawn(move || talk(&socket, hz, &told, &ends, &ptime_ms))
        };
        Self { port, told, ends, ptime_ms, thread: Some(thread) }
    }

    /// The length of its packets from now on, in ms.
    pub(crate) fn set_ptime(&self, ms: u32) {
        self.ptime_ms.store(ms, Ordering::Relaxed);
    }

    /// The keys that the phone has pressed.
    pub(crate) fn keys(&self) -> Vec<u8> {
        self.told.lock().unwrap().keys.clone()
    }

    /// Packets that have come.
    pub(crate) fn packets(&self) -> u32 {
        self.told.lock().unwrap().packets
    }

    /// Waits until the phone has found it.
    pub(crate) fn wait_for_packets(&self) {
        let begin = Instant::now();
        while self.packets() < 5 {
            assert!(begin.elapsed() < Duration::from_secs(20), "no packets come");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The length of the phone's last packet, in ms.
    pub(crate) fn heard_ptime(&self) -> usize {
        self.told.lock().unwrap().length * 1_000 / CLOCK as usize
    }

    /// What it has heard.
    pub(crate) fn heard(&self, folder: &Path, name: &str) -> Heard {
        let told = self.told.lock().unwrap();
        let path = folder.join(format!("{name}.wav"));
        let mut sink = WavSink::create(&path, CLOCK).unwrap();
        sink.write(&told.pcm).unwrap();
        // What didn't come is silence, up to now.
        let until_now =
            told.begin.map_or(Duration::ZERO, |begin| begin.elapsed()).as_millis() as usize * CLOCK as usize / 1_000;
        sink.write(&vec![0; until_now.saturating_sub(told.pcm.len()) + CLOCK as usize / 10]).unwrap();
        sink.finish().unwrap();
        Heard::read(&path, told.begin.unwrap_or_else(Instant::now), name)
    }
}

impl Drop for Rtp {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn talk(socket: &UdpSocket, hz: u32, told: &Mutex<Told>, ends: &AtomicBool, ptime_ms: &AtomicU32) {
    let said: Vec<u8> = tone(hz, CLOCK).into_iter().map(linear_to_ulaw).collect();
    let (begin, mut sequence, mut sent) = (Instant::now(), 1u16, 0usize);
    let mut to: Option<SocketAddr> = None;
    let mut packet = [0; 2_048];
    while !ends.load(Ordering::Relaxed) {
        let due = begin + Duration::from_micros(sent as u64 * 1_000_000 / u64::from(CLOCK));
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            socket.set_read_timeout(Some(wait.max(Duration::from_micros(500)))).unwrap();
            if let Ok((len, from)) = socket.recv_from(&mut packet)
                && take(&packet[..len], told)
            {
                to = Some(from);
            }
            continue;
        }
        let samples = ptime_ms.load(Ordering::Relaxed) as usize * CLOCK as usize / 1_000;
        if let Some(to) = to {
            let mut out = vec![0x80, PCMU];
            out.extend(sequence.to_be_bytes());
            out.extend((sent as u32).to_be_bytes());
            out.extend((hz ^ 0x5eed_0000).to_be_bytes());
            out.extend((0..samples).map(|n| said[(sent + n) % said.len()]));
            // The phone may have gone.
            let _ = socket.send_to(&out, to);
            sequence = sequence.wrapping_add(1);
        }
        sent += samples;
    }
}

/// Whether it was RTP.
fn take(packet: &[u8], told: &Mutex<Told>) -> bool {
    let is_rtp = packet.len() > HEADER && packet[0] >> 6 == 2 && !(64..=95).contains(&(packet[1] & 0x7f));
    if !is_rtp {
        return false;
    }
    let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
    let payload = &packet[HEADER..];
    let mut told = told.lock().unwrap();
    told.packets += 1;
    match packet[1] & 0x7f {
        PCMU => {
            if told.begin.is_none() {
                (told.begin, told.timestamp) = (Some(Instant::now()), timestamp);
            }
            let place = timestamp.wrapping_sub(told.timestamp) as usize;
            // Nothing lasts longer than a test.
            if place < CLOCK as usize * 600 {
                let end = place + payload.len();
                if told.pcm.len() < end {
                    told.pcm.resize(end, 0);
                }
                for (slot, byte) in told.pcm[place..end].iter_mut().zip(payload) {
                    *slot = ulaw_to_linear(*byte);
                }
                told.length = payload.len();
            }
        }
        EVENTS if told.last_key != Some(timestamp) => {
            told.last_key = Some(timestamp);
            told.keys.push(payload[0]);
        }
        _ => {}
    }
    true
}

#[test]
fn what_a_peer_hears_is_placed_by_its_timestamps() {
    assert_eq!(RATE, 16_000);
    let told = Mutex::new(Told::default());
    let packet = |timestamp: u32, byte: u8| {
        let mut packet = vec![0x80, PCMU, 0, 1];
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend([byte; 160]);
        packet
    };
    assert!(take(&packet(1_000, 0x00), &told) && take(&packet(1_320, 0x00), &told) && !take(b"STUN", &told));
    let told = told.into_inner().unwrap();
    assert_eq!(told.pcm.len(), 480);
    assert!(told.pcm[159] != 0 && told.pcm[160] == 0 && told.pcm[320] != 0);
}
