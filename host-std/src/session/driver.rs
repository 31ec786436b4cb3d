//! Drives one call over UDP sockets and an audio device, on tokio: the only place in a call that reads a clock.
//!
//! One task a call: datagrams as they arrive; every 10 ms an audio tick that plays, captures, sends what is finished
//! and reports that are due; commands from the user in between. Ticks are counted from the start, so a late one is made
//! up for, up to 100 ms: what this machine slept beyond that (a stopped process, a closed laptop) is a pause in both
//! directions, and is told once, by whichever of device and driver knows of more. What lay in the sockets before the
//! driver ran, or while the machine slept, is not heard: it would be delay.
//!
//! A lost device is opened anew on a thread of its own; meanwhile there is silence.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration as StdDuration;

use dsp_core::adapt::Hopeless;
use dsp_core::front::{FrontError, Latency, Step};
use dsp_core::guard::srtp::KeyAge;
use dsp_core::process::level::Level;
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant as TokioInstant, sleep_until};
use tracing::Instrument as _;

use super::driven::Driven;
use super::turn_connections::TurnConnections;
use super::{
    Call, CallDigit, CallError, CallTone, CaptureStep, Channel, EchoStatus, Ending, HandshakeFailure, HostFront,
    Missed, Transmit,
};
use crate::device::{AudioIo, DeviceError, FileIo, Gaps};

/// Length of an audio tick in ms.
pub const TICK_MS: u32 = super::TICK_MS;
/// The longest UDP datagram.
const DATAGRAM_BYTES: usize = 65_535;
/// Ticks that are later than this are skipped.
pub(crate) const LATEST: StdDuration = StdDuration::from_millis(100);
/// After so long a sleep what lies in the sockets is too late to be played.
pub(crate) const STALE: StdDuration = StdDuration::from_millis(500);
/// Datagrams that are thrown away at once: more than a socket holds.
const STALE_DATAGRAMS: u32 = 10_000;
/// Time between two attempts to open a lost device anew.
const REOPEN_EVERY: StdDuration = StdDuration::from_secs(2);
/// How long datagrams may keep a tick waiting that is due: half of one. What a flood sends beyond stays with the system,
/// which drops it, and the sound goes on.
pub(crate) const INTAKE: StdDuration = StdDuration::from_millis(5);
/// So long TURN servers are waited for at the end, until they have their addresses back.
#[cfg(feature = "ice")]
const LEAVING: StdDuration = StdDuration::from_millis(500);
/// Ticks between two updates of the status.
pub(crate) const STATUS_EVERY: u64 = 10;

/// The host's clock: microseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: TokioInstant,
}

impl Clock {
    /// A clock that stands at zero now. Several calls may share one.
    pub fn start() -> Self {
        Self { start: TokioInstant::now() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }
}

/// A change to the running call, made between two ticks on the driver's task.
pub type Change = Box<dyn FnOnce(&mut Call, Instant) + Send>;

/// What a user does during a call.
#[non_exhaustive]
pub enum Command {
    /// Changes the call itself: a new offer or answer, hold and resume, new keys, other codecs. What comes of it (an
    /// SDP, an error) the closure sends where it likes, for example through a oneshot channel.
    Change(Change),
    /// Mutes the microphone, or unmutes it.
    Mute(bool),
    /// Gain of the microphone, in hundredths of a decibel.
    MicrophoneGain(i16),
    /// Volume of the loudspeaker, in hundredths of a decibel.
    Volume(i16),
    /// Switches a step of the capture chain on or off, without a click; a step that isn't there stays away.
    Step(CaptureStep, bool),
    /// Presses keys, one after the other ([`Call::send_digits`]); what the other side doesn't take is told as a warning.
    Digits(Vec<KeyPress>),
    /// Says goodbye and ends.
    HangUp,
}

/// How a call goes, for a display.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Numbers of the call.
    pub stats: super::CallStats,
    /// Level of the microphone after its gain, in hundredths of dBov.
    pub microphone_level: i16,
    /// Level of the loudspeaker after its volume, in hundredths of dBov.
    pub speaker_level: i16,
    /// Whether the microphone is muted.
    pub muted: bool,
    /// Gain of the microphone, in hundredths of a decibel.
    pub microphone_gain: i16,
    /// Volume of the loudspeaker, in hundredths of a decibel.
    pub volume: i16,
    /// Time since the driver began.
    pub elapsed: Instant,
    /// How long nothing has come of the other side; `None` on hold.
    pub silence: Option<Duration>,
    /// How the echo canceller does; `None` without one. In stereo it is that of the left channel.
    pub echo: Option<EchoStatus>,
    /// Why the call ended ([`Ended::name`]); `None` while it runs.
    pub ended: Option<&'static str>,
}

/// Why a call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The user hung up, or all handles to the driver are gone.
    HungUp,
    /// The other side said goodbye, and nothing came of it since ([`Ending::Goodbye`]).
    Bye,
    /// Nothing came of the other side for so long ([`Ending::Silence`]).
    Silence(Duration),
    /// There are no keys, and will be none ([`Ending::Handshake`]).
    Handshake(HandshakeFailure),
    /// The SRTP keys are used up ([`Ending::KeysOver`]).
    KeysOver,
    /// No pair of addresses was found that packets could take ([`Ending::ChecksFailed`]).
    ChecksFailed,
    /// The other side has not answered for 30 s that it wants to be sent to ([`Ending::ConsentGone`]).
    ConsentGone,
    /// Packets may only go through a TURN server, and none gives us an address ([`Ending::NoRelay`]).
    NoRelay,
    /// The TURN server that packets went through passes nothing on any more ([`Ending::RelayLost`]).
    RelayLost,
    /// Sending on is hopeless ([`Ending::Hopeless`]).
    Hopeless(Hopeless),
    /// The time was over.
    TimeOver,
    /// The socket failed.
    Socket(io::Error),
    /// The call can't have the device's sound: not 8 to 48 kHz in mono or stereo.
    Sound(CallError),
    /// The device side of the call can't be made.
    Front(FrontError),
    /// The device failed for good; [`AudioIo::failure`] of what the driver gives back says why.
    SoundFailed,
}

impl Ended {
    /// A short name that stays the same from version to version, such as `hung_up`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::Bye => "goodbye",
            Self::Silence(_) => "silence",
            Self::Handshake(_) => "handshake_failed",
            Self::KeysOver => "keys_over",
            Self::ChecksFailed => "checks_failed",
            Self::ConsentGone => "consent_gone",
            Self::NoRelay => "no_relay",
            Self::RelayLost => "relay_lost",
            Self::Hopeless(_) => "hopeless",
            Self::TimeOver => "time_over",
            Self::Socket(_) => "socket_failed",
            Self::Sound(_) => "sound_unusable",
            Self::Front(_) => "front_failed",
            Self::SoundFailed => "sound_failed",
        }
    }
}

/// Everything one call needs to run.
pub struct Driver {
    /// The call, agreed on.
    pub call: Call,
    /// Where RTP comes in and goes out.
    pub rtp: UdpSocket,
    /// The same for RTCP, where it isn't multiplexed.
    pub rtcp: Option<UdpSocket>,
    /// Microphone and loudspeaker. Their rate and channels are the call's sound from now on, whatever codecs are agreed on
    /// ([`Call::set_sound`]).
    pub audio: Box<dyn AudioIo>,
    /// The clock.
    pub clock: Clock,
    /// How much faster than the clock the audio ticks come, in ppm: to simulate a sound card's drift.
    pub drift_ppm: f64,
    /// End by itself after this time.
    pub time_limit: Option<StdDuration>,
    /// Where the digits go that are heard, as soon as they begin and when they have ended. While there is no room they wait
    /// in the call ([`Call::next_digit`]), which drops the oldest and counts them.
    pub digits: Option<mpsc::Sender<CallDigit>>,
    /// The same for tones ([`Call::next_tone`]).
    pub tones: Option<mpsc::Sender<CallTone>>,
    /// What the call is called in its `tracing` span, `call`. Without it the span has a number alone, which counts the
    /// calls of this process: no key, address, name or number of the other side is in it, nor in any event below TRACE.
    pub name: Option<String>,
    /// Connections to those TURN servers that are reached by TCP.
    #[cfg(feature = "ice")]
    pub turn: Vec<super::TurnConnection>,
}

/// What a driver gives back when its call has ended.
#[non_exhaustive]
pub struct Finished {
    /// Why.
    pub ended: Ended,
    /// The call, for its numbers.
    pub call: Call,
    /// The device, to be closed.
    pub audio: Box<dyn AudioIo>,
    /// Where RTP came in and went out.
    pub rtp: UdpSocket,
    /// The same for RTCP.
    pub rtcp: Option<UdpSocket>,
    /// Why the first datagram could not be sent that could not; how many, the call's numbers tell.
    pub send_error: Option<io::Error>,
}

/// Room for the longest datagram. A thread keeps one for all its calls: a call has it while it takes in a datagram or goes
/// through a tick, and none while it waits. Where a tick waits until the system takes what is sent, another call of the
/// thread makes one of its own.
struct Datagram(Vec<u8>);

thread_local! {
    static IDLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Datagram {
    fn take() -> Self {
        let mut bytes = IDLE.take();
        bytes.resize(DATAGRAM_BYTES, 0);
        Self(bytes)
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        // On a thread that ends there is nobody to keep it for.
        let _ = IDLE.try_with(|idle| idle.set(std::mem::take(&mut self.0)));
    }
}

pub(crate) struct Sound {
    device: Device,
    pub(crate) front: Box<HostFront>,
    /// Samples a channel that were skipped just now, of the loudspeaker and of the microphone, as far as the device has
    /// not told of them too.
    skipped: Gaps,
}

/// What an attempt to open a device anew gives back.
type Reopened = (Box<dyn AudioIo>, Result<(), DeviceError>);

/// The device; if it's lost, it is opened anew.
enum Device {
    Here {
        audio: Box<dyn AudioIo>,
        /// When to open it anew, if it is lost.
        retry: TokioInstant,
    },
    /// It's being opened on a thread that may block.
    Opening(JoinHandle<Reopened>),
}

pub(crate) struct Running<C> {
    pub(crate) call: C,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: Option<UdpSocket>,
    pub(crate) clock: Clock,
    pub(crate) send_error: Option<io::Error>,
    pub(crate) digits: Option<mpsc::Sender<CallDigit>>,
    pub(crate) tones: Option<mpsc::Sender<CallTone>>,
    pub(crate) turn: TurnConnections,
}

impl Driver {
    /// For a call that multiplexes RTCP, in real time and until somebody ends it; the rest is set where it is needed.
    pub fn new(call: Call, rtp: UdpSocket, audio: Box<dyn AudioIo>, clock: Clock) -> Self {
        Self {
            call,
            rtp,
            rtcp: None,
            audio,
            clock,
            drift_ppm: 0.0,
            time_limit: None,
            digits: None,
            tones: None,
            name: None,
            #[cfg(feature = "ice")]
            turn: Vec::new(),
        }
    }

    /// Runs the call until it ends, in a `tracing` span of its own. Mute and gains begin as `status` tells them.
    pub async fn run(self, commands: mpsc::Receiver<Command>, status: watch::Sender<Status>) -> Finished {
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("call", number, name = self.name.as_deref());
        self.run_call(commands, status).instrument(span).await
    }

    async fn run_call(self, mut commands: mpsc::Receiver<Command>, status: watch::Sender<Status>) -> Finished {
        #[cfg(feature = "ice")]
        let turn = TurnConnections::new(self.turn);
        #[cfg(not(feature = "ice"))]
        let turn = TurnConnections;
        let Self { call, rtp, rtcp, audio, clock, drift_ppm, time_limit, digits, tones, .. } = self;
        let mut running = Running { call, rtp, rtcp, clock, send_error: None, digits, tones, turn };
        let (rate_hz, channels) = (audio.sample_rate_hz(), audio.channels());
        let begin = TokioInstant::now();
        if let Err(error) = running.call.set_sound(Some((rate_hz, channels))) {
            return running.finished(Ended::Sound(error), audio);
        }
        let front = match running.call.front_end() {
            Ok(front) => front,
            Err(error) => return running.finished(Ended::Front(error), audio),
        };
        let mut sound = Sound::new(audio, front);
        // Unless somebody has set them before, the default: none.
        let before = *status.borrow();
        sound.apply(Command::Mute(before.muted));
        sound.apply(Command::MicrophoneGain(before.microphone_gain));
        sound.apply(Command::Volume(before.volume));
        sound.begin();
        running.drain(Missed::Early);
        // `spent`: on datagrams since the last tick.
        let (mut tick, mut spent, mut key_age) = (0u64, StdDuration::ZERO, KeyAge::Fresh);
        let period = f64::from(TICK_MS) / 1_000.0 / (1.0 + drift_ppm * 1e-6);
        let ended = loop {
            let next = begin + StdDuration::from_secs_f64(tick as f64 * period);
            let late = TokioInstant::now().saturating_duration_since(next);
            if late > LATEST {
                let skipped = (late.as_secs_f64() / period) as u64;
                let samples = super::ticks_samples(rate_hz, tick, skipped);
                running.call.skip(samples);
                sound.skip(samples);
                tick += skipped;
                if late > STALE {
                    running.drain(Missed::Stale);
                }
                continue;
            }
            let open = late.is_zero() || spent < INTAKE;
            let event = tokio::select! {
                biased;
                ready = running.rtp.readable(), if open => Event::Readable(Channel::Rtp, ready),
                ready = readable(running.rtcp.as_ref()), if open => Event::Readable(Channel::Rtcp, ready),
                connection = running.turn.readable(), if open => Event::Turn(connection),
                command = commands.recv() => Event::Command(command),
                () = sleep_until(next) => Event::Tick,
            };
            match event {
                Event::Readable(channel, ready) => {
                    let began = TokioInstant::now();
                    if let Err(error) = ready.and_then(|()| running.receive(channel)) {
                        break Ended::Socket(error);
                    }
                    spent += began.elapsed();
                }
                Event::Turn(connection) => {
                    let began = TokioInstant::now();
                    running.receive_from_server(connection);
                    spent += began.elapsed();
                }
                Event::Command(Some(Command::HangUp) | None) => break Ended::HungUp,
                Event::Command(Some(Command::Change(change))) => {
                    change(&mut running.call, clock.now());
                }
                Event::Command(Some(Command::Digits(keys))) => {
                    if let Err(error) = running.call.send_digits(&keys) {
                        tracing::warn!(error = error.without_digits(), "digits not sent");
                    }
                }
                Event::Command(Some(command)) => sound.apply(command),
                Event::Tick => {
                    spent = StdDuration::ZERO;
                    running.tick(super::tick_samples(rate_hz, tick), tick > 0, &mut sound).await;
                    tick += 1;
                    if sound.device.has_failed() {
                        break Ended::SoundFailed;
                    }
                    let age = running.call.key_age();
                    if age == KeyAge::Due && key_age == KeyAge::Fresh {
                        tracing::warn!("an SRTP key is nearly used up: a new offer is needed, or the call will end");
                    }
                    key_age = age;
                    if tick.is_multiple_of(STATUS_EVERY) {
                        let _ = status.send(running.status(&mut sound, begin));
                    }
                    match running.call.should_end(clock.now()) {
                        Some(Ending::Goodbye) => break Ended::Bye,
                        Some(Ending::Silence(silence)) => break Ended::Silence(silence),
                        Some(Ending::Handshake(failure)) => break Ended::Handshake(failure),
                        Some(Ending::KeysOver) => break Ended::KeysOver,
                        Some(Ending::ChecksFailed) => break Ended::ChecksFailed,
                        Some(Ending::ConsentGone) => break Ended::ConsentGone,
                        Some(Ending::NoRelay) => break Ended::NoRelay,
                        Some(Ending::RelayLost) => break Ended::RelayLost,
                        Some(Ending::Hopeless(hopeless)) => break Ended::Hopeless(hopeless),
                        None => {}
                    }
                    if time_limit.is_some_and(|limit| begin.elapsed() >= limit) {
                        break Ended::TimeOver;
                    }
                }
            }
        };
        running.call.hang_up();
        running.drain_call().await;
        running.leave_servers().await;
        // Also where nobody looks yet.
        status.send_replace(Status { ended: Some(ended.name()), ..running.status(&mut sound, begin) });
        tracing::debug!(ended = ended.name(), "call ended");
        let audio = sound.device.close().await;
        running.finished(ended, audio)
    }
}

impl Running<Call> {
    fn finished(self, ended: Ended, audio: Box<dyn AudioIo>) -> Finished {
        let Self { call, rtp, rtcp, send_error, .. } = self;
        Finished { ended, call, audio, rtp, rtcp, send_error }
    }

    fn status(&self, sound: &mut Sound, begin: TokioInstant) -> Status {
        Status {
            stats: self.call.stats(),
            microphone_level: level(sound.front.microphone_level()),
            speaker_level: level(sound.front.speaker_level()),
            muted: sound.front.microphone_muted(),
            microphone_gain: sound.front.microphone_gain(),
            volume: sound.front.volume(),
            // Not the clock's time: that began before offer and answer.
            elapsed: Instant::from_micros(begin.elapsed().as_micros() as u64),
            silence: self.call.silence(self.clock.now()),
            echo: sound.front.block(0).and_then(|block| block.echo()),
            ended: None,
        }
    }
}

impl<C: Driven> Running<C> {
    /// With these sockets.
    #[cfg(feature = "manager")]
    pub(crate) fn new(call: C, rtp: UdpSocket, rtcp: Option<UdpSocket>, clock: Clock) -> Self {
        #[cfg(feature = "ice")]
        let turn = TurnConnections::new(Vec::new());
        #[cfg(not(feature = "ice"))]
        let turn = TurnConnections;
        Self { call, rtp, rtcp, clock, send_error: None, digits: None, tones: None, turn }
    }

    /// With these connections to TURN servers.
    #[cfg(all(feature = "manager", feature = "ice"))]
    pub(crate) fn with_turn(self, turn: Vec<super::TurnConnection>) -> Self {
        Self { turn: TurnConnections::new(turn), ..self }
    }

    /// Takes in a datagram of a socket beside the call's own, if one is there. What is wrong with it is nobody's trouble.
    #[cfg(feature = "manager")]
    pub(crate) fn receive_beside(&mut self, socket: &UdpSocket, channel: Channel) {
        let mut datagram = Datagram::take();
        if let Ok((len, from)) = socket.try_recv_from(&mut datagram.0) {
            self.arrive(channel, from, &mut datagram.0[..len]);
        }
    }

    fn arrive(&mut self, channel: Channel, from: SocketAddr, datagram: &mut [u8]) {
        self.call.receive(self.clock.now(), channel, from, datagram);
        self.tell_signals();
    }

    /// Passes digits and tones on, as far as there is room.
    pub(crate) fn tell_signals(&mut self) {
        while let Some(Ok(place)) = self.digits.as_ref().map(mpsc::Sender::try_reserve) {
            let Some(digit) = self.call.next_digit() else { break };
            place.send(digit);
        }
        while let Some(Ok(place)) = self.tones.as_ref().map(mpsc::Sender::try_reserve) {
            let Some(tone) = self.call.next_tone() else { break };
            place.send(tone);
        }
    }

    fn socket(&self, channel: Channel) -> Option<&UdpSocket> {
        if channel == Channel::Rtp { Some(&self.rtp) } else { self.rtcp.as_ref() }
    }

    /// Takes in a datagram, if one is there.
    ///
    /// # Errors
    /// What is wrong with the socket.
    pub(crate) fn receive(&mut self, channel: Channel) -> io::Result<()> {
        let mut datagram = Datagram::take();
        let Some(received) = self.socket(channel).map(|socket| socket.try_recv_from(&mut datagram.0)) else {
            return Ok(());
        };
        match received {
            Ok((len, from)) => self.arrive(channel, from, &mut datagram.0[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An ICMP answer to something we sent: the other side may not be there yet.
            Err(error) if unreachable(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Empties the sockets of what lay there for nobody knows how long: sound is thrown away and counted, reports are read.
    pub(crate) fn drain(&mut self, missed: Missed) {
        let mut datagram = Datagram::take();
        let buffer = &mut datagram.0[..];
        let mut thrown = 0;
        for channel in [Channel::Rtp, Channel::Rtcp] {
            // Whatever is wrong with a socket, the loop will tell.
            let Some(Ok(socket)) = self.socket(channel).map(at_once) else { continue };
            for _ in 0..STALE_DATAGRAMS {
                match socket.recv_from(buffer) {
                    Ok((len, from)) if DatagramKind::of(&buffer[..len]) == DatagramKind::Rtcp => {
                        self.arrive(channel, from, &mut buffer[..len]);
                    }
                    Ok(_) => thrown += 1,
                    Err(error) if unreachable(&error) => {}
                    Err(_) => break,
                }
            }
        }
        self.call.count(missed, thrown);
    }

    /// `capture`: what is captured was said before now; nothing has been, at the first tick.
    pub(crate) async fn tick(&mut self, samples: usize, capture: bool, sound: &mut Sound) {
        let now = self.clock.now();
        let gaps = sound.gaps();
        let Sound { device, front, skipped } = sound;
        front.set_latency(device.latency());
        if front.begin(now, samples, capture).is_err() {
            // There is room for every tick of a call.
            return;
        }
        let mut datagram = Datagram::take();
        while let Some(step) = front.step(&mut self.call, &mut datagram.0) {
            match step {
                Step::Loudspeaker { pcm, .. } => {
                    device.write(pcm);
                    front.underrun(gaps.played as usize);
                }
                Step::Microphone(microphone) => {
                    device.read(microphone.pcm);
                    // What it dropped to read this is lost before it.
                    let late = beyond(skipped, device.gaps());
                    *microphone.lost = microphone.lost.saturating_add(gaps.captured).saturating_add(late.captured);
                    front.underrun(late.played as usize);
                }
                Step::Transmit(transmit) => self.send(transmit, &datagram.0).await,
            }
        }
        drop(datagram);
        self.tell_signals();
        self.call.tell_echo(now, front);
        *skipped = Gaps::default();
        device.recover().await;
    }

    /// Sends all that leaves now.
    pub(crate) async fn drain_call(&mut self) {
        let now = self.clock.now();
        let mut datagram = Datagram::take();
        while let Some(transmit) = self.call.transmit(now, &mut datagram.0) {
            self.send(transmit, &datagram.0).await;
        }
    }

    /// What has come from a TURN server by TCP.
    pub(crate) fn receive_from_server(&mut self, connection: usize) {
        let (now, call) = (self.clock.now(), &mut self.call);
        let over = self.turn.receive(connection, |server, datagram| {
            call.receive(now, Channel::Rtp, server, datagram);
        });
        #[cfg(feature = "ice")]
        if let Some(server) = over {
            call.lose_server(server);
        }
        #[cfg(not(feature = "ice"))]
        let _ = over;
        self.tell_signals();
    }

    /// Gives back what TURN servers gave, if they answer soon.
    #[cfg(feature = "ice")]
    pub(crate) async fn leave_servers(&mut self) {
        let until = TokioInstant::now() + LEAVING;
        while self.call.is_leaving() && TokioInstant::now() < until {
            tokio::select! {
                _ = self.rtp.readable() => drop(self.receive(Channel::Rtp)),
                connection = self.turn.readable() => self.receive_from_server(connection),
                () = tokio::time::sleep(StdDuration::from_millis(TICK_MS.into())) => {}
            }
            self.drain_call().await;
        }
    }

    #[cfg(not(feature = "ice"))]
    pub(crate) async fn leave_servers(&mut self) {}

    async fn send(&mut self, transmit: Transmit, datagram: &[u8]) {
        let bytes = &datagram[..transmit.len];
        if let Some(sent) = self.turn.send(transmit.to, bytes) {
            if !sent {
                self.call.count(Missed::Unsent, 1);
            }
            return;
        }
        let socket = match (transmit.channel, &self.rtcp) {
            (Channel::Rtcp, Some(rtcp)) => rtcp,
            _ => &self.rtp,
        };
        let to = as_sent(socket, transmit.to);
        if let Err(error) = socket.send_to(bytes, to).await {
            self.call.count(Missed::Unsent, 1);
            if self.send_error.is_none() {
                tracing::warn!(%error, "datagram not sent");
                tracing::trace!(to = %transmit.to, "whither it was not sent");
                self.send_error = Some(error);
            }
        }
    }
}

impl Device {
    fn write(&mut self, pcm: &[i16]) {
        if let Self::Here { audio, .. } = self {
            audio.write(pcm);
        }
    }

    fn read(&mut self, pcm: &mut [i16]) {
        match self {
            Self::Here { audio, .. } => {
                audio.read(pcm);
            }
            Self::Opening(_) => pcm.fill(0),
        }
    }

    fn gaps(&mut self) -> Gaps {
        match self {
            Self::Here { audio, .. } => audio.gaps(),
            Self::Opening(_) => Gaps::default(),
        }
    }

    fn latency(&self) -> Latency {
        match self {
            Self::Here { audio, .. } => audio.latency(),
            Self::Opening(_) => Latency::default(),
        }
    }

    /// Whether the device has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Here { audio, .. } if audio.failure().is_some() && !audio.may_come_back())
    }

    /// If the device is lost: says so, and lets it be opened anew, every two seconds.
    async fn recover(&mut self) {
        match self {
            Self::Here { audio, retry } => {
                if audio.failure().is_none() || !audio.may_come_back() || TokioInstant::now() < *retry {
                    return;
                }
                // Something must be here while the thread has the device.
                let away = (audio.sample_rate_hz(), audio.channels());
                let away = Box::new(FileIo::null(away.0).with_channels(away.1));
                let mut audio = std::mem::replace(audio, away);
                *self = Self::Opening(tokio::task::spawn_blocking(move || {
                    let reopened = audio.reopen();
                    (audio, reopened)
                }));
            }
            Self::Opening(opening) if opening.is_finished() => {
                let (audio, reopened) = joined(opening.await);
                match reopened {
                    Ok(()) => tracing::info!("the audio device is back"),
                    Err(error) => tracing::warn!(%error, "no sound"),
                }
                *self = Self::Here { audio, retry: TokioInstant::now() + REOPEN_EVERY };
            }
            Self::Opening(_) => {}
        }
    }

    /// The device, to be closed.
    pub(crate) async fn close(self) -> Box<dyn AudioIo> {
        match self {
            Self::Here { audio, .. } => audio,
            Self::Opening(opening) => joined(opening.await).0,
        }
    }
}

/// What the thread gives back; it is never cancelled, so all that it could bring else is a panic.
fn joined(thread: Result<Reopened, tokio::task::JoinError>) -> Reopened {
    match thread {
        Ok(reopened) => reopened,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

enum Event {
    Readable(Channel, io::Result<()>),
    Turn(usize),
    Command(Option<Command>),
    Tick,
}

impl Sound {
    pub(crate) fn new(audio: Box<dyn AudioIo>, front: Box<HostFront>) -> Self {
        Self { device: Device::Here { audio, retry: TokioInstant::now() }, front, skipped: Gaps::default() }
    }

    /// The device, to be closed or given to another call.
    #[cfg(feature = "manager")]
    pub(crate) async fn into_audio(self) -> Box<dyn AudioIo> {
        self.device.close().await
    }

    /// Whether the device has failed for good.
    #[cfg(feature = "manager")]
    pub(crate) fn has_failed(&self) -> bool {
        self.device.has_failed()
    }

    /// Whether the device is lost, and may come back.
    #[cfg(feature = "manager")]
    pub(crate) fn is_lost(&self) -> bool {
        match &self.device {
            Device::Here { audio, .. } => audio.failure().is_some() && audio.may_come_back(),
            Device::Opening(_) => true,
        }
    }

    /// What was lost before now is nobody's.
    pub(crate) fn begin(&mut self) {
        self.front.reset();
        let _ = self.device.gaps();
        self.skipped = Gaps::default();
    }

    /// There were no ticks for so many samples a channel.
    pub(crate) fn skip(&mut self, samples: usize) {
        self.front.skip(samples);
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        self.skipped.captured = self.skipped.captured.saturating_add(samples);
        self.skipped.played = self.skipped.played.saturating_add(samples);
    }

    /// What the device has lost beyond the ticks that were skipped.
    fn gaps(&mut self) -> Gaps {
        beyond(&mut self.skipped, self.device.gaps())
    }

    pub(crate) fn apply(&mut self, command: Command) {
        let changed = match command {
            Command::Mute(muted) => {
                self.front.set_microphone_muted(muted);
                Ok(())
            }
            Command::MicrophoneGain(gain) => self.front.set_microphone_gain(gain),
            Command::Volume(gain) => self.front.set_volume(gain),
            Command::Step(step, on) => {
                for channel in 0..2 {
                    let there = self.front.block(channel).is_some_and(|block| block.set_step(step, on));
                    if !there && channel == 0 {
                        tracing::warn!(?step, "no such step in the capture chain");
                    }
                }
                Ok(())
            }
            // The loop has dealt with these.
            Command::HangUp | Command::Change(_) | Command::Digits(_) => Ok(()),
        };
        if let Err(error) = changed {
            tracing::warn!(%error, "gain not changed");
        }
    }
}

/// What was lost beyond what was told as skipped: a device that had nobody to read or write it tells of the same time.
fn beyond(skipped: &mut Gaps, lost: Gaps) -> Gaps {
    let rest = |skipped: &mut u32, lost: u32| {
        let told = lost.min(*skipped);
        *skipped -= told;
        lost - told
    };
    Gaps { captured: rest(&mut skipped.captured, lost.captured), played: rest(&mut skipped.played, lost.played) }
}

/// In hundredths of dBov.
fn level(level: Option<Level>) -> i16 {
    level.map_or(i16::MIN, Level::hundredths_dbov)
}

/// Whether an error says only that a datagram of ours found nobody: Windows calls that a reset.
pub(crate) fn unreachable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// The address as the socket takes it: one of IPv6 sends to IPv4 only under an address that is mapped.
fn as_sent(socket: &UdpSocket, to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) if socket.local_addr().is_ok_and(|own| own.is_ipv6()) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

/// The same socket, to ask the system itself what is there: tokio knows it only after its reactor has run.
fn at_once(socket: &UdpSocket) -> io::Result<std::net::UdpSocket> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(socket).try_clone_to_owned()?;
    #[cfg(windows)]
    let own = std::os::windows::io::AsSocket::as_socket(socket).try_clone_to_owned()?;
    Ok(own.into())
}

pub(crate) async fn readable(socket: Option<&UdpSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_thread_share_one_buffer_and_two_that_have_one_at_once_do_not() {
        let place = |datagram: &Datagram| datagram.0.as_ptr();
        let first = Datagram::take();
        let at = place(&first);
        assert_eq!(first.0.len(), DATAGRAM_BYTES);
        assert_ne!(place(&Datagram::take()), at);
        drop(first);
        assert_eq!(place(&Datagram::take()), at);
        assert_eq!(place(&Datagram::take()), at);
    }
}
