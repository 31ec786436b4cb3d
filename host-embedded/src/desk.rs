//! The desk phone as its user sees it: hook switch, keys for loudspeaker, headset, mute and hold, the audio path, the tone that
//! is heard, and the requests to the SIP stack.
//!
//! ```text
//! hook switch, keys -> Desk::input  -> Request -> SIP stack
//! SIP stack         -> Desk::signal
//! Desk::apply -> TonePlayer (ring, dial, ringback, busy), PhoneOf (mute, another echo path), AudioPath for the codec chip
//! ```
//!
//! Use it in firmware that has a receiver and keys of its own: it decides what each of them means in each state of a call. It is a state
//! machine without time, audio or network of its own: each input returns at most one request, and [`Desk::apply`]
//! brings phone and tones to where the state wants them. Memory: some 60 bytes.
//!
//! Limits: one call and one that waits. A second call, as for a [conference](crate::three_way), is the SIP stack's task, and so
//! is the meaning of a hook flash.
//!
//! ```
//! use dsp_core::tone::Country;
//! use host_embedded::desk::{AudioPath, CallState, Desk, UserInput, Request, Signal};
//! use host_embedded::hook::HookEvent;
//!
//! let mut desk = Desk::new(Country::of("de").expect("it has tones"));
//! desk.signal(Signal::Invite);
//! assert_eq!(desk.path(), AudioPath::Speaker); // it rings
//! assert_eq!(desk.input(UserInput::Hook(HookEvent::OffHook)), Some(Request::Answer));
//! assert_eq!((desk.state(), desk.path()), (CallState::Talking, AudioPath::Handset));
//! desk.input(UserInput::SpeakerKey);
//! // The receiver goes back to its cradle: the call goes on over the loudspeaker.
//! assert_eq!(desk.input(UserInput::Hook(HookEvent::OnHook)), None);
//! assert_eq!(desk.path(), AudioPath::Speaker);
//! assert_eq!(desk.input(UserInput::SpeakerKey), Some(Request::HangUp));
//! ```

use dsp_core::tone::{Country, EventCode, ProgressTone, Segment};

use crate::hook::HookEvent;
use crate::parts::PhoneParts;
use crate::phone::PhoneOf;
use crate::tones::{LEVEL, RING, TonePlayer};

/// The phone's microphone and loudspeaker that a call uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AudioPath {
    /// The receiver in the hand.
    #[default]
    Handset,
    /// A headset.
    Headset,
    /// Loudspeaker and microphone of the case. It rings here, too.
    Speaker,
}

#[cfg(feature = "codec-chips")]
impl From<AudioPath> for crate::codec_chips::Route {
    fn from(path: AudioPath) -> Self {
        match path {
            AudioPath::Handset => Self::Handset,
            AudioPath::Headset => Self::Headset,
            AudioPath::Speaker => Self::Speakerphone,
        }
    }
}

/// The state of the call, as the user hears it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CallState {
    /// No call, and nothing to be heard.
    #[default]
    Idle,
    /// A call comes in, and the phone rings.
    Alerting,
    /// Digits are dialled. The dial tone is heard until the first.
    Dialing,
    /// The other side is called.
    Calling,
    /// There is a call. It may be on hold by the other side.
    Talking,
    /// The call is on hold by this side.
    Held,
    /// There is no call any more, or there never was: a tone says so until the user hangs up.
    Over,
}

/// An action of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserInput {
    /// The hook switch.
    Hook(HookEvent),
    /// The key of the loudspeaker.
    SpeakerKey,
    /// The key of the headset.
    HeadsetKey,
    /// The key that mutes the microphone.
    MuteKey,
    /// The key that holds and resumes.
    HoldKey,
    /// A digit.
    Digit(EventCode),
}

/// An event from the SIP stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Signal {
    /// An INVITE has come. During a call it's a call waiting, which a tone announces.
    Invite,
    /// The number is complete, and the other side is called.
    Called,
    /// The other phone rings (180) and sends no early media.
    Ringing,
    /// Sound comes before the answer (183 with a description).
    EarlyMedia,
    /// The other side has answered.
    Answered,
    /// The other side is busy (486, 600).
    Busy,
    /// The call can't be completed (4xx, 5xx and 6xx other than those above).
    Failed,
    /// The other side has hung up, or its call was withdrawn before it was answered.
    Ended,
    /// The waiting call was withdrawn or taken.
    WaitingOver,
}

/// A request to the SIP stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Answer the call that rings (200).
    Answer,
    /// Digits will come.
    Dial,
    /// A digit of the number that is dialled.
    Dialled(EventCode),
    /// A digit in the call: to [`PhoneOf::press`].
    Press(EventCode),
    /// End the call or the call attempt (BYE, CANCEL).
    HangUp,
    /// Put the other side on hold (an offer with `sendonly`).
    Hold,
    /// Take it back.
    Resume,
    /// A hook flash: switch to the call that waits, say.
    Flash,
}

/// The state of a desk phone.
///
/// In this example the user calls a phone that is busy, until the receiver is put down:
///
/// ```
/// use dsp_core::tone::{Country, Digit};
/// use host_embedded::desk::{AudioPath, CallState, Desk, UserInput, Request, Signal};
/// use host_embedded::hook::HookEvent;
/// use host_embedded::phone::Phone;
/// use host_embedded::tones::TonePlayer;
///
/// let (mut desk, mut tones) = (Desk::new(Country::of("us").expect("it has tones")), TonePlayer::new(8_000));
/// assert_eq!(desk.input(UserInput::Hook(HookEvent::OffHook)), Some(Request::Dial));
/// // The dial tone, over the handset, where the sound went before.
/// assert_eq!((desk.apply(None::<&mut Phone>, &mut tones), desk.path()), (None, AudioPath::Handset));
/// assert!(tones.is_playing());
/// let five = Digit::Five.into();
/// assert_eq!(desk.input(UserInput::Digit(five)), Some(Request::Dialled(five)));
/// desk.signal(Signal::Called);
/// desk.signal(Signal::Busy);
/// assert_eq!(desk.state(), CallState::Over);
/// desk.input(UserInput::Hook(HookEvent::OnHook));
/// assert_eq!(desk.state(), CallState::Idle);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Desk {
    country: &'static Country,
    state: CallState,
    path: AudioPath,
    muted: bool,
    lifted: bool,
    /// The tone that is heard in this state.
    tone: Option<&'static [Segment]>,
    waiting: bool,
    /// The state that was applied last.
    applied: Applied,
}

#[derive(Clone, Copy, Debug)]
struct Applied {
    path: AudioPath,
    tone: Option<&'static [Segment]>,
}

impl Desk {
    /// Creates a phone at rest, with the tones of this country.
    pub const fn new(country: &'static Country) -> Self {
        Self {
            country,
            state: CallState::Idle,
            path: AudioPath::Handset,
            muted: false,
            lifted: false,
            tone: None,
            waiting: false,
            applied: Applied { path: AudioPath::Handset, tone: None },
        }
    }

    /// Returns the state of the call.
    pub fn state(&self) -> CallState {
        self.state
    }

    /// Returns the audio path: the loudspeaker while the phone rings.
    pub fn path(&self) -> AudioPath {
        if self.state == CallState::Alerting { AudioPath::Speaker } else { self.path }
    }

    /// Returns whether the microphone is muted.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// Takes in a user's action. An action without a meaning in this state does nothing.
    pub fn input(&mut self, input: UserInput) -> Option<Request> {
        match input {
            UserInput::Hook(HookEvent::OffHook) => {
                self.lifted = true;
                self.take_up(AudioPath::Handset)
            }
            UserInput::Hook(HookEvent::OnHook) => {
                self.lifted = false;
                let rings_or_rests = matches!(self.state, CallState::Idle | CallState::Alerting);
                if self.path == AudioPath::Handset && !rings_or_rests { self.hang_up() } else { None }
            }
            UserInput::Hook(HookEvent::Flash) => (self.state == CallState::Talking).then_some(Request::Flash),
            UserInput::SpeakerKey => self.path_key(AudioPath::Speaker),
            UserInput::HeadsetKey => self.path_key(AudioPath::Headset),
            UserInput::MuteKey => {
                self.muted = !self.muted && self.has_call();
                None
            }
            UserInput::HoldKey => match self.state {
                CallState::Talking => self.enter(CallState::Held, None, Some(Request::Hold)),
                CallState::Held => self.enter(CallState::Talking, None, Some(Request::Resume)),
                _ => None,
            },
            UserInput::Digit(digit) => match self.state {
                CallState::Dialing => self.enter(CallState::Dialing, None, Some(Request::Dialled(digit))),
                CallState::Talking => Some(Request::Press(digit)),
                _ => None,
            },
        }
    }

    /// Takes in an event from the SIP stack.
    pub fn signal(&mut self, signal: Signal) {
        let progress = |tone| Some(self.country.tone(tone));
        match (signal, self.state) {
            (Signal::Invite, CallState::Idle) => self.go(CallState::Alerting, Some(&RING)),
            (Signal::Invite, _) => self.waiting = true,
            (Signal::WaitingOver, _) => self.waiting = false,
            (Signal::Called, CallState::Dialing) => self.go(CallState::Calling, None),
            (Signal::Ringing, CallState::Dialing | CallState::Calling) => {
                self.go(CallState::Calling, progress(ProgressTone::Ringing));
            }
            (Signal::EarlyMedia, CallState::Dialing | CallState::Calling) => self.go(CallState::Calling, None),
            (Signal::Answered, CallState::Dialing | CallState::Calling) => self.go(CallState::Talking, None),
            (Signal::Busy, CallState::Dialing | CallState::Calling) => {
                self.go(CallState::Over, progress(ProgressTone::Busy));
            }
            (Signal::Ended, CallState::Alerting) => self.rest(),
            (Signal::Failed | Signal::Ended, state) if state != CallState::Idle && state != CallState::Over => {
                // A user without the receiver in hand needs no tone as a prompt to hang up.
                match self.path {
                    AudioPath::Handset if self.lifted => self.go(CallState::Over, progress(ProgressTone::Congestion)),
                    _ => self.rest(),
                }
            }
            _ => {}
        }
    }

    /// Brings the tones and the phone in line with the state; `phone` is `None` while there is no call. Returns the audio path if
    /// it has changed, for the codec chip; the echo canceller has already been informed.
    pub fn apply<P: PhoneParts, const TICK: usize, const HISTORY: usize>(
        &mut self,
        phone: Option<&mut PhoneOf<P, TICK, HISTORY>>,
        tones: &mut TonePlayer,
    ) -> Option<AudioPath> {
        let call_waiting = self.country.tone(ProgressTone::CallWaiting);
        let tone = self.tone.or((self.waiting && self.state == CallState::Talking).then_some(call_waiting));
        let wanted = Applied { path: self.path(), tone };
        let before = core::mem::replace(&mut self.applied, wanted);
        // Tones are statics, so comparing their addresses is enough.
        if tone.map(<[_]>::as_ptr) != before.tone.map(<[_]>::as_ptr) {
            match tone {
                // A rate that has no such tones has none; all of telephony has.
                Some(segments) => drop(tones.start(segments, LEVEL)),
                None => tones.stop(),
            }
        }
        let moved = wanted.path != before.path;
        if let Some(phone) = phone {
            phone.front().set_microphone_muted(self.muted);
            if moved {
                phone.change_path();
            }
        }
        moved.then_some(wanted.path)
    }

    fn has_call(&self) -> bool {
        matches!(self.state, CallState::Calling | CallState::Talking | CallState::Held)
    }

    /// The receiver is lifted, or a key of a path pressed where there was no sound.
    fn take_up(&mut self, path: AudioPath) -> Option<Request> {
        self.path = path;
        match self.state {
            CallState::Idle => {
                let tone = self.country.tone(ProgressTone::Dial);
                self.enter(CallState::Dialing, Some(tone), Some(Request::Dial))
            }
            CallState::Alerting => self.enter(CallState::Talking, None, Some(Request::Answer)),
            _ => None,
        }
    }

    fn path_key(&mut self, path: AudioPath) -> Option<Request> {
        let rests = matches!(self.state, CallState::Idle | CallState::Alerting);
        if rests || self.path != path {
            self.take_up(path)
        } else if self.lifted {
            self.path = AudioPath::Handset;
            None
        } else {
            self.hang_up()
        }
    }

    fn hang_up(&mut self) -> Option<Request> {
        let over = self.state == CallState::Over;
        self.rest();
        (!over).then_some(Request::HangUp)
    }

    /// Returns to rest after a call or a call attempt; a waiting call starts to ring.
    fn rest(&mut self) {
        (self.muted, self.path) = (false, AudioPath::Handset);
        match core::mem::take(&mut self.waiting) {
            true => self.go(CallState::Alerting, Some(&RING)),
            false => self.go(CallState::Idle, None),
        }
    }

    fn go(&mut self, state: CallState, tone: Option<&'static [Segment]>) {
        (self.state, self.tone) = (state, tone);
    }

    fn enter(
        &mut self,
        state: CallState,
        tone: Option<&'static [Segment]>,
        request: Option<Request>,
    ) -> Option<Request> {
        self.go(state, tone);
        request
    }
}

#[cfg(test)]
mod tests;
