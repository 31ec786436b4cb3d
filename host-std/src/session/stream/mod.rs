//! One stream of a call, both ways: sender, encoder and redundancy; sources, their receivers and decoders. It knows codecs
//! and sound, and neither address nor key.
//!
//! The effect of offers and answers on a stream is in `change`.

mod adapt;
mod capture;
mod change;
mod codecs;
mod conversion;
mod converted;
mod digits;
mod extended;
mod figures;
mod heard;
mod made;
mod need;
mod playing;
mod quality;
mod repeats;
mod sources;
mod tones;

use dsp_core::codec::Encoder;
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::send::{KeyPress, Sender};
use dsp_core::streams::budget::Priority;
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::tone::ProgressError;
use dsp_core::wire::extension::AudioLevel;
use dsp_core::wire::rtcp::{Compound, VoipMetrics};
use dsp_core::wire::rtp::RtpPacket;

use adapt::Adapted;
use capture::EncoderInput;
pub(super) use change::{StreamChange, StreamSetup};
use codecs::SentCodec;
pub(super) use codecs::offered;
pub(super) use conversion::Sound;
#[cfg(feature = "replay")]
pub(crate) use converted::Converted;
use digits::{DigitMethod, Digits};
pub use extended::Contributors;
use extended::Extended;
pub(super) use extended::LeavingPacket;
use heard::HeardTones;
use made::Made;
use playing::{Playing, ReplacedReceivers};
pub use quality::impairment;
use repeats::Repeats;
use sources::Listening;
pub(super) use sources::{Counted, Farewell};
pub use sources::{MAX_SOURCES, PACKET_BYTES, SourceStats};
use tones::InSound;

use super::digits::{CallDigit, DigitError, DigitStats};
use super::identity::InitialRtpState;
use super::outcome::{Directions, Incoming};
use super::own::HostDetector;
use super::tap::Tap;
use super::tones::{CallTone, SentTone};
use super::transport::{Claim, STRAGGLES};
use crate::registry::CodecFormat;
use crate::sdp::{EventSet, NegotiatedStream};

/// The time for which packets with our previous SSRC may loop back.
const LOOPS: Duration = Duration::from_secs(2);

/// The source that we were before.
#[derive(Clone, Copy)]
struct Former {
    ssrc: Ssrc,
    /// The number after the last that we sent.
    next: Seq,
    until: Instant,
}

/// The other side's last report on the packets that it receives.
#[derive(Clone, Copy, Default)]
pub(super) struct ReportedReception {
    pub(super) fraction_lost: Option<f32>,
    pub(super) jitter_ms: Option<f32>,
    pub(super) round_trip: Option<Duration>,
    pub(super) voip: Option<VoipMetrics>,
}

/// A sender with as much memory as its codec's packets need.
type StreamSender = Sender<Box<[i16]>, HostDetector>;

/// One stream of a call.
// The order of fields keeps those together that every tick touches.
#[repr(C)]
pub(super) struct Stream {
    sender: Box<StreamSender>,
    encoder: Box<dyn Encoder + Send>,
    redundancy: Option<Box<Repeats>>,
    /// Receivers that were replaced in the running call. Finished ones are kept until the next agreement: nothing is freed while
    /// sound runs.
    leaving: Option<Box<ReplacedReceivers>>,
    /// The receivers are new in a running call: packets of the codecs before may still be on their way.
    fresh: bool,
    /// It was closed by a later offer and answer: nothing is sent or heard.
    closed: bool,
    /// The time at which the last captured sound ended.
    captured: Option<Instant>,
    /// The time at which all its sources had said goodbye; `None` while any of them continues.
    left: Option<Instant>,
    former: Option<Former>,
    agreed: NegotiatedStream,
    sending: SentCodec,
    adapted: Adapted,
    digits: Box<Digits>,
    /// The header extensions of packets, where any were agreed on.
    extended: Option<Box<Extended>>,
    /// The user's sound on its way to the encoder.
    capture: EncoderInput,
    /// The other side's on its way to the user.
    heard: Playing,
    /// The counts of receivers that a new offer replaced, in samples of the user's sound.
    earlier: Counted,
    fraction_lost: Option<f32>,
    jitter_ms: Option<f32>,
    /// The round-trip time of the last report that contained it.
    round_trip: Option<Duration>,
    /// The capture chain's knowledge of the sound that comes next.
    activity: Option<Activity>,
    /// The generator of sound in place of the captured sound, once there was any.
    made: Option<Box<Made>>,
    /// Tones that were heard, where a detector is active.
    heard_tones: Option<Box<HeardTones>>,
}

impl Stream {
    /// Closes the stream: nothing is sent or accepted any more. Returns whether it was open.
    pub(super) fn close(&mut self) -> bool {
        self.sender.pause(0);
        if let Some(heard) = &mut self.heard_tones {
            heard.end();
        }
        !std::mem::replace(&mut self.closed, true)
    }

    /// Notes that the stream was agreed on again unchanged: a side that signals has not left.
    pub(super) fn goes_on(&mut self) {
        self.left = None;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the agreement.
    pub(super) fn agreed(&self) -> &NegotiatedStream {
        &self.agreed
    }

    /// Returns the directions of the stream.
    pub(super) fn directions(&self) -> Directions {
        let direction = self.agreed.direction;
        Directions { sends: !self.closed && direction.sends(), receives: !self.closed && direction.receives() }
    }

    /// Returns the codec that is sent, with the parameters on which both sides agreed.
    pub(super) fn codec(&self) -> &CodecFormat {
        &self.sending.agreed
    }

    /// Returns the user's sound.
    pub(super) fn sound(&self) -> Sound {
        self.capture.sound()
    }

    /// Returns the format of the receivers' sound, before it's converted to the user's.
    pub(super) fn received_sound(&self) -> Sound {
        self.receivers().sound()
    }

    fn receivers(&self) -> &Listening {
        self.heard.receivers()
    }

    /// Receivers that were replaced and are still heard.
    fn leaving(&self) -> Option<&ReplacedReceivers> {
        self.leaving.as_deref().filter(|leaving| !leaving.is_over())
    }

    fn leaving_mut(&mut self) -> Option<&mut ReplacedReceivers> {
        self.leaving.as_deref_mut().filter(|leaving| !leaving.is_over())
    }

    // The functions from here on handle incoming packets.

    /// Returns whether packets of this type were agreed on last.
    pub(super) fn expects(&self, packet: &RtpPacket<'_>) -> bool {
        let number = packet.payload_type();
        let is_event = || self.agreed.receive_events.iter().any(|events| events.payload_type == number);
        !self.closed && (self.agreed.receive.iter().any(|codec| codec.payload_type == number) || is_event())
    }

    /// Returns whether packets of this type can be played: those of codecs before may still be on their way.
    pub(super) fn knows(&self, packet: &RtpPacket<'_>) -> bool {
        let number = packet.payload_type();
        let leaving = || self.leaving().is_some_and(|leaving| leaving.playing().receivers().knows(number));
        !self.closed && (self.receivers().knows(number) || leaving())
    }

    /// Returns whether a source is heard here.
    pub(super) fn hears(&self, ssrc: Ssrc) -> bool {
        let leaving = || self.leaving().is_some_and(|leaving| leaving.playing().receivers().hears(ssrc));
        self.receivers().hears(ssrc) || leaving()
    }

    /// Returns whether no source was ever heard.
    pub(super) fn is_silent(&self) -> bool {
        self.receivers().reception().1 == 0
    }

    /// Returns whether the sources that were heard here have said goodbye.
    pub(super) fn has_left(&self) -> bool {
        self.left.is_some()
    }

    /// Returns the evidence of a packet for its sender, where it isn't authenticated.
    pub(super) fn claim(&self, packet: &RtpPacket<'_>) -> Claim {
        match self.receivers().claim(packet.ssrc(), packet.seq()) {
            Claim::Other(ssrc, seq) => match self.leaving() {
                Some(leaving) => leaving.playing().receivers().claim(ssrc, seq),
                None => Claim::Other(ssrc, seq),
            },
            claim => claim,
        }
    }

    /// Returns whether a packet is our own, or of the source that we were just before and still on its way. `seq`: of RTP.
    pub(super) fn is_own(&self, now: Instant, ssrc: Ssrc, seq: Option<Seq>) -> bool {
        let former = self.former.is_some_and(|former| {
            let sent = |seq: Seq| former.next.0.wrapping_sub(seq.0).wrapping_sub(1) < 1_000;
            former.ssrc == ssrc && now < former.until && seq.is_none_or(sent)
        });
        former || ssrc == self.sender.ssrc()
    }

    /// Takes in a packet that is believed. `agreed`: whether its payload type was agreed on.
    pub(super) fn receive(&mut self, now: Instant, packet: RtpPacket<'_>, agreed: bool) -> Incoming {
        let redundant = self.receivers().is_redundancy(packet.payload_type());
        let incoming = self.receive_sound(now, packet, agreed);
        if let (Some(extended), Incoming::Audio(_)) = (&mut self.extended, &incoming) {
            extended.hear(now, &packet);
        }
        self.digits.take(now, &packet, redundant, &incoming);
        incoming
    }

    fn receive_sound(&mut self, now: Instant, packet: RtpPacket<'_>, agreed: bool) -> Incoming {
        if self.closed || !self.agreed.direction.receives() {
            return Incoming::Ignored;
        }
        let number = packet.payload_type();
        if !agreed
            && let Some(leaving) = self.leaving_mut()
            && leaving.playing().receivers().knows(number)
        {
            // The packet is of an earlier codec and was still on its way.
            return leaving.receivers_mut().receive(now, packet);
        }
        if !self.may_receive(agreed) {
            return Incoming::Ignored;
        }
        self.left = self.left.filter(|left| now.since(*left) < STRAGGLES);
        self.heard.receivers_mut().receive(now, packet)
    }

    /// Takes in what claims to be RTP and is not: it is counted.
    pub(super) fn receive_malformed(&mut self, now: Instant, datagram: &[u8]) -> Incoming {
        if self.may_receive(false) {
            self.heard.receivers_mut().receive_malformed(now, datagram)
        } else {
            Incoming::Ignored
        }
    }

    fn may_receive(&mut self, agreed: bool) -> bool {
        if self.closed || !self.agreed.direction.receives() {
            return false;
        }
        if self.fresh {
            // Timestamps of the clock before would spoil the new one's delay.
            if !agreed {
                return false;
            }
            self.fresh = false;
        }
        true
    }

    /// Takes in a compound RTCP packet that was believed: clocks, names, goodbyes.
    pub(super) fn report(&mut self, now: Instant, compound: &Compound<'_>) -> Farewell {
        if let Some(leaving) = self.leaving_mut() {
            leaving.receivers_mut().report(now, compound);
        }
        match self.heard.receivers_mut().report(now, compound) {
            // That it is closed was signalled: it says nothing of the call.
            Farewell::Last if self.closed => Farewell::OneOfSeveral,
            Farewell::Last => {
                self.left = Some(now);
                Farewell::Last
            }
            farewell => farewell,
        }
    }

    /// The other side says how it receives us: the fraction of packets that it lost, in 1/256, and their jitter in
    /// ticks of the RTP clock.
    pub(super) fn set_remote(&mut self, now: Instant, fraction_lost: u8, jitter_ticks: u32) {
        self.fraction_lost = Some(f32::from(fraction_lost) / 256.0);
        if self.redundancy.as_mut().is_some_and(|redundancy| redundancy.hear(now, fraction_lost)) {
            self.adapt_again();
        }
        self.jitter_ms = Some(jitter_ticks as f32 / (self.sending.rtp_clock_hz() as f32 / 1_000.0));
    }

    /// Returns the jitter of our packets, as in the other side's last report.
    pub(super) fn remote_jitter(&self) -> Duration {
        Duration::from_micros((self.jitter_ms.unwrap_or(0.0) * 1e3) as u64)
    }

    /// Sets the cost of delay after a change of the round-trip time or of the codec.
    pub(super) fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.round_trip = round_trip;
        let SentCodec { agreed, delay_us, .. } = &self.sending;
        let told = quality::conversation(agreed, *delay_us, self.agreed.send_ptime_ms, round_trip);
        self.heard.receivers_mut().set_conversation(&told);
    }

    /// Forgets the received sound, because it was another sender's.
    pub(super) fn forget(&mut self) {
        self.heard.receivers_mut().forget();
    }

    pub(super) fn play(&mut self, now: Instant, pcm: &mut [i16], tap: Option<&mut dyn Tap>) -> Played {
        if self.closed {
            pcm.fill(0);
            let samples = self.sound().a_channel(pcm.len()) as u32;
            return Played { silence: samples, ..Played::default() };
        }
        let Self { digits, heard_tones, .. } = self;
        if let Some(heard) = heard_tones {
            heard.listen(now);
        }
        let mut played = self.heard.play(now, pcm, tap, |heard| match (heard, &mut *heard_tones) {
            (InSound::Digit(digit), _) => digits.hear(&digit),
            (InSound::Tone(tone), Some(heard)) => heard.hear(&tone),
            (InSound::Tone(_), None) => {}
        });
        let delay = self.heard.delay();
        if let Some(leaving) = self.leaving_mut() {
            leaving.play_under(now, pcm, &mut played, delay);
        }
        played
    }

    // The functions from here on handle outgoing sound.

    /// Sets the capture chain's knowledge of the sound that comes next.
    pub(super) fn hear_activity(&mut self, activity: Option<Activity>) {
        self.activity = activity;
        self.sender.set_speech(activity.map(|heard| heard.speech));
    }

    /// Takes the generated sound that is sent in place of the captured one, if there is any; `open`: whether anything may be
    /// sent. The caller has to put it back.
    pub(super) fn take_made(&mut self, open: bool) -> Option<Box<Made>> {
        let may_send = open && !self.closed && self.agreed.direction.sends();
        if !may_send && let Some(made) = &mut self.made {
            made.cut();
        }
        let made = self.made.take_if(|made| may_send && !made.is_silent())?;
        // A tone is no pause.
        self.sender.set_speech(Some(true));
        Some(made)
    }

    /// Puts it back.
    pub(super) fn put_made(&mut self, made: Box<Made>) {
        self.made = Some(made);
        self.sender.set_speech(self.activity.map(|heard| heard.speech));
    }

    /// Takes in a tick of sound, whose first sample was captured at `captured_at`. `open`: whether anything may be sent at all.
    /// Returns whether the tick was taken.
    pub(super) fn capture(&mut self, captured_at: Instant, pcm: &[i16], open: bool) -> bool {
        let sound = self.sound();
        self.captured = Some(captured_at + sound.duration(sound.a_channel(pcm.len())));
        if !open || self.closed || !self.agreed.direction.sends() {
            self.digits.cut();
            self.sender.pause(self.capture.pass(pcm));
            return true;
        }
        let sender = &mut self.sender;
        let refused = self.capture.give(pcm, |part| sender.capture(part).is_ok());
        if refused > 0 {
            // Packets were not fetched: the tick is lost, but not its time.
            self.sender.pause(refused);
        }
        refused == 0
    }

    /// Advances the media time without sound, by this many samples (a channel) of the user's.
    pub(super) fn pause(&mut self, samples: usize) {
        self.sender.pause(self.capture.skip(samples));
    }

    /// Bytes that header extensions add to a packet at most.
    pub(super) fn extension_bytes(&self) -> usize {
        let mid = self.agreed.mid.as_deref().map_or(0, str::len);
        if self.extended.is_some() { self.agreed.extensions.most_bytes(mid) } else { 0 }
    }

    /// Returns whether packets carry a transport-wide sequence number.
    pub(super) fn is_numbered(&self) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.is_numbered())
    }

    /// The number that a packet of the other side has among all of its transport.
    pub(super) fn number(&self, packet: &RtpPacket<'_>) -> Option<Seq> {
        self.extended.as_ref()?.number(packet)
    }

    /// Returns whether a packet names a stream, and whether it's this one; `None` if it names none, or names were not agreed on.
    pub(super) fn is_named(&self, packet: &RtpPacket<'_>) -> Option<bool> {
        let mid = self.extended.as_ref()?.mid(packet)?;
        Some(self.agreed.mid.as_ref().is_some_and(|own| own.as_bytes() == mid))
    }

    /// The other side has said how it hears this stream: it knows whose its packets are.
    pub(super) fn is_heard(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.is_heard();
        }
    }

    /// Returns the first source that is heard, and what its last packet said of its sound.
    pub(super) fn source_level(&self) -> Option<(Ssrc, Option<AudioLevel>)> {
        let ssrc = self.receivers().first().ssrc()?;
        // A level alone doesn't say whether there is speech.
        let extended = self.extended.as_ref().filter(|extended| extended.says_voice());
        Some((ssrc, extended.and_then(|extended| extended.told(ssrc)).and_then(|told| told.level)))
    }

    /// Returns whether the other side accepts the list of contributors to a mix, with their levels.
    pub(super) fn takes_contributors(&self) -> bool {
        !self.closed && self.extended.as_ref().is_some_and(|extended| extended.sends_contributors())
    }

    /// Sets the contributors to the sound that is captured next.
    pub(super) fn set_contributors(&mut self, contributors: &Contributors) {
        if let Some(extended) = &mut self.extended {
            extended.set_contributors(contributors);
        }
    }

    /// Puts the header extensions into a packet that [`packet`](Self::packet) gave.
    ///
    /// # Errors
    /// There is no room for them.
    pub(super) fn extend(
        &mut self,
        datagram: &mut [u8],
        len: usize,
        leaving: LeavingPacket,
    ) -> Result<usize, dsp_core::wire::rtp::WriteError> {
        let level = self.sender.level();
        match &mut self.extended {
            Some(extended) => extended.extend(datagram, len, level, leaving),
            None => Ok(len),
        }
    }

    /// Returns the next finished packet, before protection; `None` if there is none, an error if it doesn't fit.
    pub(super) fn packet(&mut self, datagram: &mut [u8]) -> Option<Result<usize, dsp_core::send::SendError>> {
        let event = self.sender.event(self.digits.keys(), datagram);
        if event.is_some() {
            return event;
        }
        let encoder = &mut *self.encoder;
        match &mut self.redundancy {
            Some(redundancy) => self.sender.packet_with_redundancy(encoder, redundancy.red(), datagram),
            None => self.sender.packet(encoder, datagram),
        }
    }

    // Digits.

    /// Presses keys, one after the other.
    pub(super) fn press(&mut self, keys: &[KeyPress]) -> Result<(), DigitError> {
        let waiting = self.made.as_ref().map_or(0, |made| made.waiting());
        if let DigitMethod::Tones = self.digits.press(keys, waiting)? {
            self.made.get_or_insert_with(Made::new).press(keys);
        }
        Ok(())
    }

    /// Sends a tone in place of the captured sound.
    pub(super) fn send_tone(&mut self, tone: &SentTone) -> Result<(), ProgressError> {
        let rate_hz = self.sound().rate_hz;
        self.made.get_or_insert_with(Made::new).send_tone(tone, rate_hz)
    }

    /// Ends the tone that is being sent; whether there was one.
    pub(super) fn end_tone(&mut self) -> bool {
        self.made.as_mut().is_some_and(|made| made.end_tone())
    }

    /// Returns the next report of a tone.
    pub(super) fn next_tone(&mut self) -> Option<CallTone> {
        self.heard_tones.as_mut()?.next()
    }

    /// Returns the events that the other side takes, if any were agreed on.
    pub(super) fn taken_events(&self) -> Option<EventSet> {
        self.digits.taken()
    }

    /// Returns the next report of a digit at `now`.
    pub(super) fn next_digit(&mut self, now: Instant) -> Option<CallDigit> {
        self.digits.next(now)
    }

    pub(super) fn digit_stats(&self) -> DigitStats {
        let own = self.digits.stats();
        let Some(made) = &self.made else { return own };
        DigitStats {
            sent: own.sent.saturating_add(made.begun()),
            sent_in_band: made.begun(),
            waiting: own.waiting + made.waiting() as u32,
            ..own
        }
    }

    /// Continues as another source.
    pub(super) fn change_source(&mut self, now: Instant, source: InitialRtpState) {
        // To the other side it would be another event, since the source is another.
        self.digits.cut();
        self.former = Some(Former { ssrc: self.sender.ssrc(), next: self.sender.seq(), until: now + LOOPS });
        self.heard.receivers_mut().set_own(source.ssrc);
        if let Some(leaving) = &mut self.leaving {
            leaving.receivers_mut().set_own(source.ssrc);
        }
        self.sender.change_source(source.ssrc, source.seq, source.timestamp);
        if let Some(extended) = &mut self.extended {
            extended.begin();
        }
    }

    pub(super) fn set_priority(&mut self, ssrc: Ssrc, priority: Priority) -> bool {
        self.heard.receivers_mut().set_priority(ssrc, priority)
    }
}
