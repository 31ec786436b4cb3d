//! What one INVITE comes to, without I/O: its offer, the early dialogs that answer it, the one that is chosen, and
//! every offer and answer after that.
//!
//! One INVITE carries one offer, and a proxy may bring it to several phones, each of which answers for itself (forking:
//! RFC 3261, 13.2.2.4). All of them send to the one address that the offer names, so early dialogs share the offer's
//! sockets: there is nothing else that they could do. What tells them apart is in [`forks`](super::forks). Each of them
//! is a [`Call`] of its own, with its own keys of the other side's (SDES: RFC 4568, 7.3; DTLS: an association for each,
//! RFC 8842, 4 and 5) and its own ICE checks under credentials of ours that are the same for all (RFC 8839, 5.4).
//!
//! All that signals returns at once and is atomic: an offer or answer that can't be used, ours or theirs, leaves the
//! running call as it was.

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
/// So long TURN servers are waited for at the end, until they have their addresses back.
const LEAVING: Duration = Duration::from_millis(500);

/// The media of one INVITE: all of its dialogs.
///
/// A call that is put on hold, without a socket:
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
    /// What has not offered or answered yet, or waits for one more answer.
    fresh: Option<Fresh>,
    pub(super) legs: Vec<Leg>,
    /// One dialog stands, and no further phone may answer.
    chosen: bool,
    /// What says goodbye.
    pub(super) leaving: Vec<LeavingCall>,
    /// The device's.
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
    /// When it offered.
    offered: Option<Instant>,
    /// Whose answer is waited for, where only one can come.
    only: Option<Arc<str>>,
}

/// One dialog.
pub(super) struct Leg {
    pub(super) remote_tag: Arc<str>,
    pub(super) call: Call,
    /// How the first offer was answered.
    answered: Option<String>,
    /// Whether another offer followed.
    went_on: bool,
    /// Since when an offer of ours waits for its answer.
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

/// What choosing a dialog came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmed {
    /// How many other phones had answered, and were left.
    pub others: usize,
    /// Whether those know the key that what we send is protected with: it was in the offer that all of them had (RFC
    /// 4568, 7.3). An offer with [fresh keys](Change::with_fresh_keys) shuts them out.
    pub key_is_shared: bool,
}

impl Session {
    /// The session of an INVITE, of ours or theirs, with a call that has neither offered nor answered yet.
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

    /// Our first offer: of an INVITE of ours, or, where `dialog` has both tags, in the answer to an INVITE without one
    /// (late offer: RFC 3261, 13.2.1), which the ACK answers.
    ///
    /// # Errors
    /// [`ManagerError::Exists`] if there was one, [`ManagerError::Call`] as [`Call::offer`].
    pub fn offer(&mut self, now: Instant, dialog: &DialogId) -> Result<String, ManagerError> {
        let fresh = self.fresh.as_mut().filter(|fresh| fresh.offered.is_none()).ok_or(ManagerError::Exists)?;
        let offer = fresh.call.offer()?;
        fresh.offered = Some(now);
        fresh.only = Some(dialog.remote_tag.clone()).filter(|tag| !tag.is_empty());
        Ok(offer)
    }

    /// An offer of the other side's, the first or a later one; our answer. The one of before once more (a session
    /// refresh) gets the answer of before and changes nothing.
    ///
    /// # Errors
    /// [`ManagerError::Glare`] while an offer of ours waits for its answer, [`ManagerError::UnknownDialog`],
    /// [`ManagerError::Call`] as [`Call::answer`].
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

    /// The answer to an offer of ours: to the first one, from whoever answers it (in a 18x or 200, or in the ACK), or
    /// to a later one. The answer to the first offer once more, as a 200 repeats what a 183 has said, changes nothing;
    /// if it says something else, the last word counts.
    ///
    /// # Errors
    /// [`ManagerError::Refused`] if it refuses what we offered, [`ManagerError::Call`] if it can't be used: a later
    /// offer is taken back then. [`ManagerError::NoOffer`] if none waits, [`ManagerError::UnknownDialog`] once another
    /// dialog was chosen, [`ManagerError::TooManyForks`], [`ManagerError::RelayTaken`].
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
        // What the next phone's answer is for: the same offer, as another source.
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

    /// A later offer of ours, for a re-INVITE or an UPDATE: what `change` says, all of it or nothing.
    ///
    /// # Errors
    /// [`ManagerError::Glare`] while one waits for its answer, [`ManagerError::UnknownDialog`], [`ManagerError::Call`].
    pub fn reoffer(&mut self, now: Instant, dialog: &DialogId, change: &Change) -> Result<String, ManagerError> {
        self.propose(now, dialog, |call| {
            change.apply(call)?;
            call.offer()
        })
    }

    /// The offer of a session refresh (RFC 4028): what we said last, word for word ([`Call::refresh`]).
    ///
    /// # Errors
    /// As for [`reoffer`](Self::reoffer).
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

    /// Our later offer was refused (488, 491, a timeout): the call goes on as it was, and so do our wishes.
    ///
    /// # Errors
    /// [`ManagerError::NoOffer`] if none waits, [`ManagerError::UnknownDialog`].
    pub fn withdraw(&mut self, dialog: &DialogId) -> Result<(), ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        let leg = &mut self.legs[index];
        leg.offered.take().ok_or(ManagerError::NoOffer)?;
        leg.call.withdraw();
        Ok(())
    }

    /// This dialog was chosen: its phone was picked up (200). All others are left with a goodbye, and no further one
    /// can come.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`]: it has not answered our offer, or another one was chosen; the other side of
    /// that one gets its BYE.
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

    /// Ends this dialog with a goodbye; of a half one all that the INVITE has come to (CANCEL, or a final answer that
    /// is no 200). The calls, for their numbers, are given to `ended`.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`].
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
            // Before anybody has answered, or where nobody has a tag.
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

    /// Ends everything with goodbyes.
    pub fn end_all(&mut self, now: Instant) {
        while let Some(leg) = self.legs.pop() {
            self.leave(now, leg.call);
        }
        if let Some(fresh) = self.fresh.take() {
            self.leave(now, fresh.call);
        }
    }

    // What else is asked of it.

    /// The call of a dialog.
    pub fn call(&self, dialog: &DialogId) -> Option<&Call> {
        self.find(dialog).map(|index| &self.legs[index].call)
    }

    /// The same, to be changed: digits, taps, announcements. Offers and answers go through the session.
    pub fn call_mut(&mut self, dialog: &DialogId) -> Option<&mut Call> {
        self.find(dialog).map(|index| &mut self.legs[index].call)
    }

    /// The tags of the dialogs that there are.
    pub fn remote_tags(&self) -> impl Iterator<Item = &str> + '_ {
        self.legs.iter().map(|leg| &*leg.remote_tag)
    }

    /// Whether the other side has us on hold.
    pub fn is_held(&self, dialog: &DialogId) -> bool {
        self.find(dialog).is_some_and(|index| self.legs[index].watch.is_held())
    }

    /// Lets this early dialog be heard, and hear us, instead of the first that sounds.
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`].
    pub fn listen_to(&mut self, dialog: &DialogId) -> Result<(), ManagerError> {
        let index = self.find(dialog).ok_or(ManagerError::UnknownDialog)?;
        self.forks.listen_to(index);
        Ok(())
    }

    /// Rate in Hz and channels of the device that the session has from now on ([`Call::set_sound`]); of the dialogs to
    /// come too.
    ///
    /// # Errors
    /// [`ManagerError::Sound`]; nothing changes then.
    pub fn set_sound(&mut self, sound: (u32, u8)) -> Result<(), ManagerError> {
        Driven::set_sound(self, sound).map_err(ManagerError::Sound)
    }

    /// All that have the device's sound, or will have it.
    pub(super) fn calls(&mut self) -> impl Iterator<Item = &mut Call> {
        let fresh = self.fresh.iter_mut().map(|fresh| &mut fresh.call);
        fresh.chain(self.legs.iter_mut().map(|leg| &mut leg.call))
    }

    /// There was no device for so many samples a channel of the session's sound: time has gone on without sound.
    pub fn rest(&mut self, samples: usize) {
        self.legs.iter_mut().for_each(|leg| leg.call.rest(samples));
    }

    /// Tells when a recording of this dialog ends before its time ([`EventKind::RecordingEnded`]).
    ///
    /// # Errors
    /// [`ManagerError::UnknownDialog`].
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

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Events that had no room.
    pub fn dropped_events(&self) -> u64 {
        self.events.dropped()
    }

    /// Looks at the calls: what is worth an event, what is over. To be asked ten times a second while there is sound,
    /// and at [`next_deadline`](Self::next_deadline).
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

    /// When to ask [`transmit`](dsp_core::front::Media::transmit) and [`poll`](Self::poll) next, if no tick comes
    /// before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let unanswered = self.watching.unanswered;
        let fresh = self.fresh.iter().flat_map(|fresh| {
            [fresh.call.next_deadline(), fresh.offered.filter(|_| self.legs.is_empty()).map(|since| since + unanswered)]
        });
        let legs = self.legs.iter().flat_map(|leg| {
            let offered = leg.offered.map(|since| since + unanswered);
            [leg.call.next_deadline(), offered, leg.watch.deadline(now, &leg.call, &self.watching)]
        });
        // What it has to say leaves at once; what servers say is waited for.
        let wait = |leaving: &LeavingCall| if leaving.drained { now + Duration::from_millis(20) } else { now };
        let leaving = self.leaving.iter().map(|leaving| Some(wait(leaving)));
        fresh.chain(legs).chain(leaving).flatten().min()
    }

    /// Whether servers may still tell of candidates that the first offer or answer should have
    /// ([`Call::is_gathering`]).
    #[cfg(feature = "ice")]
    pub fn is_gathering(&self, now: Instant) -> bool {
        self.fresh.as_ref().is_some_and(|fresh| fresh.call.is_gathering(now))
    }

    /// Whether all that is left to do is to say goodbye.
    pub fn is_ending(&self) -> bool {
        self.fresh.is_none() && self.legs.is_empty()
    }

    /// Whether nothing is left of it.
    pub fn is_over(&self) -> bool {
        self.is_ending() && self.leaving.is_empty()
    }

    // Within.

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

/// Whether TURN servers have an address of a call's that they should have back.
fn has_servers(call: &Call) -> bool {
    #[cfg(feature = "ice")]
    return call.is_leaving();
    #[cfg(not(feature = "ice"))]
    {
        let _ = call;
        false
    }
}
