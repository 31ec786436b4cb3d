//! Phones that talk to each other in virtual time: each is a session with a device, says a tone of its own and hears
//! what comes. The order of a tick is the front end's, as everywhere.

use std::net::SocketAddr;

use dsp_core::front::{Media, Step};
use dsp_core::time::{Duration, Instant};
use host_std::manager::{Change, DialogId, Event, EventKind, Session, Watching};
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, CaptureConfig, HostFront, Identity, Transmit, front_end};

/// One way through the network.
pub(super) const WAY: Duration = Duration::from_millis(20);
/// One way of the signalling.
const SIGNAL_MS: u64 = 50;
/// All devices are of this rate, in Hz.
pub(super) const RATE_HZ: u32 = 8_000;
/// Samples that a share is taken of: 100 ms.
const WINDOW: usize = RATE_HZ as usize / 10;

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A call's settings of a test: PCMU under repeatable names.
pub(super) fn config(port: u16) -> CallConfig {
    let identity = Identity::seeded(u64::from(port));
    CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::with_identity(port, identity) }
}

pub(super) struct Phone {
    pub(super) session: Session,
    /// Where it hears; the first is where it sends from.
    pub(super) addresses: Vec<SocketAddr>,
    /// What it says.
    pub(super) tone_hz: f64,
    /// Without one it isn't ticked.
    pub(super) front: Option<Box<HostFront>>,
    spoken: u64,
    /// All that it heard.
    pub(super) heard: Vec<i16>,
    pub(super) events: Vec<Event>,
    /// Ticks in which something was made up, silence too.
    pub(super) gaps: u32,
    /// How much longer than the fastest the last packet took that was played.
    pub(super) delay: Duration,
    /// Datagrams that left.
    pub(super) sent: u32,
    began: bool,
}

struct InFlight {
    arrival: Instant,
    from: SocketAddr,
    transmit: Transmit,
    bytes: Vec<u8>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) phones: Vec<Phone>,
    on_the_way: Vec<InFlight>,
    /// The first offer, where several answer it.
    pub(super) offer: String,
    /// Datagrams from here don't arrive.
    pub(super) cut: Vec<SocketAddr>,
    /// Whoever sends from here has a wall clock that is off by so many seconds, in the reports of plain RTCP.
    pub(super) wall_clock_steps: Vec<(SocketAddr, i32)>,
}

impl Phone {
    pub(super) fn new(dialog: &DialogId, config: CallConfig, tone_hz: f64, watching: Watching) -> Self {
        let addresses = vec![SocketAddr::new(config.address, config.rtp_port)];
        let mut session = Session::new(dialog, Call::new(config).unwrap(), watching);
        session.set_sound((RATE_HZ, 1)).unwrap();
        let front = Some(front_end(RATE_HZ, 1, &CaptureConfig::default()).unwrap());
        Self {
            session,
            addresses,
            tone_hz,
            front,
            spoken: 0,
            heard: Vec::new(),
            events: Vec::new(),
            gaps: 0,
            delay: Duration::ZERO,
            sent: 0,
            began: false,
        }
    }

    /// The share of the last 100 ms that is this tone, and their power.
    pub(super) fn share(&self, tone_hz: f64) -> (f64, f64) {
        share(&self.heard[self.heard.len().saturating_sub(WINDOW)..], tone_hz)
    }

    pub(super) fn hears(&self, tone_hz: f64) -> bool {
        let (share, power) = self.share(tone_hz);
        share > 0.8 && power > 1e5
    }

    /// What was told, in its order.
    pub(super) fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }

    pub(super) fn was_told(&self, is: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is(&event.kind)).count()
    }
}

/// Sets the wall clock of a sender report (RFC 3550, 6.4.1) forward.
fn step(datagram: &mut [u8], seconds: i32) {
    const SENDER_REPORT: u8 = 200;
    if datagram.len() >= 12 && datagram[1] == SENDER_REPORT {
        let time = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        datagram[8..12].copy_from_slice(&time.wrapping_add_signed(seconds).to_be_bytes());
    }
}

/// The share of some samples that is this tone, and their mean square.
pub(super) fn share(heard: &[i16], tone_hz: f64) -> (f64, f64) {
    let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in heard.iter().enumerate() {
        let x = n as f64 * tone_hz / f64::from(RATE_HZ) * std::f64::consts::TAU;
        let sample = f64::from(*sample);
        (sine, cosine, power) = (sine + sample * x.sin(), cosine + sample * x.cos(), power + sample * sample);
    }
    let count = heard.len().max(1) as f64;
    (2.0 * (sine * sine + cosine * cosine) / (count * power.max(1.0)), power / count)
}

impl World {
    /// Nobody is there, a second after the clock began.
    pub(super) fn new() -> Self {
        Self { now: Instant::from_millis(1_000), ..Self::default() }
    }

    pub(super) fn add(&mut self, phone: Phone) -> usize {
        self.phones.push(phone);
        self.phones.len() - 1
    }

    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.tick();
        }
    }

    /// What one phone says to its session.
    pub(super) fn at<T>(&mut self, phone: usize, what: impl FnOnce(&mut Session, Instant) -> T) -> T {
        what(&mut self.phones[phone].session, self.now)
    }

    fn tick(&mut self) {
        let now = self.now;
        self.on_the_way.sort_by_key(|datagram| datagram.arrival);
        let here = self.on_the_way.partition_point(|datagram| datagram.arrival <= now);
        for mut datagram in self.on_the_way.drain(..here) {
            let to = datagram.transmit.to;
            let heard = |phone: &&mut Phone| phone.addresses.contains(&to);
            if let Some(phone) = self.phones.iter_mut().find(heard) {
                let InFlight { arrival, from, transmit, .. } = datagram;
                phone.session.receive(arrival, transmit.channel, from, &mut datagram.bytes);
            }
        }
        for phone in &mut self.phones {
            let mut leaves = Vec::new();
            phone.tick(now, |transmit, bytes| leaves.push((transmit, bytes.to_vec())));
            phone.sent += leaves.len() as u32;
            let from = phone.addresses[0];
            let step_s = self.wall_clock_steps.iter().find(|(stepped, _)| *stepped == from).map(|(_, step_s)| *step_s);
            leaves.iter_mut().for_each(|(_, bytes)| step(bytes, step_s.unwrap_or(0)));
            let leaves = leaves.into_iter().filter(|_| !self.cut.contains(&from));
            let arrival = now + WAY;
            self.on_the_way.extend(leaves.map(|(transmit, bytes)| InFlight { arrival, from, transmit, bytes }));
        }
        self.now += Duration::from_millis(10);
    }

    /// A first offer of `caller`, answered by `callee`, and the dialog confirmed.
    pub(super) fn connect(&mut self, caller: usize, callee: usize, dialogs: [&DialogId; 2]) {
        let offer = self.at(caller, |session, now| session.offer(now, &half(dialogs[0]))).unwrap();
        self.run(SIGNAL_MS);
        let answer = self.at(callee, |session, now| session.answer(now, dialogs[1], &offer)).unwrap();
        self.run(SIGNAL_MS);
        self.at(caller, |session, now| session.accept(now, dialogs[0], &answer)).unwrap();
        self.at(caller, |session, now| session.confirm(now, dialogs[0])).unwrap();
    }

    /// A later offer of one phone, taken by the other.
    pub(super) fn change(&mut self, phones: [usize; 2], dialogs: [&DialogId; 2], change: &Change) {
        let offer = self.at(phones[0], |session, now| session.reoffer(now, dialogs[0], change)).unwrap();
        self.run(SIGNAL_MS);
        let answer = self.at(phones[1], |session, now| session.answer(now, dialogs[1], &offer)).unwrap();
        self.run(SIGNAL_MS);
        self.at(phones[0], |session, now| session.accept(now, dialogs[0], &answer)).unwrap();
    }
}

impl Phone {
    fn tick(&mut self, now: Instant, mut send: impl FnMut(Transmit, &[u8])) {
        let mut datagram = [0; 2_048];
        let Self { session, front, spoken, heard, tone_hz, gaps, delay, .. } = self;
        match front {
            Some(front) => {
                front.begin(now, RATE_HZ as usize / 100, self.began).unwrap();
                self.began = true;
                while let Some(step) = front.step(session, &mut datagram) {
                    match step {
                        Step::Loudspeaker { pcm, played } => {
                            heard.extend(pcm);
                            if let Some(us) = played.playout_delay_us {
                                *delay = Duration::from_micros(us.into());
                            }
                            *gaps += u32::from(played.concealed + played.silence > 0);
                        }
                        Step::Microphone(microphone) => {
                            for sample in microphone.pcm {
                                let x = *spoken as f64 * *tone_hz / f64::from(RATE_HZ) * std::f64::consts::TAU;
                                *sample = (x.sin() * 8_000.0) as i16;
                                *spoken += 1;
                            }
                        }
                        Step::Transmit(transmit) => send(transmit, &datagram[..transmit.len]),
                    }
                }
            }
            None => {
                while let Some(transmit) = session.transmit(now, &mut datagram) {
                    send(transmit, &datagram[..transmit.len]);
                }
            }
        }
        if now.as_millis().is_multiple_of(100) {
            session.poll(now);
        }
        while let Some(event) = session.next_event() {
            self.events.push(event);
        }
    }
}

pub(super) fn half(dialog: &DialogId) -> DialogId {
    DialogId::half(dialog.call_id(), dialog.local_tag())
}

/// Names of a dialog as its two sides have them.
pub(super) fn names() -> [DialogId; 2] {
    [DialogId::new("call", "anna", "bert"), DialogId::new("call", "bert", "anna")]
}

/// Two phones that talk.
pub(super) fn pair(change: impl Fn(&mut CallConfig)) -> (World, [DialogId; 2]) {
    let mut world = World::new();
    let dialogs = names();
    for (side, tone_hz) in [(0, 400.0), (1, 700.0)] {
        let mut config = config(4_000 + 1_000 * side as u16);
        change(&mut config);
        world.add(Phone::new(&dialogs[side], config, tone_hz, Watching::default()));
    }
    world.connect(0, 1, [&dialogs[0], &dialogs[1]]);
    world.run(1_000);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0), "a pair that talks");
    (world, dialogs)
}
