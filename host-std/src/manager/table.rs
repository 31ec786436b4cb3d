//! The sessions by the names of their dialogs, and the commands to them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration as StdDuration;

use dsp_core::time::Instant;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::dialog::InviteId;
use super::opening::{cannot_bind, on_tokio};
use super::session::Confirmed;
use super::task::{AdditionalSockets, Ask, DetachedDevice, Given, SessionCommand};
use super::{Change, DialogId, Event, Events, ManagerConfig, ManagerError, Session};
use crate::device::AudioIo;
use crate::sdp::Direction;
use crate::session::driver::{self, Clock, close};
use crate::session::{Call, CallConfig, CallStats};
use crate::sockets::{SocketConfig, Sockets};

/// The time that a session may take to carry out a command between two ticks: long enough for a machine that is short of time,
/// and shorter than any transaction of SIP (64*T1: RFC 3261, 17).
const ASKED: StdDuration = StdDuration::from_secs(10);
/// The interval at which a session that gathers candidates is asked whether it has them.
#[cfg(feature = "ice")]
const GATHERING: StdDuration = StdDuration::from_millis(20);

/// Media sessions by dialog: see the [module's page](super) for which method belongs to which SIP message. Clones are handles to
/// the same manager.
///
/// A manager runs on the tokio runtime in which it was made. When the last handle is dropped, all sessions say goodbye and end.
///
/// This example has both ends of one INVITE, each with a manager of its own, over loopback:
///
/// ```
/// use host_std::manager::{Change, DialogId, ManagerConfig, MediaManager};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (caller, _) = MediaManager::new(ManagerConfig::new()?);
/// let (callee, _) = MediaManager::new(ManagerConfig::new()?);
///
/// let invite = DialogId::half("a84b4c76e66710", "1928301774");
/// let offer = caller.offer(&invite).await?;
/// let theirs = DialogId::new("a84b4c76e66710", "8321234356", "1928301774");
/// let answer = callee.answer(&theirs, &offer).await?;
/// let ours = invite.with_remote_tag("8321234356"); // as the 200 has it
/// caller.accept(&ours, &answer).await?;
/// caller.confirm(&ours).await?;
///
/// let hold = caller.reoffer(&ours, Change::hold()).await?;
/// caller.accept(&ours, &callee.reanswer(&theirs, &hold).await?).await?;
/// assert_eq!((caller.sessions(), callee.sessions()), (1, 1));
/// assert!(caller.end(&ours).await?.stats.is_some());
/// callee.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct MediaManager {
    pub(super) inner: Arc<Inner>,
}

/// The remaining data of a dialog that ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedDialog {
    /// The numbers of the dialog's call. They are those of the first call where several dialogs of one INVITE ended together,
    /// and `None` if nobody had answered.
    pub stats: Option<CallStats>,
}

/// The result of [`MediaManager::shutdown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// The number of sessions that said goodbye and ended.
    pub ended: usize,
    /// The number of sessions that had not ended in time and were cut off.
    pub aborted: usize,
}

pub(super) struct Inner {
    pub(super) config: ManagerConfig,
    pub(super) clock: Clock,
    pub(super) sessions: Mutex<HashMap<InviteId, Arc<Handle>>>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) closing: AtomicBool,
    pub(super) ended: Notify,
    pub(super) runtime: tokio::runtime::Handle,
    #[cfg(feature = "record")]
    pub(super) music: Mutex<super::music::MusicBySound>,
}

/// A session that runs.
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<SessionCommand>,
    pub(super) task: AbortHandle,
}

/// A session's place in the table, as long as its task is there, whatever becomes of that.
pub(super) struct SessionPlace {
    pub(super) inner: Weak<Inner>,
    pub(super) invite: InviteId,
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            lock(&inner.sessions).remove(&self.invite);
            inner.ended.notify_waiters();
        }
    }
}

impl MediaManager {
    /// Returns a manager without sessions, and its events.
    ///
    /// # Panics
    /// Panics if it is called outside a tokio runtime.
    pub fn new(config: ManagerConfig) -> (Self, Events) {
        let (events, receiver) = mpsc::channel(config.events.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let inner = Inner {
            config,
            clock: Clock::start(),
            sessions: Mutex::default(),
            events,
            dropped: dropped.clone(),
            closing: AtomicBool::new(false),
            ended: Notify::new(),
            runtime: tokio::runtime::Handle::current(),
            #[cfg(feature = "record")]
            music: Mutex::default(),
        };
        (Self { inner: Arc::new(inner) }, Events { events: receiver, dropped })
    }

    /// Returns the settings that the manager was made with.
    pub fn config(&self) -> &ManagerConfig {
        &self.inner.config
    }

    /// Returns the number of sessions, including those that are saying goodbye.
    pub fn sessions(&self) -> usize {
        lock(&self.inner.sessions).len()
    }

    // First offers and answers.

    /// Makes a session and returns our offer: for an INVITE that we send, by a [half](DialogId::half) dialog, or for our answer
    /// to an INVITE that came without an offer, by the whole dialog. Where ICE asks servers for candidates this waits for them,
    /// for 2 s at most (13 s where only relayed addresses may be disclosed).
    ///
    /// # Errors
    /// [`ManagerError::Exists`] if the INVITE has a session already, [`ManagerError::Full`] if there are
    /// [`ManagerConfig::most_sessions`], [`ManagerError::Closing`] after [`shutdown`](Self::shutdown) began,
    /// [`ManagerError::Socket`] if no sockets can be bound, [`ManagerError::Call`] if the settings can't be offered, and
    /// [`ManagerError::Stuck`] if the session doesn't answer within 10 s. There is no new session then.
    pub async fn offer(&self, dialog: &DialogId) -> Result<String, ManagerError> {
        self.offer_with(dialog, self.inner.config.call.clone()).await
    }

    /// Does the same as [`offer`](Self::offer), with settings for this call alone. The manager sets its address, ports, identity
    /// and wall clock all the same.
    ///
    /// # Errors
    /// The same as for [`offer`](Self::offer).
    pub async fn offer_with(&self, dialog: &DialogId, config: CallConfig) -> Result<String, ManagerError> {
        let handle = self.open(dialog, config).await?;
        let own = dialog.clone();
        self.first(&handle, move |session, now| session.offer(now, &own)).await
    }

    /// Makes a session for an INVITE that came with an offer, and returns our answer.
    ///
    /// # Errors
    /// The same as for [`offer`](Self::offer), where [`ManagerError::Call`] says why the offer can't be used. No session exists
    /// then.
    pub async fn answer(&self, dialog: &DialogId, offer: &str) -> Result<String, ManagerError> {
        self.answer_with(dialog, offer, self.inner.config.call.clone()).await
    }

    /// Does the same as [`answer`](Self::answer), with settings for this call alone.
    ///
    /// # Errors
    /// The same as for [`answer`](Self::answer).
    pub async fn answer_with(
        &self,
        dialog: &DialogId,
        offer: &str,
        config: CallConfig,
    ) -> Result<String, ManagerError> {
        let handle = self.open(dialog, config).await?;
        let (own, offer) = (dialog.clone(), offer.to_owned());
        self.first(&handle, move |session, now| session.answer(now, &own, &offer)).await
    }

    /// Takes the answer to an offer of ours: see [`Session::accept`].
    ///
    /// # Errors
    /// The same as for [`Session::accept`]; [`ManagerError::Stuck`] if the session doesn't answer within 10 s.
    pub async fn accept(&self, dialog: &DialogId, answer: &str) -> Result<(), ManagerError> {
        let (own, answer) = (dialog.clone(), answer.to_owned());
        self.ask(dialog, move |session, now| session.accept(now, &own, &answer)).await?
    }

    /// Chooses the dialog whose phone was picked up (200 OK) and ends the others: see [`Session::confirm`].
    ///
    /// # Errors
    /// The same as for [`Session::confirm`].
    pub async fn confirm(&self, dialog: &DialogId) -> Result<Confirmed, ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, now| session.confirm(now, &own)).await?
    }

    /// Lets the user hear this early dialog instead of the first one from which sound came.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub async fn listen_to(&self, dialog: &DialogId) -> Result<(), ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, _| session.listen_to(&own)).await?
    }

    // Later ones.

    /// Returns our answer to a later offer of the other side: see [`Session::answer`].
    ///
    /// # Errors
    /// The same as for [`Session::answer`]. The call continues unchanged; answer the request with [`ManagerError::status`].
    pub async fn reanswer(&self, dialog: &DialogId, offer: &str) -> Result<String, ManagerError> {
        let (own, offer) = (dialog.clone(), offer.to_owned());
        let answer = move |session: &mut Session, now| match session.call(&own) {
            Some(_) => session.answer(now, &own, &offer),
            None => Err(ManagerError::UnknownDialog),
        };
        self.ask(dialog, answer).await?
    }

    /// Returns a later offer of ours, in which `change` is made. The default [`Change`] gives the offer to answer a re-INVITE
    /// with that came without one.
    ///
    /// # Errors
    /// The same as for [`Session::reoffer`].
    pub async fn reoffer(&self, dialog: &DialogId, change: Change) -> Result<String, ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, now| session.reoffer(now, &own, &change)).await?
    }

    /// Returns the offer of a session refresh (RFC 4028): see [`Session::refresh`].
    ///
    /// # Errors
    /// The same as for [`Session::refresh`].
    pub async fn refresh(&self, dialog: &DialogId) -> Result<String, ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, now| session.refresh(now, &own)).await?
    }

    /// Returns a later offer of ours by which we receive at `address`, for when this machine has moved to another network. New
    /// sockets are opened, and both pairs are read until the offer is answered; the old ones are closed 2 s after that. If the
    /// offer is refused ([`withdraw`](Self::withdraw)) the new ones are closed.
    ///
    /// # Errors
    /// The same as for [`Session::reoffer`], and [`ManagerError::Socket`] if no sockets can be bound to `address`.
    pub async fn move_to(&self, dialog: &DialogId, address: IpAddr) -> Result<String, ManagerError> {
        let config = SocketConfig { address, ..self.inner.config.sockets.clone() };
        let sockets = Sockets::open(&config, true)?;
        let (rtp, rtcp) = on_tokio(sockets)?;
        let port = rtp.local_addr().map_err(cannot_bind(address))?.port();
        let address = self.told(address);
        let beside =
            AdditionalSockets { rtp, rtcp, address: SocketAddr::new(address, port), dialog: None, until: None };
        let (reply, replied) = oneshot::channel();
        self.send(dialog, SessionCommand::Move(Box::new(beside), dialog.clone(), reply)).await?;
        answered(replied).await?
    }

    /// Takes back a later offer of ours that was refused: see [`Session::withdraw`].
    ///
    /// # Errors
    /// The same as for [`Session::withdraw`].
    pub async fn withdraw(&self, dialog: &DialogId) -> Result<(), ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, _| session.withdraw(&own)).await?
    }

    // Sound.

    /// Gives a session its device: a microphone and a loudspeaker, files, or a place in a room. Without a device a session
    /// plays and captures nothing, and doesn't tick.
    ///
    /// # Errors
    /// [`ManagerError::HasDevice`] if the session has a device already, [`ManagerError::Sound`] if a call can't have the
    /// device's rate or channels, [`ManagerError::UnknownDialog`] if there is no such dialog, and [`ManagerError::Music`] if the
    /// music on hold can't be read. The device is closed then.
    pub async fn attach(&self, dialog: &DialogId, device: Box<dyn AudioIo>) -> Result<(), ManagerError> {
        let then = match self.music_for((device.sample_rate_hz(), device.channels())).await {
            Ok(then) => then,
            Err(error) => {
                close(device);
                return Err(error);
            }
        };
        self.give(dialog, Given::Device(device), then).await.map_err(|(error, given)| {
            given.into_iter().for_each(Given::close);
            error
        })
    }

    /// Takes a session's device away (call parking). The session continues without sound and only receives packets and sends
    /// reports until another device is attached. To inform the other side, send an offer with [`Change::inactive`].
    ///
    /// # Errors
    /// [`ManagerError::NoDevice`] if the session has none, [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub async fn detach(&self, dialog: &DialogId) -> Result<Box<dyn AudioIo>, ManagerError> {
        let end = self.take_end(dialog).await?;
        Ok(end.0.into_audio().await)
    }

    /// Exchanges a session's device for another one, of any rate and channels that a call can have, and closes the old one. The
    /// call continues with its gains and mute. Open the new device before, since opening may block. Use this where a phone rings
    /// on one device and talks on another.
    ///
    /// # Errors
    /// [`ManagerError::NoDevice`] if the session has no device, [`ManagerError::Sound`] if a call can't have the new one's rate
    /// or channels, [`ManagerError::UnknownDialog`] if there is no such dialog, and [`ManagerError::Music`] if the music on hold
    /// can't be read at the new rate. The session then keeps its device and its music, and `device` is closed.
    pub async fn change_device(&self, dialog: &DialogId, device: Box<dyn AudioIo>) -> Result<(), ManagerError> {
        let then = self.music_for((device.sample_rate_hz(), device.channels())).await;
        let handle = self.find(dialog).ok_or(ManagerError::UnknownDialog);
        let ready = match (&handle, then) {
            (Ok(handle), Ok(then)) => place(handle).await.map(|place| (place, then)),
            (Err(_), _) => Err(ManagerError::UnknownDialog),
            (_, Err(error)) => Err(error),
        };
        match ready {
            Ok((place, then)) => {
                let (reply, replied) = oneshot::channel();
                place.send(SessionCommand::Exchange(device, then, reply));
                answered(replied).await?
            }
            Err(error) => {
                close(device);
                Err(error)
            }
        }
    }

    /// Moves the device of the session of `old` to the session of `new` (transfer, call pickup), with its gains and with the
    /// state that its echo canceller has adapted to. The old session continues without a device until it is [ended](Self::end).
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog, [`ManagerError::NoDevice`] if the old session has no device,
    /// [`ManagerError::HasDevice`] if the new one has one, [`ManagerError::Sound`] if the new call can't have its sound. The old
    /// session keeps the device then.
    pub async fn replace(&self, old: &DialogId, new: &DialogId) -> Result<(), ManagerError> {
        if self.find(new).is_none() {
            return Err(ManagerError::UnknownDialog);
        }
        let end = self.take_end(old).await?;
        let Err((error, given)) = self.move_end(end, new).await else { return Ok(()) };
        if let Some(given) = given {
            // The device fits the session from which it came.
            let _ = self.give(old, given, Box::new(|_, _| ())).await;
        }
        Err(error)
    }

    async fn move_end(&self, end: Box<DetachedDevice>, new: &DialogId) -> Result<(), (ManagerError, Option<Given>)> {
        let config = end.0.front.config();
        match self.music_for((config.sample_rate_hz, config.channels)).await {
            Ok(then) => self.give(new, Given::End(end), then).await,
            Err(error) => Err((error, Some(Given::End(end)))),
        }
    }

    /// Without the `record` feature there is no music.
    #[cfg(not(feature = "record"))]
    async fn music_for(&self, _: (u32, u8)) -> Result<Ask, ManagerError> {
        Ok(Box::new(|_, _| ()))
    }

    /// Sends a command to a session's device: to mute it, set its gains, or switch a step of its capture chain. Without a device
    /// nothing happens. [`driver::Command::Device`] does what [`change_device`](Self::change_device) does.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog, and the errors of `change_device`.
    pub async fn control(&self, dialog: &DialogId, command: driver::Command) -> Result<(), ManagerError> {
        match command {
            driver::Command::Device(device) => self.change_device(dialog, device).await,
            command => self.send(dialog, SessionCommand::Control(command)).await,
        }
    }

    /// Runs a closure on a dialog's call between two ticks, and returns what the closure returns. Use it for digits, taps,
    /// announcements and numbers. Make offers and answers by the manager's own methods, never by this.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog, [`ManagerError::Stuck`] if the session doesn't answer within
    /// 10 s.
    pub async fn with<T: Send + 'static>(
        &self,
        dialog: &DialogId,
        what: impl FnOnce(&mut Call, Instant) -> T + Send + 'static,
    ) -> Result<T, ManagerError> {
        let own = dialog.clone();
        let with = move |session: &mut Session, now| session.call_mut(&own).map(|call| what(call, now));
        self.ask(dialog, with).await?.ok_or(ManagerError::UnknownDialog)
    }

    /// Returns the numbers of a dialog's call.
    ///
    /// # Errors
    /// The same as for [`with`](Self::with).
    pub async fn stats(&self, dialog: &DialogId) -> Result<CallStats, ManagerError> {
        self.with(dialog, |call, _| call.stats()).await
    }

    /// Returns the direction of a dialog's sound that both sides have agreed on, seen from our side.
    ///
    /// # Errors
    /// The same as for [`with`](Self::with).
    pub async fn direction(&self, dialog: &DialogId) -> Result<Direction, ManagerError> {
        let direction = |call: &mut Call, _| call.negotiated_stream(0).map(|stream| stream.direction);
        Ok(self.with(dialog, direction).await?.unwrap_or(Direction::Inactive))
    }

    /// Watches a recording of this dialog: [`EventKind::RecordingEnded`](super::EventKind::RecordingEnded) is reported when it
    /// ends before it was finished, for example because of a full disk.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    #[cfg(feature = "record")]
    pub async fn watch_recording(
        &self,
        dialog: &DialogId,
        recording: crate::record::recorder::RecorderWatch,
    ) -> Result<(), ManagerError> {
        let own = dialog.clone();
        self.ask(dialog, move |session, _| session.watch_recording(&own, recording)).await?
    }

    // The end.

    /// Ends a dialog with an RTCP goodbye, and returns the numbers of its call: see [`Session::end`].
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub async fn end(&self, dialog: &DialogId) -> Result<EndedDialog, ManagerError> {
        let own = dialog.clone();
        let end = move |session: &mut Session, now| {
            let mut stats = None;
            let ended = session.end(now, &own, |call| {
                stats.get_or_insert_with(|| call.stats());
            });
            ended.map(|()| EndedDialog { stats })
        };
        self.ask(dialog, end).await?
    }

    /// Lets all sessions say goodbye and end, and takes no new ones. Sessions that have not ended after `within` are cut off.
    pub async fn shutdown(&self, within: StdDuration) -> Shutdown {
        self.inner.closing.store(true, Ordering::Release);
        let handles: Vec<_> = lock(&self.inner.sessions).values().cloned().collect();
        let count = handles.len();
        for handle in &handles {
            // A session whose queue is full is asked again below.
            let _ = handle.commands.try_send(SessionCommand::HangUp);
        }
        let all_ended = async {
            loop {
                let ended = self.inner.ended.notified();
                let left: Vec<_> = lock(&self.inner.sessions).values().cloned().collect();
                if left.is_empty() {
                    return;
                }
                for handle in &left {
                    let _ = handle.commands.try_send(SessionCommand::HangUp);
                }
                drop(left);
                let _ = tokio::time::timeout(StdDuration::from_millis(50), ended).await;
            }
        };
        if tokio::time::timeout(within, all_ended).await.is_ok() {
            return Shutdown { ended: count, aborted: 0 };
        }
        let left: Vec<_> = lock(&self.inner.sessions).values().cloned().collect();
        left.iter().for_each(|handle| handle.task.abort());
        Shutdown { ended: count.saturating_sub(left.len()), aborted: left.len() }
    }

    // The functions below are internal.

    fn find(&self, dialog: &DialogId) -> Option<Arc<Handle>> {
        lock(&self.inner.sessions).get(&dialog.invite).cloned()
    }

    async fn send(&self, dialog: &DialogId, command: SessionCommand) -> Result<(), ManagerError> {
        let handle = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        send(&handle, command).await
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        dialog: &DialogId,
        what: impl FnOnce(&mut Session, Instant) -> T + Send + 'static,
    ) -> Result<T, ManagerError> {
        let handle = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        ask(&handle, what).await
    }

    /// Makes the first offer or answer; if it fails, no session is kept.
    async fn first(
        &self,
        handle: &Handle,
        what: impl FnOnce(&mut Session, Instant) -> Result<String, ManagerError> + Send + 'static,
    ) -> Result<String, ManagerError> {
        #[cfg(feature = "ice")]
        while ask(handle, |session, now| session.is_gathering(now)).await? {
            tokio::time::sleep(GATHERING).await;
        }
        let said = ask(handle, what).await.and_then(|said| said);
        if said.is_err() {
            let _ = send(handle, SessionCommand::HangUp).await;
        }
        said
    }

    async fn take_end(&self, dialog: &DialogId) -> Result<Box<DetachedDevice>, ManagerError> {
        let (reply, replied) = oneshot::channel();
        self.send(dialog, SessionCommand::Detach(reply)).await?;
        answered(replied).await?.ok_or(ManagerError::NoDevice)
    }

    async fn give(&self, dialog: &DialogId, given: Given, then: Ask) -> Result<(), (ManagerError, Option<Given>)> {
        let Some(handle) = self.find(dialog) else { return Err((ManagerError::UnknownDialog, Some(given))) };
        let (reply, replied) = oneshot::channel();
        match place(&handle).await {
            Ok(place) => place.send(SessionCommand::Attach(given, then, reply)),
            Err(error) => return Err((error, Some(given))),
        }
        match answered(replied).await {
            Ok(attached) => attached.map_err(|(error, given)| (error, Some(given))),
            Err(error) => Err((error, None)),
        }
    }
}

/// Reserves a place for a command: the caller keeps the command until there is one.
async fn place(handle: &Handle) -> Result<mpsc::Permit<'_, SessionCommand>, ManagerError> {
    let place = tokio::time::timeout(ASKED, handle.commands.reserve()).await;
    place.map_err(|_| ManagerError::Stuck)?.map_err(|_| ManagerError::UnknownDialog)
}

async fn send(handle: &Handle, command: SessionCommand) -> Result<(), ManagerError> {
    place(handle).await.map(|place| place.send(command))
}

async fn ask<T: Send + 'static>(
    handle: &Handle,
    what: impl FnOnce(&mut Session, Instant) -> T + Send + 'static,
) -> Result<T, ManagerError> {
    let (reply, replied) = oneshot::channel();
    let ask: Ask = Box::new(move |session, now| drop(reply.send(what(session, now))));
    send(handle, SessionCommand::Ask(ask)).await?;
    answered(replied).await
}

/// Waits for a session's reply; the session may have ended meanwhile.
async fn answered<T>(replied: oneshot::Receiver<T>) -> Result<T, ManagerError> {
    let replied = tokio::time::timeout(ASKED, replied).await.map_err(|_| ManagerError::Stuck)?;
    replied.map_err(|_| ManagerError::UnknownDialog)
}

/// Locks a mutex, also after a panic: no operation leaves its content half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
