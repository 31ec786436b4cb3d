//! What keys and addresses that come late cost: a DTLS handshake and the checks of ICE, and a packet after them beside one of a call
//! with keys in its description (SDES) under the same suite.
//!
//! Two calls of G.711 in virtual time, in one thread and without a network: what is measured is both sides' work.
//! Rounds of all kinds take turns, back and forth. The fastest of each kind is told, so that other work on the machine
//! is in none of them; and the median of the ratios to the round of SDES beside it, with or without feedback as it,
//! which other work changes in both. Prints a table.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration as StdDuration, Instant as StdInstant};

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::sdp::{CryptoSuite, ExtensionOptions, FeedbackOptions, OfferExtensions};
use host_std::session::{
    Call, CallConfig, IceConfig, IceMode, IceState, Identity, Keying, Protection, SrtpOptions, Transmit,
};

/// Counts what is on the heap: a call's own count knows nothing of what its libraries keep.
struct Counting;

static HEAP: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call is handed on to the system's allocator unchanged; counting itself doesn't allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Handshakes of each kind, and rounds of packets.
const HANDSHAKES: usize = 20;
const ROUNDS: usize = 400;
/// Ticks of 10 ms a round: every other one has a packet each way.
const TICKS: u32 = 2_000;

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    dtls: bool,
    ice: bool,
    /// Header extensions and transport-wide feedback, which DTLS brings along by default.
    feedback: bool,
}

const KINDS: [Kind; 6] = [
    Kind { name: "SDES", dtls: false, ice: false, feedback: false },
    Kind { name: "SDES, ICE", dtls: false, ice: true, feedback: false },
    Kind { name: "DTLS", dtls: true, ice: false, feedback: false },
    Kind { name: "DTLS, ICE", dtls: true, ice: true, feedback: false },
    Kind { name: "SDES, levels and feedback", dtls: false, ice: false, feedback: true },
    Kind { name: "DTLS, ICE, levels and feedback", dtls: true, ice: true, feedback: true },
];

struct Pair {
    calls: [Call; 2],
    now: Instant,
    /// Datagrams and bytes of handshake and checks, both ways.
    own: (u32, usize),
    packets: u32,
    media: u32,
}

fn address(side: usize) -> SocketAddr {
    ([127, 0, 0, 1], 4_000 + 1_000 * side as u16).into()
}

impl Pair {
    fn new(kind: Kind) -> Self {
        let calls = [0, 1].map(|side| {
            let identity = Identity::seeded(side as u64 + 3);
            let ice = IceConfig { mode: if kind.ice { IceMode::Full } else { IceMode::Off }, ..IceConfig::default() };
            Call::new(CallConfig {
                codecs: vec![CodecFormat::pcmu()],
                keying: if kind.dtls { Keying::Dtls } else { Keying::Described },
                srtp_options: SrtpOptions::only(vec![CryptoSuite::AeadAes256Gcm]),
                ice,
                extensions: if kind.feedback {
                    ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() }
                } else {
                    ExtensionOptions::NONE
                },
                feedback: FeedbackOptions {
                    profile: kind.feedback,
                    transport_wide: kind.feedback,
                    reduced_size: kind.feedback,
                },
                ..CallConfig::with_identity(address(side).port(), identity)
            })
            .expect("a call")
        });
        Self { calls, now: Instant::from_millis(1), own: (0, 0), packets: 0, media: 0 }
    }

    fn agree(&mut self) {
        let [ours, theirs] = &mut self.calls;
        let answer = theirs.answer(self.now, &ours.offer().expect("an offer")).expect("an answer");
        ours.accept(self.now, &answer).expect("an answer of ours");
    }

    fn is_ready(&self, kind: Kind) -> bool {
        self.calls.iter().all(|call| {
            let keys = matches!(call.protection(), Some(Protection::Srtp(_)));
            keys && (!kind.ice || call.stats().ice.is_some_and(|ice| ice.state == IceState::Connected))
        })
    }

    fn tick(&mut self) {
        let (mut pcm, mut datagram) = ([0; 80], [0; 2_048]);
        for side in 0..2 {
            self.calls[side].play(self.now, &mut pcm);
            pcm.iter_mut().zip(0..).for_each(|(sample, n): (&mut i16, i16)| *sample = n * 97);
            self.calls[side].capture(self.now, &pcm);
            while let Some(Transmit { len, channel, .. }) = self.calls[side].transmit(self.now, &mut datagram) {
                match DatagramKind::of(&datagram[..len]) {
                    DatagramKind::Rtp => self.media += 1,
                    DatagramKind::Rtcp => {}
                    _ => self.own = (self.own.0 + 1, self.own.1 + len),
                }
                self.calls[1 - side].receive(self.now, channel, address(side), &mut datagram[..len]);
            }
        }
        self.now += Duration::from_millis(10);
    }

    fn round(&mut self) -> StdDuration {
        let (before, began) = (self.media, StdInstant::now());
        for _ in 0..TICKS {
            self.tick();
        }
        let took = began.elapsed();
        self.packets = self.media - before;
        took / self.packets
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let rounds = if std::env::args().any(|word| word == "--bench") { ROUNDS } else { 1 };
    let mut ready = [StdDuration::MAX; KINDS.len()];
    let (mut pairs, mut heap) = (KINDS.map(Pair::new), [0; KINDS.len()]);
    for _ in 0..rounds.min(HANDSHAKES) {
        for (at, kind) in KINDS.into_iter().enumerate() {
            let before = HEAP.load(Ordering::Relaxed);
            let mut pair = Pair::new(kind);
            let began = StdInstant::now();
            pair.agree();
            while !pair.is_ready(kind) {
                pair.tick();
                assert!(pair.now < Instant::from_millis(10_000), "{}: no keys, or no address", kind.name);
            }
            ready[at] = ready[at].min(began.elapsed());
            heap[at] = (HEAP.load(Ordering::Relaxed) - before) / 2 + size_of::<Call>() as i64;
            pairs[at] = pair;
        }
    }
    let until = pairs.each_ref().map(|pair| (pair.own, pair.now.as_millis()));
    let mut packets = [const { Vec::new() }; KINDS.len()];
    for round in 0..rounds {
        for step in 0..KINDS.len() {
            let at = if round % 2 == 0 { step } else { KINDS.len() - 1 - step };
            packets[at].push(pairs[at].round().as_secs_f64());
        }
    }
    let ratio = |at: usize| {
        let beside = KINDS.iter().position(|kind| kind.feedback == KINDS[at].feedback).unwrap_or(0);
        let mut ratios: Vec<f64> =
            packets[at].iter().zip(&packets[beside]).map(|(packet, sdes)| packet / sdes).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    println!(
        "| keys by | both sides' work until they are there, ms | datagrams | bytes | ms of the call | memory a call, KB | a packet, ns | to SDES |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (at, kind) in KINDS.into_iter().enumerate() {
        let ((datagrams, bytes), ms) = until[at];
        let memory = heap[at] as f64 / 1e3;
        let (ns, ready) =
            (packets[at].iter().fold(f64::MAX, |best, packet| best.min(*packet)) * 1e9, ready[at].as_secs_f64() * 1e3);
        let ratio = ratio(at);
        println!("| {} | {ready:.2} | {datagrams} | {bytes} | {ms} | {memory:.1} | {ns:.0} | {ratio:.2} |", kind.name);
    }
}
