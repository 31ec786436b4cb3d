//! Sound and packets of a session: one call's, or those of several early dialogs that share sockets and device until
//! one is chosen.
//!
//! A datagram is assigned to one of several dialogs as follows: a STUN check names its dialog by its user name (RFC 8445, 7.2.2);
//! any other datagram goes to the dialog that last received from its address, or whose description names the address; failing
//! that, to any dialog that can accept it: with SRTP only the one that has the key, with plain RTP the first that accepts it. One
//! of the dialogs is heard, the first whose sound comes unless the user chose another, and the microphone's sound is sent to that
//! one alone: a phone that is still ringing must not receive it (RFC 3960, 3.2). The others are sent silence, so that relays on
//! their paths learn our address.

use std::net::SocketAddr;

use dsp_core::front::Media;
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::time::Instant;

use super::EventKind;
use super::session::{Leg, Session};
use crate::session::{Call, CallDigit, CallError, CallTone, Channel, Driven, HostFront, Incoming, Missed, Transmit};

/// Samples of the longest tick: 120 ms at 48 kHz in stereo.
const LONGEST: usize = 11_520;
/// The longest datagram.
const DATAGRAM_BYTES: usize = 65_535;
/// Addresses whose dialog is known.
const ROUTES: usize = 32;

/// The state that several dialogs share.
#[derive(Default)]
pub(super) struct Forks {
    /// The index of the dialog that is heard.
    heard: usize,
    /// Whether the user chose it.
    chosen: bool,
    routes: Vec<(SocketAddr, usize)>,
    /// A datagram as it came, for the next that may take it.
    copy: Vec<u8>,
    /// A buffer for the sound of dialogs that aren't heard, and for silence.
    scratch: Vec<i16>,
}

impl Forks {
    /// There are several from now on.
    pub(super) fn make_room(&mut self) {
        self.scratch.resize(LONGEST, 0);
        self.copy.reserve(DATAGRAM_BYTES);
        self.routes.reserve(ROUTES);
    }

    pub(super) fn listen_to(&mut self, index: usize) {
        (self.heard, self.chosen) = (index, true);
    }

    /// Removes this dialog; those after it move up.
    pub(super) fn forget(&mut self, index: usize) {
        self.routes.clear();
        if self.heard == index {
            (self.heard, self.chosen) = (0, false);
        } else if self.heard > index {
            self.heard -= 1;
        }
    }

    fn route(&self, from: SocketAddr) -> Option<usize> {
        self.routes.iter().find(|(known, _)| *known == from).map(|(_, index)| *index)
    }

    fn learn(&mut self, from: SocketAddr, index: usize) {
        match self.routes.iter_mut().find(|(known, _)| *known == from) {
            Some((_, known)) => *known = index,
            None => {
                if self.routes.len() == ROUTES {
                    self.routes.remove(0);
                }
                self.routes.push((from, index));
            }
        }
    }
}

impl Leg {
    /// Returns whether its description, or its path, has this address.
    fn is_at(&self, from: SocketAddr) -> bool {
        let named = |transport: &crate::sdp::NegotiatedTransport| [transport.remote_rtp, transport.remote_rtcp];
        let named = self.call.negotiated_transport().map(named);
        named.is_some_and(|named| named.contains(&from)) || self.call.destination(Channel::Rtp) == Some(from)
    }

    fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let incoming = self.call.receive(now, channel, from, datagram);
        self.sounds |= matches!(incoming, Incoming::Audio(_));
        incoming
    }
}

/// Returns whether a call could make use of a datagram.
fn is_taken(incoming: &Incoming) -> bool {
    !matches!(incoming, Incoming::Foreign | Incoming::Refused(_) | Incoming::Ignored)
}

impl Session {
    /// Takes in a datagram that arrived at `now` on one of the session's ports, as [`Call::receive`].
    pub fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) -> Incoming {
        let incoming = match self.legs.as_mut_slice() {
            [] => match self.leaving.last_mut() {
                Some(leaving) => leaving.call.receive(now, channel, from, datagram),
                None => self.fresh_call().map_or(Incoming::Ignored, |call| call.receive(now, channel, from, datagram)),
            },
            [one] => one.receive(now, channel, from, datagram),
            _ => self.receive_of_several(now, channel, from, datagram),
        };
        self.collect(now);
        incoming
    }

    fn receive_of_several(
        &mut self,
        now: Instant,
        channel: Channel,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Incoming {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Self { legs, forks, .. } = self;
        #[cfg(feature = "ice")]
        if let Some(index) = legs.iter().position(|leg| leg.call.is_checked_by(datagram)) {
            return legs[index].receive(now, channel, from, datagram);
        }
        let first = forks.route(from).or_else(|| legs.iter().position(|leg| leg.is_at(from))).unwrap_or(0);
        forks.copy.clear();
        forks.copy.extend_from_slice(datagram);
        let mut last = legs[first].receive(now, channel, from, datagram);
        if is_taken(&last) {
            forks.learn(from, first);
            return last;
        }
        for index in (0..legs.len()).filter(|index| *index != first) {
            datagram.copy_from_slice(&forks.copy);
            let incoming = legs[index].receive(now, channel, from, datagram);
            if is_taken(&incoming) {
                forks.learn(from, index);
                return incoming;
            }
            last = incoming;
        }
        last
    }

    /// The early dialog that is heard now.
    fn heard(&mut self) -> usize {
        let Self { legs, forks, .. } = self;
        let silent = |index: usize| legs.get(index).is_none_or(|leg| !leg.sounds);
        if !forks.chosen
            && silent(forks.heard)
            && let Some(sounding) = legs.iter().position(|leg| leg.sounds)
        {
            forks.heard = sounding;
        }
        forks.heard.min(legs.len().saturating_sub(1))
    }

    /// Digits and tones of the other side become events.
    fn collect(&mut self, now: Instant) {
        for index in 0..self.legs.len() {
            while let Some(digit) = self.legs[index].call.next_digit() {
                self.tell(now, self.legs[index].remote_tag.clone(), EventKind::Digit(digit));
            }
            while let Some(tone) = self.legs[index].call.next_tone() {
                self.tell(now, self.legs[index].remote_tag.clone(), EventKind::Tone(tone));
            }
        }
    }
}

/// The session as a front end sees a call.
impl Media for Session {
    type Transmit = Transmit;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        let (heard, channels) = (self.heard(), self.channels());
        let played = match self.legs.as_mut_slice() {
            [] => {
                pcm.fill(0);
                Played { silence: pcm.len() as u32 / channels, ..Played::default() }
            }
            [one] => one.call.play(now, pcm),
            several => {
                let mut played = Played::default();
                for (index, leg) in several.iter_mut().enumerate() {
                    if index == heard {
                        played = leg.call.play(now, pcm);
                    } else {
                        let count = pcm.len().min(LONGEST);
                        leg.call.play(now, &mut self.forks.scratch[..count]);
                    }
                }
                played
            }
        };
        self.collect(now);
        played
    }

    fn microphone(&mut self, captured_at: Instant, pcm: &[i16]) {
        let heard = self.heard();
        if let Some(leg) = self.legs.get_mut(heard) {
            leg.call.microphone(captured_at, pcm);
        }
    }

    fn hear_activity(&mut self, activity: Option<Activity>) {
        let heard = self.heard();
        for (index, leg) in self.legs.iter_mut().enumerate() {
            let activity = activity.filter(|_| index == heard);
            Media::hear_activity(&mut leg.call, activity);
        }
    }

    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        let heard = self.heard();
        let Self { legs, forks, .. } = self;
        for (index, leg) in legs.iter_mut().enumerate() {
            if index == heard {
                leg.call.capture(captured_at, pcm);
            } else {
                let silence = &mut forks.scratch[..pcm.len().min(LONGEST)];
                silence.fill(0);
                leg.call.capture(captured_at, silence);
            }
        }
    }

    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Transmit> {
        for leaving in &mut self.leaving {
            if let Some(transmit) = leaving.call.transmit(now, datagram) {
                return Some(transmit);
            }
            leaving.drained = true;
        }
        if let Some(transmit) = self.fresh_call().and_then(|call| call.transmit(now, datagram)) {
            return Some(transmit);
        }
        self.legs.iter_mut().find_map(|leg| leg.call.transmit(now, datagram))
    }
}

impl Driven for Session {
    fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) {
        Session::receive(self, now, channel, from, datagram);
    }

    fn count(&mut self, missed: Missed, datagrams: u32) {
        if let Some(leg) = self.legs.first_mut() {
            leg.call.count(missed, datagrams);
        } else if let Some(call) = self.fresh_call() {
            call.count(missed, datagrams);
        }
    }

    fn set_sound(&mut self, sound: (u32, u8)) -> Result<(), CallError> {
        let before = self.sound;
        for call in self.calls() {
            if let Err(error) = call.set_sound(Some(sound)) {
                // The first refuses what all would.
                let _ = call.set_sound(before);
                return Err(error);
            }
        }
        self.sound = Some(sound);
        #[cfg(feature = "record")]
        if before != self.sound {
            self.follow_sound();
        }
        Ok(())
    }

    fn break_off(&mut self) {
        self.calls().for_each(Call::break_off);
    }

    // Both are events.
    fn next_digit(&mut self) -> Option<CallDigit> {
        None
    }

    fn next_tone(&mut self) -> Option<CallTone> {
        None
    }

    fn tell_echo(&mut self, now: Instant, front: &mut HostFront) {
        let heard = self.heard();
        if let Some(leg) = self.legs.get_mut(heard) {
            leg.call.tell_echo(now, front);
        }
    }

    #[cfg(feature = "ice")]
    fn lose_server(&mut self, server: SocketAddr) {
        let fresh = self.fresh_call().map(|call| call.lose_server(server));
        let _ = fresh;
        self.legs.iter_mut().for_each(|leg| leg.call.lose_server(server));
    }

    #[cfg(feature = "ice")]
    fn is_leaving(&self) -> bool {
        self.leaving.iter().any(|leaving| leaving.call.is_leaving())
    }
}

impl Session {
    /// Says that this machine slept for this many samples of one channel ([`Call::skip`]).
    pub fn skip(&mut self, samples: usize) {
        self.legs.iter_mut().for_each(|leg| Call::skip(&mut leg.call, samples));
    }
}
