//! A driver runs one call over UDP sockets and an audio device, as a task on tokio.
//!
//! Use it for a softphone, or for a server whose calls have a device each. A server that mixes calls, or ticks many of them at once,
//! drives [`Call`]s itself; a SIP stack is served by `manager`, which has drivers inside.
//!
//! The task takes datagrams as they arrive. Every 10 ms ([`TICK_MS`]) it plays, captures, and sends finished packets and the
//! reports that are due. Between ticks it carries out the user's [`Command`]s, and it publishes the state of the call as a
//! [`Status`]. In a call it is the only place that reads a clock.
//!
//! Two calls over loopback, one of which mutes its microphone and hangs up:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::device::FileIo;
//! use host_std::session::driver::{Clock, Command, Driver, Ended, Status};
//! use host_std::session::{Call, CallConfig};
//! use tokio::net::UdpSocket;
//! use tokio::sync::{mpsc, watch};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let sockets = [UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?];
//! let call = |socket: &UdpSocket| -> Result<Call, Box<dyn std::error::Error>> {
//!     Ok(Call::new(CallConfig::new(socket.local_addr()?.port())?)?)
//! };
//! let (mut anna, mut bert) = (call(&sockets[0])?, call(&sockets[1])?);
//! let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
//! anna.accept(Instant::ZERO, &answer)?;
//!
//! let clock = Clock::start();
//! let run = |call, socket| {
//!     let (commands, from_user) = mpsc::channel(8);
//!     let (status, shown) = watch::channel(Status::default());
//!     let silence = Box::new(FileIo::null(48_000)); // or a sound card
//!     (commands, shown, tokio::spawn(Driver::new(call, socket, silence, clock).run(from_user, status)))
//! };
//! let [to_anna, to_bert] = sockets;
//! let (anna_does, mut anna_shows, anna) = run(anna, to_anna);
//! let (_bert_does, _, _bert) = run(bert, to_bert);
//!
//! anna_shows.wait_for(|status| status.stats.receiver.reception.received >= 5).await?;
//! anna_does.send(Command::Mute(true)).await?;
//! anna_shows.wait_for(|status| status.muted).await?;
//! anna_does.send(Command::HangUp).await?;
//! assert!(matches!(anna.await?.ended, Ended::HungUp));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! **Cost.** One task for each call. The cost of its ticks is stated on the page of [`session`](super).
//!
//! **Late ticks.** Ticks are counted from the start, so that a late tick is made up for, up to 100 ms. Any longer sleep of this
//! machine (a stopped process, a closed laptop) is a pause in both directions, and is counted once, by the device or the driver.
//! Datagrams that were in the sockets before the driver ran, or while the machine slept, are not played, since they would only
//! add delay.
//!
//! **A lost device** is opened again on a thread of its own, and until then there is silence. [`Command::Device`] exchanges the device.
//!
//! **Limits.** A device has one or two channels and a rate of 8 to 48 kHz; with another one the call ends ([`Ended::Sound`]). The task
//! does the call's work itself, so on a busy runtime a blocked worker thread delays it.

mod device;
mod driven;
mod ended;
mod pace;
mod running;
mod sound;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration as StdDuration;

use dsp_core::guard::srtp::KeyAge;
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant as TokioInstant, sleep_until};
use tracing::Instrument as _;

pub use device::Device;
#[cfg(feature = "manager")]
pub(crate) use device::close;
#[cfg(feature = "manager")]
pub(crate) use driven::Driven;
pub use ended::Ended;
pub(crate) use pace::DeviceTicks;
pub(crate) use running::{Running, readable, unreachable};
pub(crate) use sound::AttachedDevice;
use sound::level;

use super::turn_connections::TurnConnections;
use super::{Call, CallDigit, CallTone, CaptureStep, Channel, EchoStatus, Missed, Reason};
use crate::device::AudioIo;
pub use crate::join::Join;

/// The length of an audio tick, in ms.
pub const TICK_MS: u32 = super::TICK_MS;
/// Ticks between two updates of the status.
pub(crate) const STATUS_EVERY: u64 = 10;

/// The host's clock, which counts microseconds from when it was started. It turns tokio's time into the
/// [`Instant`]s that calls count in.
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::session::driver::Clock;
///
/// let clock = Clock::start();
/// assert!(clock.now() >= Instant::ZERO);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: TokioInstant,
}

impl Clock {
    /// Creates a clock that is at [`Instant::ZERO`] now. Several calls may share one.
    pub fn start() -> Self {
        Self { start: TokioInstant::now() }
    }

    /// Returns the time since the clock was started.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }
}

/// A closure that changes the running call, and is called with it and the time between two ticks, on the driver's task.
pub type Change = Box<dyn FnOnce(&mut Call, Instant) + Send>;

/// A user's command during a call, sent to [`Driver::run`] by a channel.
///
/// A command that changes the call is a closure, which runs between two ticks. Its result comes back by a channel of your own:
///
/// ```
/// use host_std::sdp::Direction;
/// use host_std::session::driver::Command;
/// use host_std::session::{Call, CallConfig};
///
/// let (tell, told) = std::sync::mpsc::channel();
/// let hold = Command::Change(Box::new(move |call, _now| {
///     call.set_direction(Direction::SendOnly);
///     let _ = tell.send(call.offer()); // for the SIP stack
/// }));
///
/// # // What a driver does with it.
/// # let Command::Change(change) = hold else { unreachable!() };
/// # change(&mut Call::new(CallConfig::new(4000)?)?, dsp_core::time::Instant::ZERO);
/// assert!(told.recv()??.contains("a=sendonly"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Command {
    /// Changes the call itself: a new offer or answer, hold and resume, new keys, other codecs. The closure sends its result (a
    /// description, an error) where it likes, for example through a oneshot channel. It must not block.
    Change(Change),
    /// Mutes the microphone, or unmutes it.
    Mute(bool),
    /// Sets the gain of the microphone, in hundredths of a decibel.
    MicrophoneGain(i16),
    /// Sets the volume of the loudspeaker, in hundredths of a decibel.
    Volume(i16),
    /// Switches a step of the capture chain on or off, without a click. A step that isn't in the chain stays away.
    Step(CaptureStep, bool),
    /// Presses keys, one after the other ([`Call::send_digits`]). If the other side accepts no digits, a warning is logged.
    Digits(Vec<KeyPress>),
    /// Exchanges the device for this one, of any rate and channels that a call can have, and closes the one before. Open it
    /// beforehand, where that may block. If the call can't have its sound, a warning is logged and nothing changes.
    Device(Box<dyn AudioIo>),
    /// Says goodbye by RTCP and ends the driver.
    HangUp,
}

/// The status of a call, for a display. A driver publishes it ten times a second, by a tokio `watch` channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The numbers of the call.
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
    /// The time for which nothing has come from the other side; `None` on hold.
    pub silence: Option<Duration>,
    /// The state of the echo canceller, in stereo that of the left channel; `None` without one.
    pub echo: Option<EchoStatus>,
    /// The reason why the call ended; `None` while it runs.
    pub ended: Option<Reason>,
}

/// Everything that one call needs to run. Make one by [`Driver::new`], set the further fields that you need, and spawn
/// [`Driver::run`].
///
/// [The module's page](self) has an example.
pub struct Driver {
    /// The call, which both sides have agreed on.
    pub call: Call,
    /// The socket that receives and sends RTP.
    pub rtp: UdpSocket,
    /// The socket that receives and sends RTCP, where it doesn't share the one of RTP.
    pub rtcp: Option<UdpSocket>,
    /// Microphone and loudspeaker. Their rate and channels are the call's sound from now on, whatever codecs are agreed
    /// on ([`Call::set_sound`]).
    pub audio: Box<dyn AudioIo>,
    /// The clock that the call's times are of.
    pub clock: Clock,
    /// The rate of the audio ticks relative to the clock, in parts per million, to simulate the drift of a sound card; positive
    /// is faster.
    pub drift_ppm: f64,
    /// The time after which the driver ends by itself; `None` for never.
    pub time_limit: Option<StdDuration>,
    /// The channel to which received digits are sent, when they begin and when they have ended. While it is full they wait in
    /// the call ([`Call::next_digit`]), which drops the oldest ones and counts them.
    pub digits: Option<mpsc::Sender<CallDigit>>,
    /// The channel to which received tones are sent, likewise ([`Call::next_tone`]).
    pub tones: Option<mpsc::Sender<CallTone>>,
    /// The name of the call in its `tracing` span, `call`. Without it the span has only a number, which counts the calls of this
    /// process. No key, address, name or number of the other side is in the span, nor in any event below TRACE.
    pub name: Option<String>,
    /// The connections to those TURN servers that are reached over TCP.
    #[cfg(feature = "ice")]
    pub turn: Vec<super::TurnConnection>,
}

/// The result of a driver when its call has ended.
#[non_exhaustive]
pub struct Finished {
    /// The reason why the call ended.
    pub ended: Ended,
    /// The call, with its numbers.
    pub call: Call,
    /// The device, which the caller should [close](AudioIo::close).
    pub audio: Box<dyn AudioIo>,
    /// The socket of RTP.
    pub rtp: UdpSocket,
    /// The socket of RTCP, if there was one.
    pub rtcp: Option<UdpSocket>,
    /// The first error of the system in sending a datagram; [`CallStats::unsent`](super::CallStats::unsent) says how many could
    /// not be sent.
    pub send_error: Option<io::Error>,
}

impl Driver {
    /// Creates a driver for a call whose RTCP shares the socket of RTP, which runs until it is ended. Set other fields as needed.
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

    /// Runs the call until it ends, in a `tracing` span of its own, and returns its parts. It ends by [`Command::HangUp`], when all
    /// senders of `commands` are dropped, after [`time_limit`](Self::time_limit), when [`Call::should_end`] says so, or when a
    /// socket or the device fails for good. Mute and gains begin as `status` has them.
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
        let mut sound = AttachedDevice::new(audio, front);
        // Gains and mute are those that were set before, or else the default of none.
        let before = *status.borrow();
        sound.apply(Command::Mute(before.muted));
        sound.apply(Command::MicrophoneGain(before.microphone_gain));
        sound.apply(Command::Volume(before.volume));
        sound.begin();
        running.drain(Missed::Early);
        let (mut pace, mut key_age) = (DeviceTicks::new(rate_hz, drift_ppm), KeyAge::Fresh);
        let ended = loop {
            if let Some(skipped) = pace.skip() {
                running.call.skip(skipped.samples);
                sound.skip(skipped.samples);
                if skipped.stale {
                    running.drain(Missed::Stale);
                }
                continue;
            }
            let open = pace.is_open();
            let event = tokio::select! {
                biased;
                ready = running.rtp.readable(), if open => Event::Readable(Channel::Rtp, ready),
                ready = readable(running.rtcp.as_ref()), if open => Event::Readable(Channel::Rtcp, ready),
                connection = running.turn.readable(), if open => Event::Turn(connection),
                command = commands.recv() => Event::Command(command),
                () = sleep_until(pace.next()) => Event::Tick,
            };
            match event {
                Event::Readable(channel, ready) => {
                    let began = TokioInstant::now();
                    if let Err(error) = ready.and_then(|()| running.receive(channel)) {
                        break Ended::Socket(error);
                    }
                    pace.spend(began.elapsed());
                }
                Event::Turn(connection) => {
                    let began = TokioInstant::now();
                    running.receive_from_server(connection);
                    pace.spend(began.elapsed());
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
                Event::Command(Some(Command::Device(audio))) => {
                    let capture = running.call.settings.capture.clone();
                    if let Err(error) = running.change_device(&mut sound, audio, &capture) {
                        tracing::warn!(%error, "the device was not changed");
                    }
                    pace = pace.at(sound.device.sound().0);
                }
                Event::Command(Some(command)) => sound.apply(command),
                Event::Tick => {
                    let (samples, is_first) = pace.begin_tick();
                    running.tick(samples, !is_first, &mut sound).await;
                    if sound.has_failed() {
                        break Ended::SoundFailed;
                    }
                    let age = running.call.key_age();
                    if age == KeyAge::Due && key_age == KeyAge::Fresh {
                        tracing::warn!("an SRTP key is nearly used up: a new offer is needed, or the call will end");
                    }
                    key_age = age;
                    if pace.ticks().is_multiple_of(STATUS_EVERY) {
                        let _ = status.send(running.status(&mut sound, begin));
                    }
                    if let Some(ending) = running.call.should_end(clock.now()) {
                        break Ended::Call(ending);
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
        // The reason is published also if there is no reader yet.
        let reason = ended.reason();
        status.send_replace(Status { ended: Some(reason), ..running.status(&mut sound, begin) });
        tracing::debug!(ended = reason.name, "call ended");
        let audio = sound.into_audio().await;
        running.finished(ended, audio)
    }
}

impl Running<Call> {
    fn finished(self, ended: Ended, audio: Box<dyn AudioIo>) -> Finished {
        let Self { call, rtp, rtcp, send_error, .. } = self;
        Finished { ended, call, audio, rtp, rtcp, send_error }
    }

    fn status(&self, sound: &mut AttachedDevice, begin: TokioInstant) -> Status {
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

enum Event {
    Readable(Channel, io::Result<()>),
    Turn(usize),
    Command(Option<Command>),
    Tick,
}
