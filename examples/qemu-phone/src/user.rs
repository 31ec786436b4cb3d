//! The phone's user, by a script: what a hand does with the receiver and the keys, and at which second. The hook switch's contact is read
//! each tick, and what comes of both goes through the desk.

use dsp_core::time::{Duration, Instant};
use dsp_core::tone::{Country, EventCode};
use host_embedded::desk::{AudioPath, Desk, Request, Signal, UserInput};
use host_embedded::hook::{HookEvent, HookSwitch};
use host_embedded::parts::PhoneParts;
use host_embedded::phone::PhoneOf;
use host_embedded::tones::TonePlayer;

use crate::semihosting::say;

/// What a hand does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The receiver is lifted, or put down.
    Lift,
    PutDown,
    Key(UserInput),
    /// A third one is called and taken into the call, or let go.
    Join,
}

impl Act {
    /// By its name on the command line.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "lift" => Self::Lift,
            "put-down" => Self::PutDown,
            "speaker" => Self::Key(UserInput::SpeakerKey),
            "headset" => Self::Key(UserInput::HeadsetKey),
            "mute" => Self::Key(UserInput::MuteKey),
            "hold" => Self::Key(UserInput::HoldKey),
            "join" => Self::Join,
            _ => return None,
        })
    }
}

/// So much may be asked for.
const ACTS: usize = 24;

/// What is done when.
#[derive(Clone, Copy)]
pub(crate) struct Script([Option<(Act, Duration)>; ACTS]);

impl Script {
    pub(crate) const EMPTY: Self = Self([None; ACTS]);

    /// `None` if there is no room for more.
    pub(crate) fn add(&mut self, act: Act, at: Duration) -> Option<()> {
        *self.0.iter_mut().find(|slot| slot.is_none())? = Some((act, at));
        Some(())
    }

    pub(crate) fn has(&self, act: Act) -> bool {
        self.0.iter().flatten().any(|(one, _)| *one == act)
    }

    /// The first that is due and wasn't done.
    fn next(&mut self, since: Duration) -> Option<Act> {
        let due = self.0.iter_mut().filter(|slot| slot.is_some_and(|(_, at)| since >= at));
        due.min_by_key(|slot| slot.map(|(_, at)| at))?.take().map(|(act, _)| act)
    }
}

/// What is asked of the call.
pub(crate) enum Wish {
    Of(Request),
    Join,
}

pub(crate) struct User {
    script: Script,
    begun: Option<Instant>,
    /// The hook switch's contact.
    lifted: bool,
    hook: HookSwitch,
    desk: Desk,
    pub(crate) tones: TonePlayer,
}

impl User {
    pub(crate) fn new(script: Script, rate_hz: u32) -> Self {
        let country = Country::of("de").expect("it has tones");
        let (hook, desk, tones) = (HookSwitch::new(), Desk::new(country), TonePlayer::new(rate_hz));
        Self { script, begun: None, lifted: false, hook, desk, tones }
    }

    /// The receiver is lifted before there is any sound: to call, or to answer at once.
    pub(crate) fn lift(&mut self) {
        self.lifted = true;
        // The contact itself is told within the first ticks, and changes nothing then.
        self.desk.input(UserInput::Hook(HookEvent::OffHook));
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.desk.signal(signal);
    }

    /// Reads the contact and the script; times count from the first call on.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Wish> {
        let begun = *self.begun.get_or_insert(now);
        let asked = self.hook.read(now, self.lifted).and_then(|event| self.desk.input(UserInput::Hook(event)));
        if asked.is_some() {
            return asked.map(Wish::Of);
        }
        match self.script.next(now.since(begun))? {
            Act::Lift => self.lifted = true,
            Act::PutDown => self.lifted = false,
            Act::Key(key) => return self.desk.input(key).map(Wish::Of),
            Act::Join => return Some(Wish::Join),
        }
        None
    }

    /// A digit's key; what it asks for.
    pub(crate) fn digit(&mut self, digit: EventCode) -> Option<Request> {
        self.desk.input(UserInput::Digit(digit))
    }

    /// Phone and tones follow the desk; where the sound goes from now on, if that has changed.
    pub(crate) fn apply<P: PhoneParts, const TICK: usize>(
        &mut self,
        phone: Option<&mut PhoneOf<P, TICK, 0>>,
    ) -> Option<AudioPath> {
        let path = self.desk.apply(phone, &mut self.tones)?;
        let name = match path {
            AudioPath::Handset => "handset",
            AudioPath::Headset => "headset",
            AudioPath::Speaker => "speaker",
        };
        say!("path={name}");
        Some(path)
    }
}
