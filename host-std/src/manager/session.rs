//! The media session of one INVITE, without I/O: its offer, the early dialogs that answer it, the one that is chosen, and every
//! offer and answer after that.
//!
//! One INVITE carries one offer, and a proxy may bring it to several phones, each of which answers for itself (forking: RFC 3261,
//! 13.2.2.4). All of them send to the one address that the offer names, so early dialogs share the offer's sockets: there is no
//! other way. Their datagrams are distinguished in [`forks`](super::forks). Each of them is a [`Call`] of its own, with its own
//! keys of the other side's (SDES: RFC 4568, 7.3; DTLS: an association for each, RFC 8842, 4 and 5) and its own ICE checks under
//! credentials of ours that are the same for all (RFC 8839, 5.4).
//!
//! All functions for signalling return at once and are atomic: an offer or answer that can't be used, ours or theirs, leaves the
//! running call unchanged.

use std::sync::Arc;

use dsp_core::time::{Duration, Instant};

use super::dialog::InviteId;
use super::event::Queue;
use super::forks::Forks;
#[cfg(feature = "record")]
use super::music::Music;
use super::watch::Watch;
use super::{Change, DialogId, Event, EventKind, ManagerError, Watching, WhyEnded};
use crate::session::{Call, CallError, Driven};

/// The most dialogs of one offer.
pub(super) const MAX_FORKS: usize = 16;
/// The time for which TURN servers are awaited at the end, until their allocations are released.
const LEAVING: Duration = Duration::from_millis(500);

/// The media of one INVITE and of all dialogs that it makes, without I/O and without a clock.
///
/// A [`MediaManager`](super::MediaManager) runs sessions with sockets on tokio. Use a session itself where you tick many of them in
/// a batch or in virtual time: it is a [`Media`](dsp_core::front::Media), which is played, captured and transmitted as a call
/// is, and is [polled](Self::poll) for its events.
///
/// In this example two sessions agree on a call, and one puts the other on hold:
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::manager::{Change, DialogId, Session, Watching};
/// use host_std::session::{Call, CallConfig};
///
/// let (ours, theirs) = (DialogId::new("call", "a", "b"), DialogId::new("call", "b", "a"));
/// let session = |dialog, port| -> Result<Session, Box<dyn std::error::Error>> {
///     Ok(Session::new(dialog, Call::new(CallConfig::new(port)?)?, Watching::default()))
/// };
/// let (mut anna, mut bert) = (session(&ours, 4000)?, session(&theirs, 5000)?);
/// let now = Instant::ZERO;
/// let offer = anna.offer(now, &ours)?;
/// anna.accept(now, &ours, &bert.answer(now, &theirs, &offer)?)?;
///
/// let hold = anna.reoffer(now, &ours, &Change::hold())?;
/// anna.accept(now, &ours, &bert.answer(now, &theirs, &hold)?)?;
/// assert!(bert.is_held(&theirs) && !anna.is_held(&ours));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    invite: InviteId,
    /// The call that has not offered or answered yet, or that waits for one more answer.
    fresh: Option<Fresh>,
    pub(super) legs: Vec<Leg>,
    /// One dialog stands, and no further phone may answer.
    chosen: bool,
    /// The calls that are saying goodbye.
    pub(super) leaving: Vec<LeavingCall>,
    /// The device's rate in Hz and its channels.
    pub(super) sound: Option<(u32, u8)>,
    pub(super) forks: Forks,
    watching: Watching,
    pub(super) events: Queue,
    #[cfg(feature = "record")]
    pub(super) music: Option<Music>,
}

/// A call that no dialog has yet.
struct Fresh {
    call: Call,
    /// The time at which it offered.
    offered: Option<Instant>,
    /// The tag of the phone whose answer is awaited, where only one can come.
    only: Option<Arc<str>>,
}

/// One dialog.
pub(super) struct Leg {
    pub(super) remote_tag: Arc<str>,
    pub(super) call: Call,
    /// The description that answered the first offer.
    answered: Option<String>,
    /// Whether another offer followed.
    went_on: bool,
    /// The time since which an offer of ours waits for its answer.
    offered: Option<Instant>,
    /// Whether RTP of it has come.
    pub(super) sounds: bool,
    watch: Watch,
    /// Whether it hears music, because it's on hold.
    #[cfg(feature = "record")]
    pub(super) has_music: bool,
    #[cfg(feature = "record")]
    recordings: Vec<crate::record::recorder::RecorderWatch>,
}

/// A call that says goodbye.
pub(super) struct LeavingCall {
    pub(super) call: Call,
    since: Instant,
    /// Whether everything that it had to say has left.
    pub(super) drained: bool,
}

/// The result of [`Session::confirm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmed {
    /// The number of other phones that had answered; each was sent an RTCP BYE.
    pub others: usize,
    /// Whether those phones know the key that protects our packets, because it was in the offer that all of them had (RFC 4568,
    /// 7.3). A later offer with [fresh keys](Change::with_fresh_keys) shuts them out.
    pub key_is_shared: bool,
}

impl Session {
    /// Creates a session for an INVITE that we send or that came, with a call that has neither offered nor answered yet.
    pub fn new(dialog: &DialogId, call: Call, watching: Watching) -> Self {
        Self {
            invite: dialog.invite.clone(),
            fresh: Some(Fresh { call, offered: None, only: None }),
            legs: Vec::with_capacity(1),
            chosen: false,
            leaving: Vec::new(),
            sound: None,
            forks: Forks::default(),
            events: Queue::new(watching.places),
            watching,
            #[cfg(feature = "record")]
            music: None,
        }
    }

    // Signalling.

    /// Returns our first offer. It belongs into an INVITE that we send, or, where `dialog` has both tags, into our answer to an
    /// INVITE that came without an offer, whose ACK then has the answer (late offer: RFC 3261, 13.2.1).
    ///
    /// # Errors
    /// [`ManagerError::Exists`] if there was a first offer already, [`ManagerError::Call`] with the errors of [`Call::offer`].
    pub fn offer(&mut self, now: Instant, dialog: &DialogId) -> Result<String, ManagerError> {
        let fresh = self.fresh.as_mut().filter(|fresh| fresh.offered.is_none()).ok_or(ManagerError::Exists)?;
        let offer = fresh.call.offer()?;
        fresh.offered = Some(now);
        fresh.only = Some(dialog.remote_tag.clone()).filter(|tag| !tag.is_empty());
        Ok(offer)
    }

    /// Returns our answer to the other side's offer, be it the first or a later one. Where an offer comes once more (a session
    /// refresh) the answer is the one before, and nothing changes.
    ///
    /// # Errors
    /// [`ManagerError::Glare`] while an offer of ours waits for its answer, [`ManagerError::UnknownDialog`] if there is no such
    /// dialog, [`ManagerError::Call`] with the errors of [`Call::answer`].
    pub fn answer(&mut self, now: Instant, dialog: &DialogId, offer: &str) -> Result<String, ManagerError> {
        if let Some(index) = self.find(dialog) {
            let leg = &mut self.legs[index];
            if leg.call.is_offering() {
                return Err(ManagerError::Glare);
            }
            let answer = leg.call.answer(now, offer)?;
            leg.went_on = true;
            self.agreed(now, index);
            return Ok(answer);
        }
        let fresh = self.fresh.as_mut().filter(|fresh| fresh.offered.is_none() && self.legs.is_empty());
        let answer = fresh.ok_or(ManagerError::UnknownDialog)?.call.answer(now, offer)?;
        if let Some(Fresh { call, .. }) = self.fresh.take() {
            self.chosen = true;
            self.add(now, dialog, call, None)?;
        }
        Ok(answer)
    }

    /// Takes the answer to an offer of ours: to the first offer, from any phone that answers it (in a 18x, a 200 or the ACK), or
    /// to a later offer. Where the answer to the first offer comes once more, as when a 200 repeats a 183, nothing changes;
    /// where it then says something else, the last answer counts.
    ///
    /// # Errors
    /// [`ManagerError::Refused`] if the answer rejects the stream, [`ManagerError::Call`] if it can't be used; a later offer is
    /// taken back in both cases. [`ManagerError::NoOffer`] if no offer waits for an answer, [`ManagerError::UnknownDialog`] if
    /// another dialog was chosen before, [`ManagerError::TooManyForks`] if too many phones have answered, and
    /// [`ManagerError::RelayTaken`] if another phone has the only relayed address.
    pub fn accept(&mut self, now: Instant, dialog: &DialogId, answer: &str) -> Result<(), ManagerError> {
        let Some(index) = self.find(dialog) else { return self.accept_first(now, dialog, answer) };
        let leg = &mut self.legs[index];
        let is_first = leg.offered.take().is_none();
        if is_first {
            if leg.answered.as_deref() == Some(answer) {
                return Ok(());
            }
            leg.answered.as_ref().filter(|_| !leg.went_on && !self.chosen).ok_or(ManagerError::NoOffer)?;
            leg.call.expect_another_answer()?;
        }
        if let Err(error) = leg.call.accept(now, answer) {
            leg.call.withdraw();
            return Err(error.into());
        }
        if is_first {
            leg.answered = Some(answer.into());
        }
        self.agreed(now, index);
        Ok(())
    }

    fn accept_first(&mut self, now: Instant, dialog: &DialogId, answer: &str) -> Result<(), ManagerError> {
        let count = self.legs.len();
        let fresh = self.fresh.as_mut().ok_or(ManagerError::UnknownDialog)?;
        let expected = fresh.only.as_ref().is_none_or(|only| *only == dialog.remote_tag);
        if fresh.offered.is_none() || !expected || dialog.invite != self.invite {
            return Err(ManagerError::UnknownDialog);
        }
        if count >= MAX_FORKS {
            return Err(ManagerError::TooManyForks);
        }
        #[cfg(feature = "ice")]
        if count > 0 && fresh.call.has_no_candidates() {
            return Err(ManagerError::RelayTaken);
        }
        // The forked call is for the next phone's answer: the same offer, as another source.
        let next = if fresh.only.is_some() { None } else { Some(fresh.call.fork()?) };
        fresh.call.accept(now, answer)?;
        let call = match next {
            Some(next) => std::mem::replace(&mut fresh.call, next),
            None => {
                self.chosen = true;
                match self.fresh.take() {
                    Some(fresh) => fresh.call,
                    None => return Err(ManagerError::UnknownDialog),
                }
            }
        };
        self.add(now, dialog, call, Some(answer.into()))
    }

    /// Returns a later offer of ours, for a re-INVITE or an UPDATE, in which `change` is made.
    ///
    /// # Errors
    /// [`ManagerError::Glare`] while another offer waits for its answer, [`ManagerError::UnknownDialog`] if there is no such dialog,
    /// [`ManagerError::Call`] if a call can't be what `change` says. Nothing changes then.
    pub fn reoffer(&mut self, now: Instant, dialog: &DialogId, change: &Change) -> Result<String, ManagerError> {
        self.propose(now, dialog, |call| {
            change.apply(call)?;
            call.offer()
        })
    }

    /// Returns the offer of a session refresh (RFC 4028): our last description, word for word ([`Call::refresh`]).
    ///
    /// # Errors
    /// The same as for [`reoffer`](Self::reoffer).
    pub fn refresh(&mut self, now: Instant, dialog: &DialogId) -> Result<String, ManagerError> {
        self.propose(now, dialog, Call::refresh)
    }

    fn propose(
        &mut self,
        now: Instant,
        dialog: &DialogId,
        propose: impl FnOnce(&mut Call) -> Result<String, CallError>,
    ) -> Result<String, ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        let leg = &mut self.legs[index];
        if leg.call.is_offering() {
            return Err(ManagerError::Glare);
        }
        match propose(&mut leg.call) {
            Ok(offer) => {
                (leg.offered, leg.went_on) = (Some(now), true);
                Ok(offer)
            }
            Err(error) => {
                leg.call.withdraw();
                Err(error.into())
            }
        }
    }

    /// Takes back a later offer of ours that was refused (488, 491, a timeout). The call continues unchanged, and later offers
    /// don't have the change either.
    ///
    /// # Errors
    /// [`ManagerError::NoOffer`] if no offer waits for an answer, [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub fn withdraw(&mut self, dialog: &DialogId) -> Result<(), ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        let leg = &mut self.legs[index];
        leg.offered.take().ok_or(ManagerError::NoOffer)?;
        leg.call.withdraw();
        Ok(())
    }

    /// Chooses the dialog whose phone was picked up (200 OK). All other dialogs end with an RTCP goodbye, and no further ones
    /// can come.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if this dialog has not answered our offer, or if another one was chosen before: send this
    /// one a BYE then.
    pub fn confirm(&mut self, now: Instant, dialog: &DialogId) -> Result<Confirmed, ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        self.legs.swap(0, index);
        let others = self.legs.split_off(1);
        let (count, keyed) = (others.len(), self.legs[0].call.negotiated_transport().is_some_and(|t| t.srtp.is_some()));
        others.into_iter().for_each(|leg| self.leave(now, leg.call));
        (self.fresh, self.chosen) = (None, true);
        self.forks = Forks::default();
        Ok(Confirmed { others: count, key_is_shared: keyed && count > 0 })
    }

    /// Ends a dialog with an RTCP goodbye. A half dialog ends all dialogs of the INVITE (CANCEL, or a final answer other than
    /// 200). Each call that ends is shown to `ended`, which can keep its numbers.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub fn end(&mut self, now: Instant, dialog: &DialogId, mut ended: impl FnMut(&Call)) -> Result<(), ManagerError> {
        match self.find(dialog) {
            Some(index) => {
                let call = self.remove(index).call;
                ended(&call);
                self.leave(now, call);
                if self.chosen && self.legs.is_empty() {
                    self.fresh = None;
                }
                Ok(())
            }
            // No phone has answered yet, or the dialogs have no tags.
            None if dialog.remote_tag.is_empty() || self.is_expected(dialog) => {
                self.legs.iter().for_each(|leg| ended(&leg.call));
                self.end_all(now);
                Ok(())
            }
            None => Err(ManagerError::UnknownDialog),
        }
    }

    fn is_expected(&self, dialog: &DialogId) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| fresh.only.as_ref() == Some(&dialog.remote_tag))
    }

    /// Ends all dialogs with RTCP goodbyes.
    pub fn end_all(&mut self, now: Instant) {
        while let Some(leg) = self.legs.pop() {
            self.leave(now, leg.call);
        }
        if let Some(fresh) = self.fresh.take() {
            self.leave(now, fresh.call);
        }
    }

    // These functions give access to calls, sound and events.

    /// The call of a dialog; `None` if there is no such dialog.
    pub fn call(&self, dialog: &DialogId) -> Option<&Call> {
        self.find(dialog).map(|index| &self.legs[index].call)
    }

    /// The call of a dialog, to send digits or to add taps or announcements. Make offers and answers by the session's own
    /// methods, never by the call's.
    pub fn call_mut(&mut self, dialog: &DialogId) -> Option<&mut Call> {
        self.find(dialog).map(|index| &mut self.legs[index].call)
    }

    /// Returns the other sides' tags of all dialogs.
    pub fn remote_tags(&self) -> impl Iterator<Item = &str> + '_ {
        self.legs.iter().map(|leg| &*leg.remote_tag)
    }

    /// Returns whether the other side has put us on hold in this dialog.
    pub fn is_held(&self, dialog: &DialogId) -> bool {
        self.find(dialog).is_some_and(|index| self.legs[index].watch.is_held())
    }

    /// Connects the user with this early dialog instead of the first one from which sound came.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    pub fn listen_to(&mut self, dialog: &DialogId) -> Result<(), ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        self.forks.listen_to(index);
        Ok(())
    }

    /// Sets the rate in Hz and the channels of the session's device, for all of its calls, present and future
    /// ([`Call::set_sound`]).
    ///
    /// # Errors
    /// [`ManagerError::Sound`] if a call can't have this sound; nothing changes then.
    pub fn set_sound(&mut self, sound: (u32, u8)) -> Result<(), ManagerError> {
        Driven::set_sound(self, sound).map_err(ManagerError::Sound)
    }

    /// All that have the device's sound, or will have it.
    pub(super) fn calls(&mut self) -> impl Iterator<Item = &mut Call> {
        let fresh = self.fresh.iter_mut().map(|fresh| &mut fresh.call);
        fresh.chain(self.legs.iter_mut().map(|leg| &mut leg.call))
    }

    /// Records that there was no device for this many samples (of one channel): media time advanced without sound.
    pub fn rest(&mut self, samples: usize) {
        self.legs.iter_mut().for_each(|leg| leg.call.rest(samples));
    }

    /// Watches a recording of this dialog: [`EventKind::RecordingEnded`] is reported when it ends before it was finished.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`] if there is no such dialog.
    #[cfg(feature = "record")]
    pub fn watch_recording(
        &mut self,
        dialog: &DialogId,
        recording: crate::record::recorder::RecorderWatch,
    ) -> Result<(), ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        self.legs[index].recordings.push(recording);
        Ok(())
    }

    /// The oldest event that waits; `None` if none does.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Returns the number of events for which there was no room; they are lost.
    pub fn dropped_events(&self) -> u64 {
        self.events.dropped()
    }

    /// Looks at the calls: queues everything that is worth an event, and removes those that are over. Call it ten times a second
    /// while there is sound, and at [`next_deadline`](Self::next_deadline).
    pub fn poll(&mut self, now: Instant) {
        for index in (0..self.legs.len()).rev() {
            let Self { invite, legs, events, watching, .. } = self;
            let leg = &mut legs[index];
            let dialog = DialogId { invite: invite.clone(), remote_tag: leg.remote_tag.clone() };
            let tell = |kind| events.push(Event { dialog: dialog.clone(), at: now, kind });
            leg.watch.look(now, &leg.call, watching, tell);
            #[cfg(feature = "record")]
            leg.recordings.retain(|recording| {
                let ended = recording.status().error.is_some();
                if ended {
                    events.push(Event { dialog: dialog.clone(), at: now, kind: EventKind::RecordingEnded });
                }
                !ended
            });
            if leg.offered.is_some_and(|since| now.since(since) >= watching.unanswered) {
                leg.offered = None;
                leg.call.withdraw();
                events.push(Event { dialog: dialog.clone(), at: now, kind: EventKind::OfferExpired });
            }
            if let Some(ending) = leg.call.should_end(now) {
                let kind = EventKind::Ended(WhyEnded::Call(ending));
                events.push(Event { dialog, at: now, kind });
                let call = self.remove(index).call;
                self.leave(now, call);
            }
        }
        let expired = |offered: Instant| now.since(offered) >= self.watching.unanswered;
        if self.legs.is_empty()
            && self.fresh.as_ref().is_some_and(|fresh| fresh.offered.is_some_and(expired))
            && let Some(fresh) = self.fresh.take()
        {
            self.tell(now, fresh.only.unwrap_or_default(), EventKind::Ended(WhyEnded::Unanswered));
            self.leave(now, fresh.call);
        }
        self.leaving
            .retain(|leaving| !leaving.drained || (has_servers(&leaving.call) && now.since(leaving.since) < LEAVING));
    }

    /// Returns when to call [`transmit`](dsp_core::front::Media::transmit) and [`poll`](Self::poll) next, if no tick comes
    /// before; `None` if nothing is due.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let unanswered = self.watching.unanswered;
        let fresh = self.fresh.iter().flat_map(|fresh| {
            [fresh.call.next_deadline(), fresh.offered.filter(|_| self.legs.is_empty()).map(|since| since + unanswered)]
        });
        let legs = self.legs.iter().flat_map(|leg| {
            let offered = leg.offered.map(|since| since + unanswered);
            [leg.call.next_deadline(), offered, leg.watch.deadline(now, &leg.call, &self.watching)]
        });
        // The goodbye itself leaves at once; only the answers of servers are waited for.
        let wait = |leaving: &LeavingCall| if leaving.drained { now + Duration::from_millis(20) } else { now };
        let leaving = self.leaving.iter().map(|leaving| Some(wait(leaving)));
        fresh.chain(legs).chain(leaving).flatten().min()
    }

    /// Returns whether to wait with the first offer or answer, because servers may still report candidates for it
    /// ([`Call::is_gathering`]).
    #[cfg(feature = "ice")]
    pub fn is_gathering(&self, now: Instant) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| fresh.call.is_gathering(now))
    }

    /// Returns whether all dialogs have ended and only goodbyes are left to send.
    pub fn is_ending(&self) -> bool {
        self.fresh.is_none() && self.legs.is_empty()
    }

    /// Returns whether everything is done and the session can be dropped.
    pub fn is_over(&self) -> bool {
        self.is_ending() && self.leaving.is_empty()
    }

    // The functions below are internal.

    /// Channels of the device.
    pub(super) fn channels(&self) -> u32 {
        self.sound.map_or(1, |(_, channels)| channels.into())
    }

    pub(super) fn fresh_call(&mut self) -> Option<&mut Call> {
        self.fresh.as_mut().map(|fresh| &mut fresh.call)
    }

    pub(super) fn tell_all(&mut self, now: Instant, kind: EventKind) {
        if self.legs.is_empty() {
            self.tell(now, Arc::default(), kind);
        }
        for index in 0..self.legs.len() {
            self.tell(now, self.legs[index].remote_tag.clone(), kind);
        }
    }

    pub(super) fn tell(&mut self, at: Instant, remote_tag: Arc<str>, kind: EventKind) {
        self.events.push(Event { dialog: DialogId { invite: self.invite.clone(), remote_tag }, at, kind });
    }

    fn find(&self, dialog: &DialogId) -> Option<usize> {
        let is_ours = dialog.invite == self.invite;
        self.legs.iter().position(|leg| is_ours && leg.remote_tag == dialog.remote_tag)
    }

    fn add(
        &mut self,
        now: Instant,
        dialog: &DialogId,
        mut call: Call,
        answered: Option<String>,
    ) -> Result<(), ManagerError> {
        if let Some(sound) = self.sound {
            call.set_sound(Some(sound)).map_err(ManagerError::Sound)?;
        }
        self.legs.push(Leg {
            remote_tag: dialog.remote_tag.clone(),
            call,
            answered,
            went_on: false,
            offered: None,
            sounds: false,
            watch: Watch::default(),
            #[cfg(feature = "record")]
            has_music: false,
            #[cfg(feature = "record")]
            recordings: Vec::new(),
        });
        if self.legs.len() > 1 {
            self.forks.make_room();
        }
        self.agreed(now, self.legs.len() - 1);
        Ok(())
    }

    fn remove(&mut self, index: usize) -> Leg {
        self.forks.forget(index);
        self.legs.remove(index)
    }

    fn leave(&mut self, now: Instant, mut call: Call) {
        call.hang_up();
        self.leaving.push(LeavingCall { call, since: now, drained: false });
    }

    /// Offer and answer of this dialog came to something.
    fn agreed(&mut self, now: Instant, index: usize) {
        let Self { invite, legs, events, .. } = self;
        let leg = &mut legs[index];
        let dialog = DialogId { invite: invite.clone(), remote_tag: leg.remote_tag.clone() };
        leg.watch.agreed(&leg.call, |kind| events.push(Event { dialog: dialog.clone(), at: now, kind }));
        #[cfg(feature = "record")]
        self.follow_hold(index);
    }
}

/// Returns whether TURN servers still hold an allocation of the call that is being released.
fn has_servers(call: &Call) -> bool {
    #[cfg(feature = "ice")]
    return call.is_leaving();
    #[cfg(not(feature = "ice"))]
    {
        let _ = call;
        false
    }
}
