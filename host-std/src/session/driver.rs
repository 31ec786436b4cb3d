//! Drives one call over UDP sockets and an audio device, on tokio: the only place in a call that reads a clock.
//!
//! One task a call: datagrams as they arrive; every 10 ms an audio tick that plays, captures, sends what is finished
//! and polls RTCP; commands from the user in between. Ticks are counted from the start, so a late one is made up for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration as StdDuration;

use dsp_core::block::Block;
use dsp_core::process::gain::Gain;
use dsp_core::process::level::{LevelConfig, LevelMeter};
use dsp_core::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant as TokioInstant, sleep_until};

use super::{Call, Channel, Incoming, Tap, Transmit};
use crate::device::AudioIo;

/// Length of an audio tick in ms.
pub const TICK_MS: u32 = super::TICK_MS;
/// The longest UDP datagram.
const DATAGRAM_BYTES: usize = 65_535;
/// A change of gain takes this long.
const RAMP_MS: u32 = 10;
/// Datagrams that are taken in between two ticks on each port: what a flood sends beyond stays with the system, which
/// drops it, and the sound goes on. 31 sources with packets of 2.5 ms send 124 in a tick.
const DATAGRAMS_A_TICK: u32 = 256;
/// Ticks between two updates of the status.
const STATUS_EVERY: u64 = 10;

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
    /// Says goodbye and ends.
    HangUp,
}

/// How a call goes, for a display.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
}

/// Why a call ended.
#[derive(Debug)]
pub enum Ended {
    /// The user hung up, or all handles to the driver are gone.
    HungUp,
    /// The other side said goodbye.
    Bye,
    /// The time was over.
    TimeOver,
    /// A change gave the call another sample rate or other channels, so it needs another device: make a new driver of
    /// what this one gives back.
    SoundChanged,
    /// The socket failed.
    Socket(io::Error),
    /// The device failed for good; [`AudioIo::failure`] of what the driver gives back says why.
    SoundFailed,
}

/// Everything one call needs to run.
pub struct Driver<T> {
    /// The call, agreed on.
    pub call: Call,
    /// Where RTP comes in and goes out.
    pub rtp: UdpSocket,
    /// The same for RTCP, where it isn't multiplexed.
    pub rtcp: Option<UdpSocket>,
    /// Microphone and loudspeaker, at the call's rate and with its channels.
    pub audio: Box<dyn AudioIo>,
    /// Sees everything that passes.
    pub tap: T,
    /// The clock.
    pub clock: Clock,
    /// How much faster than the clock the audio ticks come, in ppm: to simulate a sound card's drift.
    pub drift_ppm: f64,
    /// End by itself after this time.
    pub time_limit: Option<StdDuration>,
}

/// What a driver gives back when its call has ended.
pub struct Finished<T> {
    /// Why.
    pub ended: Ended,
    /// The call, for its numbers.
    pub call: Call,
    /// The device, to be closed.
    pub audio: Box<dyn AudioIo>,
    /// The tap.
    pub tap: T,
    /// Where RTP came in and went out.
    pub rtp: UdpSocket,
    /// The same for RTCP.
    pub rtcp: Option<UdpSocket>,
}

struct Sound {
    pcm: Vec<i16>,
    microphone: Gain,
    volume: Gain,
    meters: [Option<LevelMeter>; 2],
    muted: bool,
    /// Of microphone and loudspeaker, in hundredths of a decibel.
    gains: [i16; 2],
}

impl<T: Tap> Driver<T> {
    /// Runs the call until it ends.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>, status: watch::Sender<Status>) -> Finished<T> {
        let (rate_hz, channels) = (self.audio.sample_rate_hz(), self.audio.channels());
        let count = u32::from(channels);
        // A call's rates are among those that the meter has; without it there is just nothing to show.
        let meter = LevelMeter::new(LevelConfig { sample_rate_hz: rate_hz, ..LevelConfig::default() }).ok();
        let ramp = (rate_hz * count * RAMP_MS / 1_000) as u16;
        let mut sound = Sound {
            pcm: Vec::with_capacity(((rate_hz * TICK_MS / 1_000 + 1) * count) as usize),
            microphone: Gain::new(ramp),
            volume: Gain::new(ramp),
            meters: [meter, meter],
            muted: false,
            gains: [0; 2],
        };
        let mut datagram = vec![0; DATAGRAM_BYTES];
        let mut incoming = vec![0; DATAGRAM_BYTES];
        let mut incoming_rtcp = vec![0; DATAGRAM_BYTES];
        let begin = TokioInstant::now();
        let (mut tick, mut arrived) = (0u64, [0; 2]);
        let ended = loop {
            let period = f64::from(TICK_MS) / 1_000.0 / (1.0 + self.drift_ppm * 1e-6);
            let next = begin + StdDuration::from_secs_f64(tick as f64 * period);
            let event = tokio::select! {
                biased;
                received = self.rtp.recv_from(&mut incoming), if arrived[0] < DATAGRAMS_A_TICK => Event::Datagram(Channel::Rtp, received),
                received = receive(self.rtcp.as_ref(), &mut incoming_rtcp), if arrived[1] < DATAGRAMS_A_TICK => Event::Datagram(Channel::Rtcp, received),
                command = commands.recv() => Event::Command(command),
                () = sleep_until(next) => Event::Tick,
            };
            match event {
                Event::Datagram(channel, Ok((len, from))) => {
                    arrived[usize::from(channel == Channel::Rtcp)] += 1;
                    let buffer = if channel == Channel::Rtp { &mut incoming } else { &mut incoming_rtcp };
                    if self.arrive(channel, from, &mut buffer[..len]) == Incoming::Bye {
                        break Ended::Bye;
                    }
                }
                // An ICMP answer to something we sent: the other side may not be there yet.
                Event::Datagram(_, Err(error)) if unreachable(&error) => {}
                Event::Datagram(_, Err(error)) => break Ended::Socket(error),
                Event::Command(Some(Command::HangUp) | None) => break Ended::HungUp,
                Event::Command(Some(Command::Change(change))) => {
                    change(&mut self.call, self.clock.now());
                    if self.call.sample_rate_hz().is_some_and(|call_hz| call_hz != rate_hz)
                        || self.call.channels().is_some_and(|call_channels| call_channels != channels)
                    {
                        break Ended::SoundChanged;
                    }
                }
                Event::Command(Some(command)) => sound.apply(command),
                Event::Tick => {
                    arrived = [0; 2];
                    sound.pcm.resize(super::tick_samples(rate_hz, tick) * usize::from(channels), 0);
                    self.tick(tick > 0, &mut sound, &mut datagram).await;
                    tick += 1;
                    if self.audio.failure().is_some() && !self.audio.may_come_back() {
                        break Ended::SoundFailed;
                    }
                    if tick.is_multiple_of(STATUS_EVERY) {
                        let _ = status.send(self.status(&sound, begin));
                    }
                    if self.time_limit.is_some_and(|limit| begin.elapsed() >= limit) {
                        break Ended::TimeOver;
                    }
                }
            }
        };
        if !matches!(ended, Ended::SoundChanged)
            && let Some(transmit) = self.call.bye(self.clock.now(), &mut datagram)
        {
            self.send(transmit, &datagram).await;
        }
        let _ = status.send(self.status(&sound, begin));
        tracing::debug!(?ended, "call ended");
        Finished { ended, call: self.call, audio: self.audio, tap: self.tap, rtp: self.rtp, rtcp: self.rtcp }
    }

    fn arrive(&mut self, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let now = self.clock.now();
        self.tap.arrived(now, channel, from, datagram);
        let incoming = self.call.receive(now, channel, from, datagram);
        self.tap.received(now, &incoming);
        incoming
    }

    async fn tick(&mut self, capture: bool, sound: &mut Sound, datagram: &mut [u8]) {
        let now = self.clock.now();
        let played = self.call.play(now, &mut sound.pcm);
        self.tap.played(now, &played, &sound.pcm);
        sound.volume.process(&mut sound.pcm);
        sound.measure(1);
        self.audio.write(&sound.pcm);
        // What is captured was said before now: nothing has been, at the first tick.
        if capture {
            self.audio.read(&mut sound.pcm);
            sound.microphone.process(&mut sound.pcm);
            sound.measure(0);
            self.tap.captured(now, &sound.pcm);
            self.call.capture(&sound.pcm);
        }
        while let Some(transmit) = self.call.packet(datagram) {
            self.send(transmit, datagram).await;
        }
        if let Some(transmit) = self.call.poll(now, datagram) {
            self.send(transmit, datagram).await;
        }
        if self.audio.failure().is_some() && self.audio.may_come_back() {
            self.recover_audio();
        }
    }

    /// The device is lost: say so once, and try to open it anew every two seconds.
    fn recover_audio(&mut self) {
        if self.clock.now().as_millis() % 2_000 < u64::from(TICK_MS) {
            match self.audio.reopen() {
                Ok(()) => tracing::info!("the audio device is back"),
                Err(error) => tracing::warn!(%error, "no sound"),
            }
        }
    }

    async fn send(&mut self, transmit: Transmit, datagram: &[u8]) {
        let bytes = &datagram[..transmit.len];
        let socket = match (transmit.channel, &self.rtcp) {
            (Channel::Rtcp, Some(rtcp)) => rtcp,
            _ => &self.rtp,
        };
        self.tap.sent(self.clock.now(), transmit.channel, transmit.to, bytes);
        let to = as_sent(socket, transmit.to);
        if let Err(error) = socket.send_to(bytes, to).await {
            tracing::debug!(%error, to = %transmit.to, "datagram not sent");
        }
    }

    fn status(&self, sound: &Sound, begin: TokioInstant) -> Status {
        Status {
            stats: self.call.stats(),
            microphone_level: sound.level(0),
            speaker_level: sound.level(1),
            muted: sound.muted,
            microphone_gain: sound.gains[0],
            volume: sound.gains[1],
            // Not the clock's time: that began before offer and answer.
            elapsed: Instant::from_micros(begin.elapsed().as_micros() as u64),
        }
    }
}

enum Event {
    Datagram(Channel, io::Result<(usize, SocketAddr)>),
    Command(Option<Command>),
    Tick,
}

impl Sound {
    fn apply(&mut self, command: Command) {
        match command {
            Command::Mute(muted) => {
                self.muted = muted;
                self.microphone.set_muted(muted);
            }
            Command::MicrophoneGain(gain) => self.set(false, gain),
            Command::Volume(gain) => self.set(true, gain),
            // The loop has dealt with these.
            Command::HangUp | Command::Change(_) => {}
        }
    }

    fn measure(&mut self, which: usize) {
        if let Some(meter) = &mut self.meters[which] {
            meter.hear(&self.pcm);
        }
    }

    fn level(&self, which: usize) -> i16 {
        self.meters[which].as_ref().map_or(i16::MIN, |meter| meter.rms_dbov().hundredths_dbov())
    }

    fn set(&mut self, speaker: bool, hundredths_db: i16) {
        let gain = if speaker { &mut self.volume } else { &mut self.microphone };
        match gain.set_gain(hundredths_db) {
            Ok(()) => self.gains[usize::from(speaker)] = hundredths_db,
            Err(error) => tracing::warn!(%error, "gain not changed"),
        }
    }
}

/// Whether an error says only that a datagram of ours found nobody: Windows calls that a reset.
pub(super) fn unreachable(error: &io::Error) -> bool {
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

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}
