//! A user at a desk phone.

use dsp_core::front::{CaptureBlock, Near};
use dsp_core::tone::Digit;

use super::*;
use crate::phone::{PhoneConfig, PhoneWith};

const ON: UserInput = UserInput::Hook(HookEvent::OnHook);
const OFF: UserInput = UserInput::Hook(HookEvent::OffHook);

fn desk() -> Desk {
    Desk::new(Country::of("de").expect("a country"))
}

/// A canceller that counts how often it forgot what it had learnt.
struct Forgets(u32);

impl CaptureBlock<i16> for Forgets {
    fn process(&mut self, _: &mut [i16], _: &Near<'_>) {}
    fn reset(&mut self) {
        self.0 += 1;
    }
    fn delay_samples(&self) -> usize {
        0
    }
}

fn phone() -> PhoneWith<Forgets, 80> {
    PhoneWith::with_block(PhoneConfig::default(), Forgets(0)).expect("a phone")
}

#[test]
fn a_call_is_made_with_the_receiver_and_moved_to_the_loudspeaker_and_back() {
    let (mut desk, mut phone, mut tones) = (desk(), phone(), TonePlayer::new(8_000));
    let five = Digit::from_char('5').expect("a digit").event_code();
    assert_eq!(desk.input(OFF), Some(Request::Dial));
    assert_eq!(desk.apply(Some(&mut phone), &mut tones), None);
    assert!(tones.is_playing(), "the dial tone");
    assert_eq!(desk.input(UserInput::Digit(five)), Some(Request::Dialled(five)));
    desk.apply(Some(&mut phone), &mut tones);
    assert!(!tones.is_playing());
    desk.signal(Signal::Called);
    desk.signal(Signal::Ringing);
    desk.apply(Some(&mut phone), &mut tones);
    assert!(tones.is_playing(), "ringback");
    desk.signal(Signal::Answered);
    desk.apply(Some(&mut phone), &mut tones);
    assert!(!tones.is_playing() && desk.state() == CallState::Talking);
    assert_eq!(desk.input(UserInput::Digit(five)), Some(Request::Press(five)));
    for (path, times) in [(AudioPath::Speaker, 1), (AudioPath::Headset, 2), (AudioPath::Handset, 3)] {
        let key = if path == AudioPath::Speaker { UserInput::SpeakerKey } else { UserInput::HeadsetKey };
        assert_eq!(desk.input(key), None);
        assert_eq!(desk.apply(Some(&mut phone), &mut tones), Some(path));
        // Told once, and the canceller has forgotten the path before.
        assert_eq!(desk.apply(Some(&mut phone), &mut tones), None);
        assert_eq!(phone.front().block(0).map(|block| block.0), Some(times));
    }
    assert_eq!(desk.input(UserInput::MuteKey), None);
    desk.apply(Some(&mut phone), &mut tones);
    assert!(phone.front().microphone_muted());
    assert_eq!(desk.input(UserInput::HoldKey), Some(Request::Hold));
    assert_eq!(desk.input(UserInput::HoldKey), Some(Request::Resume));
    assert_eq!(desk.input(UserInput::Hook(HookEvent::Flash)), Some(Request::Flash));
    assert_eq!(desk.input(ON), Some(Request::HangUp));
    desk.apply(Some(&mut phone), &mut tones);
    assert!(!phone.front().microphone_muted() && desk.state() == CallState::Idle);
}

#[test]
fn it_rings_is_answered_and_ends_in_every_way() {
    let mut tones = TonePlayer::new(8_000);
    let rung = |tones: &mut TonePlayer| {
        let mut desk = desk();
        desk.signal(Signal::Invite);
        assert_eq!(desk.apply(None::<&mut PhoneWith<Forgets, 80>>, tones), Some(AudioPath::Speaker));
        assert!(tones.is_playing());
        desk
    };
    // The caller gives up.
    let mut desk = rung(&mut tones);
    desk.signal(Signal::Ended);
    assert_eq!(desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones), Some(AudioPath::Handset));
    assert!(!tones.is_playing() && desk.state() == CallState::Idle);
    // Answered by the loudspeaker's key, and ended by it.
    let mut desk = rung(&mut tones);
    assert_eq!(desk.input(UserInput::SpeakerKey), Some(Request::Answer));
    assert_eq!(desk.input(UserInput::SpeakerKey), Some(Request::HangUp));
    // Answered by the receiver; the other side hangs up, a tone says so, and the receiver is put down without a word.
    let mut desk = rung(&mut tones);
    assert_eq!(desk.input(OFF), Some(Request::Answer));
    desk.signal(Signal::Ended);
    desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones);
    assert!(tones.is_playing() && desk.state() == CallState::Over);
    assert_eq!(desk.input(ON), None);
    assert_eq!(desk.state(), CallState::Idle);
    // Another one calls meanwhile, and gives up.
    let mut desk = rung(&mut tones);
    assert_eq!(desk.input(OFF), Some(Request::Answer));
    desk.signal(Signal::Invite);
    desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones);
    assert!(tones.is_playing() && desk.state() == CallState::Talking, "call waiting");
    desk.signal(Signal::WaitingOver);
    desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones);
    assert!(!tones.is_playing());
    // Another one waits, and rings once the receiver is down.
    desk.signal(Signal::Invite);
    assert_eq!(desk.input(ON), Some(Request::HangUp));
    desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones);
    assert!(tones.is_playing() && desk.state() == CallState::Alerting);
}

/// Whatever comes in whatever order: at rest nothing is muted and no tone is heard, and who hangs up comes to rest.
#[test]
fn no_order_of_inputs_leaves_it_stuck() {
    let digit = Digit::from_char('1').expect("a digit").event_code();
    let inputs = [
        OFF,
        ON,
        UserInput::Hook(HookEvent::Flash),
        UserInput::SpeakerKey,
        UserInput::HeadsetKey,
        UserInput::MuteKey,
        UserInput::HoldKey,
        UserInput::Digit(digit),
    ];
    let signals = [
        Signal::Invite,
        Signal::Called,
        Signal::Ringing,
        Signal::EarlyMedia,
        Signal::Answered,
        Signal::Busy,
        Signal::Failed,
        Signal::Ended,
        Signal::WaitingOver,
    ];
    let mut state = 3u32;
    for _ in 0..2_000 {
        let (mut desk, mut tones) = (desk(), TonePlayer::new(8_000));
        for _ in 0..12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (state >> 16) as usize % (inputs.len() + signals.len());
            match inputs.get(pick) {
                Some(input) => drop(desk.input(*input)),
                None => desk.signal(signals[pick - inputs.len()]),
            }
            desk.apply(None::<&mut PhoneWith<Forgets, 80>>, &mut tones);
            if desk.state() == CallState::Idle {
                assert!(!desk.is_muted() && !tones.is_playing());
            }
        }
        // The receiver is put down, and the key of the path that is left pressed.
        desk.signal(Signal::WaitingOver);
        desk.signal(Signal::Ended);
        desk.input(ON);
        match desk.path() {
            AudioPath::Speaker if desk.state() != CallState::Idle => drop(desk.input(UserInput::SpeakerKey)),
            AudioPath::Headset if desk.state() != CallState::Idle => drop(desk.input(UserInput::HeadsetKey)),
            _ => {}
        }
        assert_eq!(desk.state(), CallState::Idle);
    }
}
