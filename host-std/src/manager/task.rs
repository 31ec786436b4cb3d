//! One session on tokio: its sockets, its device, and the only reader of its clock.
//!
//! A session with a device ticks every 10 ms, as [`driver`](crate::session::driver) does. Without a device there is no tick: the
//! task sleeps until a datagram comes, a report is due or signalling sends a command. So a session without a device costs only
//! what its packets cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration as StdDuration;

use dsp_core::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until};

use super::{DialogId, Event, EventKind, ManagerError, Session, WhyEnded};
use crate::device::AudioIo;
use crate::session::driver::{self, AttachedDevice, DeviceTicks, Running, STATUS_EVERY, close, readable};
use crate::session::{CaptureConfig, Channel, Missed, front_end};

/// The time for which packets to an address that we left are still received.
const LINGERS: StdDuration = StdDuration::from_secs(2);
/// The time to sleep when nothing is due.
const LONG: StdDuration = StdDuration::from_secs(3_600);
/// The time until events that found no room are tried again.
const AGAIN: StdDuration = StdDuration::from_millis(100);

/// A closure that is run on the session between two ticks.
pub(super) type Ask = Box<dyn FnOnce(&mut Session, Instant) + Send>;
/// The channel to which a command's result is sent.
pub(super) type Reply<T> = oneshot::Sender<T>;

/// A device, and what stands between it and a call: when the device moves to another session, gains and the state of
/// the capture chain move along.
pub(super) struct DetachedDevice(pub(super) AttachedDevice);

/// A device for a session.
pub(super) enum Given {
    /// A device that had no session.
    Device(Box<dyn AudioIo>),
    /// The device of another session.
    End(Box<DetachedDevice>),
}

impl Given {
    /// Closes the device on a thread that may block.
    pub(super) fn close(self) {
        match self {
            Self::Device(audio) => close(audio),
            Self::End(end) => end.0.device.close(),
        }
    }
}

/// A command for a session.
pub(super) enum SessionCommand {
    /// Runs a closure on the session.
    Ask(Ask),
    /// Gives the session this device, and then runs the closure; if the session can't have it, the reply returns the
    /// device.
    Attach(Given, Ask, Reply<Result<(), (ManagerError, Given)>>),
    /// Replaces the session's device by this one, and then runs the closure; if the session can't have it, this device
    /// is closed.
    Exchange(Box<dyn AudioIo>, Ask, Reply<Result<(), ManagerError>>),
    /// Takes the session's device away.
    Detach(Reply<Option<Box<DetachedDevice>>>),
    /// A command for the session's device.
    Control(driver::Command),
    /// Makes an offer to receive by these sockets, and moves to them as soon as the other side agrees.
    Move(Box<AdditionalSockets>, DialogId, Reply<Result<String, ManagerError>>),
    /// Ends the session with goodbyes.
    HangUp,
}

/// Sockets beside the session's own: those that it moves to, or those that it came from.
pub(super) struct AdditionalSockets {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: Option<UdpSocket>,
    /// Their address, as descriptions give it.
    pub(super) address: std::net::SocketAddr,
    /// The dialog that moves to them, until it has moved.
    pub(super) dialog: Option<DialogId>,
    /// The time until which they are still read, once the session has left them.
    pub(super) until: Option<TokioInstant>,
}

/// A device, and the ticks at which it is read and written.
struct Ticked {
    sound: AttachedDevice,
    pace: DeviceTicks,
    lost: bool,
}

/// One session that runs.
pub(super) struct Task {
    pub(super) running: Running<Session>,
    pub(super) commands: mpsc::Receiver<SessionCommand>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) capture: CaptureConfig,
    ticked: Option<Ticked>,
    /// The time since which the session has had no device, if it had one before.
    rests: Option<TokioInstant>,
    beside: Option<Box<AdditionalSockets>>,
    /// The sockets can't be read any more.
    deaf: bool,
}

enum Happened {
    Readable(Channel, std::io::Result<()>),
    Beside(Channel),
    Turn(usize),
    Command(Option<SessionCommand>),
    Due,
}

impl Task {
    pub(super) fn new(
        running: Running<Session>,
        commands: mpsc::Receiver<SessionCommand>,
        events: mpsc::Sender<Event>,
        dropped: Arc<AtomicU64>,
        capture: CaptureConfig,
    ) -> Self {
        let (ticked, rests, beside) = (None, None, None);
        Self { running, commands, events, dropped, capture, ticked, rests, beside, deaf: false }
    }

    /// Runs the session until nothing is left of it.
    pub(super) async fn run(mut self) {
        loop {
            if self.running.call.is_ending()
                && let Some(ticked) = self.ticked.take()
            {
                close(ticked.sound.into_audio().await);
            }
            if self.ticked.is_none() {
                self.running.drain_call().await;
                self.poll();
            }
            self.tell();
            if self.running.call.is_over() {
                break;
            }
            if self.skip() {
                continue;
            }
            let next = self.ticked.as_ref().map_or_else(|| self.deadline(), |ticked| ticked.pace.next());
            let open = !self.deaf && self.ticked.as_ref().is_none_or(|ticked| ticked.pace.is_open());
            let (beside, beside_rtcp) =
                (self.beside.as_ref().map(|b| &b.rtp), self.beside.as_ref().and_then(|b| b.rtcp.as_ref()));
            let happened = tokio::select! {
                biased;
                ready = self.running.rtp.readable(), if open => Happened::Readable(Channel::Rtp, ready),
                ready = readable(self.running.rtcp.as_ref()), if open => Happened::Readable(Channel::Rtcp, ready),
                _ = readable(beside), if open && beside.is_some() => Happened::Beside(Channel::Rtp),
                _ = readable(beside_rtcp), if open && beside_rtcp.is_some() => Happened::Beside(Channel::Rtcp),
                connection = self.running.turn.readable(), if open => Happened::Turn(connection),
                command = self.commands.recv() => Happened::Command(command),
                () = sleep_until(next) => Happened::Due,
            };
            self.take(happened).await;
        }
        if let Some(ticked) = self.ticked.take() {
            close(ticked.sound.into_audio().await);
        }
        self.tell();
        while self.running.call.next_event().is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.dropped.fetch_add(self.running.call.dropped_events(), Ordering::Relaxed);
    }

    async fn take(&mut self, happened: Happened) {
        let began = TokioInstant::now();
        let spends = !matches!(happened, Happened::Command(_) | Happened::Due);
        match happened {
            Happened::Readable(channel, ready) => {
                if ready.and_then(|()| self.running.receive(channel)).is_err() {
                    self.deaf = true;
                    self.fail(WhyEnded::Socket);
                }
            }
            Happened::Beside(channel) => {
                if let Some(beside) = self.beside.take() {
                    let socket = if channel == Channel::Rtp { Some(&beside.rtp) } else { beside.rtcp.as_ref() };
                    if let Some(socket) = socket {
                        self.running.receive_beside(socket, channel);
                    }
                    self.beside = Some(beside);
                }
            }
            Happened::Turn(connection) => self.running.receive_from_server(connection),
            Happened::Command(Some(command)) => self.obey(command).await,
            Happened::Command(None) => {
                // No handle is left that could send a command.
                let now = self.running.clock.now();
                self.running.call.end_all(now);
                self.commands.close();
            }
            Happened::Due => self.tick().await,
        }
        if let Some(ticked) = self.ticked.as_mut().filter(|_| spends) {
            ticked.pace.spend(began.elapsed());
        }
    }

    async fn obey(&mut self, command: SessionCommand) {
        let now = self.running.clock.now();
        match command {
            SessionCommand::Ask(ask) => {
                ask(&mut self.running.call, now);
                self.follow_move();
            }
            SessionCommand::Attach(given, then, reply) => {
                let attached = self.attach(given);
                if attached.is_ok() {
                    then(&mut self.running.call, now);
                }
                // The caller may be gone; the device is then kept, if it was attached.
                if let Err(Err((_, given))) = reply.send(attached) {
                    given.close();
                }
            }
            SessionCommand::Exchange(audio, then, reply) => {
                let exchanged = self.exchange(audio);
                if exchanged.is_ok() {
                    then(&mut self.running.call, now);
                }
                let _ = reply.send(exchanged);
            }
            SessionCommand::Detach(reply) => {
                let end = self.ticked.take().map(|ticked| Box::new(DetachedDevice(ticked.sound)));
                if end.is_some() {
                    self.rests = Some(TokioInstant::now());
                }
                if let Err(Some(end)) = reply.send(end) {
                    close(end.0.into_audio().await);
                }
            }
            SessionCommand::Control(command) => {
                if let Some(ticked) = &mut self.ticked {
                    ticked.sound.apply(command);
                }
            }
            SessionCommand::Move(mut beside, dialog, reply) => {
                let change = super::Change::default().with_address(beside.address.ip(), beside.address.port());
                let offer = self.running.call.reoffer(now, &dialog, &change);
                if offer.is_ok() {
                    beside.dialog = Some(dialog);
                    self.beside = Some(beside);
                }
                let _ = reply.send(offer);
            }
            SessionCommand::HangUp => self.running.call.end_all(now),
        }
    }

    fn attach(&mut self, given: Given) -> Result<(), (ManagerError, Given)> {
        if self.ticked.is_some() {
            return Err((ManagerError::HasDevice, given));
        }
        let (rate_hz, channels) = match &given {
            Given::Device(audio) => (audio.sample_rate_hz(), audio.channels()),
            Given::End(end) => {
                let config = end.0.front.config();
                (config.sample_rate_hz, config.channels)
            }
        };
        if let Err(error) = self.running.call.set_sound((rate_hz, channels)) {
            return Err((error, given));
        }
        let sound = match given {
            Given::Device(audio) => match front_end(rate_hz, channels, &self.capture) {
                Ok(front) => {
                    let mut sound = AttachedDevice::new(audio, front);
                    sound.begin();
                    sound
                }
                Err(error) => {
                    let error = ManagerError::Sound(crate::session::CallError::Front(error));
                    return Err((error, Given::Device(audio)));
                }
            },
            Given::End(end) => end.0,
        };
        let begin = TokioInstant::now();
        let rested = self.rests.take().map_or(StdDuration::ZERO, |since| begin.saturating_duration_since(since));
        let samples = Duration::from_micros(rested.as_micros() as u64).as_samples(rate_hz);
        self.running.call.rest(samples as usize);
        self.ticked = Some(Ticked { sound, pace: DeviceTicks::new(rate_hz, 0.0), lost: false });
        Ok(())
    }

    /// Replaces the session's own device by `audio`; a device that is refused is closed.
    fn exchange(&mut self, audio: Box<dyn AudioIo>) -> Result<(), ManagerError> {
        let Some(ticked) = &mut self.ticked else {
            close(audio);
            return Err(ManagerError::NoDevice);
        };
        self.running.change_device(&mut ticked.sound, audio, &self.capture).map_err(ManagerError::Sound)?;
        ticked.pace = ticked.pace.at(ticked.sound.device.sound().0);
        Ok(())
    }

    /// A tick of the device, if there is one.
    async fn tick(&mut self) {
        let Some(ticked) = &mut self.ticked else { return };
        let (samples, is_first) = ticked.pace.begin_tick();
        self.running.tick(samples, !is_first, &mut ticked.sound).await;
        let (lost, failed) = (ticked.sound.is_lost(), ticked.sound.has_failed());
        if failed {
            self.fail(WhyEnded::Device);
        } else if std::mem::replace(&mut ticked.lost, lost) != lost {
            let now = self.running.clock.now();
            self.running.call.tell_all(now, if lost { EventKind::DeviceLost } else { EventKind::DeviceBack });
        }
        if failed || self.ticked.as_ref().is_some_and(|ticked| ticked.pace.ticks().is_multiple_of(STATUS_EVERY)) {
            self.poll();
        }
    }

    /// Returns whether the machine stood still for too long to make up for the missed ticks; if so, the time is skipped.
    fn skip(&mut self) -> bool {
        let Some(ticked) = &mut self.ticked else { return false };
        let Some(skipped) = ticked.pace.skip() else { return false };
        self.running.call.skip(skipped.samples);
        ticked.sound.skip(skipped.samples);
        if skipped.stale {
            self.running.drain(Missed::Stale);
        }
        true
    }

    fn fail(&mut self, why: WhyEnded) {
        let now = self.running.clock.now();
        self.running.call.tell_all(now, EventKind::Ended(why));
        self.running.call.end_all(now);
    }

    fn poll(&mut self) {
        let now = self.running.clock.now();
        self.running.call.poll(now);
        self.follow_move();
    }

    /// Moves to the other sockets if the other side has agreed, gives the move up if it has refused, and closes sockets
    /// that were left long enough ago.
    fn follow_move(&mut self) {
        let now = TokioInstant::now();
        if let Some(beside) = self.beside.take_if(|beside| beside.until.is_some_and(|until| now >= until)) {
            drop(beside);
        }
        let Some(beside) = &mut self.beside else { return };
        let Some(dialog) = &beside.dialog else { return };
        match self.running.call.call(dialog) {
            Some(call) if call.is_offering() => {}
            Some(call) if call.receives_at() == beside.address => {
                std::mem::swap(&mut self.running.rtp, &mut beside.rtp);
                std::mem::swap(&mut self.running.rtcp, &mut beside.rtcp);
                (beside.dialog, beside.until) = (None, Some(now + LINGERS));
            }
            _ => self.beside = None,
        }
    }

    /// Returns when a session without a device has something to do next.
    fn deadline(&self) -> TokioInstant {
        let (now, clock) = (TokioInstant::now(), self.running.clock.now());
        let due = self.running.call.next_deadline(clock);
        let wait = due.map_or(LONG, |due| StdDuration::from_micros(due.since(clock).as_micros()));
        let again = if self.running.call.events.is_empty() { LONG } else { AGAIN };
        let lingers = self.beside.as_ref().and_then(|beside| beside.until);
        // A deadline at which nothing can be done must not keep the thread busy.
        let next = now + wait.min(again).max(StdDuration::from_millis(1));
        lingers.map_or(next, |until| until.min(next))
    }

    /// Passes events on, as far as there is room.
    fn tell(&mut self) {
        while !self.running.call.events.is_empty() {
            let Ok(place) = self.events.try_reserve() else { return };
            if let Some(event) = self.running.call.next_event() {
                place.send(event);
            }
        }
    }
}
