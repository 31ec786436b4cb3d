//! The effect of offers and answers on a stream, in two steps: [`Stream::prepare`] makes all that is new, and can fail;
//! [`Stream::change`] puts it in place, and can't.

use dsp_core::codec::{CodecInfo, Encoder};
use dsp_core::process::activity::EnergyGate;
use dsp_core::receive::ReceiverConfig;
use dsp_core::send::{HostRedundancy, SenderConfig};
use dsp_core::streams::budget::Budget;
use dsp_core::time::{PayloadType, Ssrc};
use dsp_core::tone::Country;

use super::adapt::Adapted;
use super::capture::EncoderInput;
use super::codecs::{Decoders, ReceivableFormats, ReceivedSound, SentCodec};
use super::conversion::Sound;
use super::digits::Digits;
use super::extended::Extended;
use super::playing::{self, Playing, ReplacedReceivers};
use super::repeats::Repeats;
use super::sources::{Counted, Listening};
use super::tones::WantedTones;
use super::{Stream, StreamSender};
use crate::registry::Registry;
use crate::sdp::{NegotiatedStream, Offered};
use crate::session::adapter::PACKETS_MS;
use crate::session::config::CallSettings;
use crate::session::digits::ToneDetection;
use crate::session::identity::InitialRtpState;
use crate::session::outcome::CallError;
use crate::session::own::{HostDetector, OwnStrategy};

/// The setup that all streams of a call share.
#[derive(Clone, Copy)]
pub(in crate::session) struct StreamSetup<'a> {
    pub(in crate::session) registry: &'a Registry,
    pub(in crate::session) settings: &'a CallSettings,
    /// The number of earlier packets that a packet repeats.
    pub(in crate::session) redundancy: u8,
}

/// The change of a stream by a later offer and answer.
pub(in crate::session) struct StreamChange {
    agreed: NegotiatedStream,
    sending: SentCodec,
    encoder: Box<dyn Encoder + Send>,
    redundancy: Option<Box<Repeats>>,
    noise: Option<(PayloadType, HostDetector)>,
    extended: Option<Box<Extended>>,
    /// The voice detector, where packets carry their level.
    levels: Option<HostDetector>,
    /// Other receivers, where the sound is another; else more decoders for those there are.
    heard: Option<Playing>,
    more: Vec<Decoders>,
    /// The conversion of the user's sound to the codec's, where either changes, and below it that of the existing receivers to
    /// the user's sound, where that changes.
    capture: Option<EncoderInput>,
    replayed: Option<playing::OtherSound>,
    switches: bool,
    /// Memory of the sender, where packets are longer than any before.
    room: Option<Box<[i16]>>,
    another_encoder: bool,
    /// The settings for the detection of digits and tones in the sound, and for sending digits.
    tones: ToneSettings,
    /// A source has one clock (RFC 7160, 4.1): with another we are another source.
    pub(in crate::session) other_clock: bool,
}

/// The settings of a call for digits and tones in the sound.
#[derive(Clone, Copy)]
struct ToneSettings {
    digits: ToneDetection,
    mute: bool,
    as_tones: bool,
    country: Option<&'static Country>,
}

impl ToneSettings {
    fn of(settings: &CallSettings) -> Self {
        Self {
            digits: settings.tones,
            mute: settings.mute_tones,
            as_tones: settings.digits_as_tones,
            country: settings.progress_tones,
        }
    }
}

/// Returns the formats that the other side may send.
fn formats(agreed: &NegotiatedStream) -> ReceivableFormats<'_> {
    ReceivableFormats { codecs: &agreed.receive, events: &agreed.receive_events }
}

/// The longest tick that a sender has to hold in addition to a packet.
const LONGEST_TICK_MS: u32 = 60;

/// Samples of a packet and a tick.
pub(super) fn sender_samples(ptime_ms: u32, info: &CodecInfo) -> usize {
    let samples = u64::from(ptime_ms + LONGEST_TICK_MS) * u64::from(info.sample_rate_hz) / 1_000;
    samples as usize * usize::from(info.channels)
}

/// Memory for a packet and a tick.
fn sender_room(ptime_ms: u32, info: &CodecInfo) -> Box<[i16]> {
    vec![0; sender_samples(ptime_ms, info)].into()
}

impl StreamSetup<'_> {
    /// Returns the longest packets that are sent, in ms: those that were agreed on, or with adaptation to the network the longest
    /// that it may choose.
    fn longest_ms(&self, agreed: &NegotiatedStream) -> u32 {
        let adapts = self.settings.adaptation.is_some();
        let longest =
            PACKETS_MS.iter().map(|&ms| u32::from(ms)).filter(|&ms| adapts && ms <= agreed.max_ptime_ms).max();
        longest.unwrap_or(0).max(agreed.send_ptime_ms)
    }

    /// Returns the redundancy with as many repeated payloads as are requested and the other side's bandwidth has room for.
    fn redundancy(&self, sending: &SentCodec, agreed: &NegotiatedStream) -> Option<Box<Repeats>> {
        let level = agreed.copies_within_bandwidth(self.redundancy.into());
        sending.redundancy.filter(|_| level > 0).map(|payload_type| {
            let mut repeats = Repeats::new(HostRedundancy::new(payload_type, level), self.settings.redundancy_on_loss);
            if self.settings.adaptation.is_some() {
                // Nothing is repeated until it's chosen.
                repeats.choose(0);
            }
            Box::new(repeats)
        })
    }

    /// The decoders of each source that may be heard.
    fn decoders(&self, formats: &ReceivableFormats<'_>, to: Sound) -> Result<Vec<Decoders>, CallError> {
        (0..self.settings.sources).map(|_| Decoders::new(self.registry, formats, to)).collect()
    }

    fn listening(&self, received: ReceivedSound, decoders: Vec<Decoders>, own: Ssrc) -> Result<Listening, CallError> {
        let ReceivedSound { sound, clock_hz } = received;
        let CallSettings { delay, tick, .. } = *self.settings;
        let config = ReceiverConfig { sample_rate_hz: sound.rate_hz, rtp_clock_hz: clock_hz, delay, tick };
        let budget = self.settings.buffer_bytes.map(|bytes| Budget { bytes });
        let with_own = |decoders: Decoders| {
            let strategy = OwnStrategy::make(self.settings.strategy.as_ref(), &config);
            let Some(table) = &self.settings.decoders else { return Ok((decoders, strategy)) };
            let need = received.info();
            Ok((decoders.with_own(table.make(&need), need)?, strategy))
        };
        let places = decoders.into_iter().map(with_own).collect::<Result<_, CallError>>()?;
        Listening::new(config, sound.channels, places, own, budget)
    }

    /// Returns the sound that the receivers are to play: the widest of the formats that may come.
    fn received(&self, agreed: &NegotiatedStream) -> Result<ReceivedSound, CallError> {
        ReceivedSound::of(self.registry, &agreed.receive)
    }

    /// Returns the payload type of our comfort noise, and the detector that distinguishes it from speech.
    fn noise(&self, sending: &SentCodec) -> Option<(PayloadType, HostDetector)> {
        sending.noise.map(|payload_type| (payload_type, self.detector(sending)))
    }

    fn detector(&self, sending: &SentCodec) -> HostDetector {
        match &self.settings.detector {
            Some(own) => own.make(sending.sample_rate_hz),
            None => HostDetector::new(EnergyGate::new(sending.sample_rate_hz)),
        }
    }

    /// Returns the header extensions of packets, and the voice detector if one of them needs it.
    fn extended(
        &self,
        agreed: &NegotiatedStream,
        sending: &SentCodec,
    ) -> (Option<Box<Extended>>, Option<HostDetector>) {
        let extended = Extended::new(agreed, self.settings.sources);
        let levels = extended.as_ref().is_some_and(|extended| extended.sends_levels());
        (extended, levels.then(|| self.detector(sending)))
    }

    /// The sound that the user has: what he said, or else that of the receivers.
    fn sound(&self, received: Sound) -> Sound {
        self.settings.sound.unwrap_or(received)
    }

    fn capture(&self, sound: Sound, sending: &SentCodec) -> Result<EncoderInput, CallError> {
        EncoderInput::new(sound, sending.sound(), self.settings.sound.is_some()).map_err(CallError::Conversion)
    }

    /// The best codec that was agreed on.
    fn sending(&self, agreed: &NegotiatedStream) -> Result<SentCodec, CallError> {
        SentCodec::new(self.registry, agreed, self.settings.comfort_noise, self.redundancy)
    }
}

impl Stream {
    pub(in crate::session) fn new(
        setup: &StreamSetup<'_>,
        agreed: NegotiatedStream,
        source: InitialRtpState,
    ) -> Result<Self, CallError> {
        let sending = setup.sending(&agreed)?;
        let encoder = sending.encoder(setup.registry)?;
        let config = SenderConfig {
            ssrc: source.ssrc,
            first_seq: source.seq,
            first_timestamp: source.timestamp,
            payload_type: agreed.send[0].payload_type,
            ptime_ms: agreed.send_ptime_ms,
        };
        let room = sender_room(setup.longest_ms(&agreed), &encoder.info());
        let mut sender = Box::new(StreamSender::with_room(config, &*encoder, room).map_err(CallError::Sender)?);
        sender.set_comfort_noise(setup.noise(&sending));
        let (extended, levels) = setup.extended(&agreed, &sending);
        sender.set_levels(levels);
        let received = setup.received(&agreed)?;
        let decoders = setup.decoders(&formats(&agreed), received.sound)?;
        let listening = setup.listening(received, decoders, source.ssrc)?;
        let sound = setup.sound(listening.sound());
        let mut stream = Self {
            redundancy: setup.redundancy(&sending, &agreed),
            capture: setup.capture(sound, &sending)?,
            heard: Playing::new(listening, sound).map_err(CallError::Conversion)?,
            leaving: None,
            adapted: Adapted::new(agreed.send_ptime_ms),
            digits: Digits::new(),
            extended,
            agreed,
            sending,
            encoder,
            sender,
            fresh: false,
            former: None,
            left: None,
            closed: false,
            earlier: Counted::default(),
            fraction_lost: None,
            jitter_ms: None,
            round_trip: None,
            captured: None,
            activity: None,
            made: None,
            heard_tones: setup.settings.progress_tones.map(|_| Box::default()),
        };
        stream.agree_digits(ToneSettings::of(setup.settings));
        stream.adapt_again();
        stream.set_round_trip(None);
        Ok(stream)
    }

    /// Prepares the change of this stream by a later offer and answer.
    ///
    /// # Errors
    /// Why it can't be; nothing has changed.
    pub(in crate::session) fn prepare(
        &self,
        setup: &StreamSetup<'_>,
        agreed: NegotiatedStream,
    ) -> Result<StreamChange, CallError> {
        let sending = setup.sending(&agreed)?;
        let encoder = sending.encoder(setup.registry)?;
        let received = setup.received(&agreed)?;
        let decoders = setup.decoders(&formats(&agreed), received.sound)?;
        let (listening, more) = if received.sound == self.received_sound() {
            (None, decoders)
        } else {
            (Some(setup.listening(received, decoders, self.sender.ssrc())?), Vec::new())
        };
        let sound = setup.sound(listening.as_ref().map_or(self.received_sound(), Listening::sound));
        let heard = listening.map(|listening| Playing::new(listening, sound)).transpose();
        let heard = heard.map_err(CallError::Conversion)?;
        let replayed = Some(&self.heard).filter(|_| heard.is_some() && sound != self.sound());
        let replayed = replayed.map(|heard| heard.other_sound(sound)).transpose().map_err(CallError::Conversion)?;
        let is_new = sound != self.sound() || sending.sound() != self.sending.sound();
        let capture = is_new.then(|| setup.capture(sound, &sending)).transpose()?;
        let redundancy = setup.redundancy(&sending, &agreed);
        let switches = sending != self.sending
            || agreed.send[0].payload_type != self.agreed.send[0].payload_type
            || agreed.send_ptime_ms != self.agreed.send_ptime_ms
            || redundancy.as_ref().map(|repeats| repeats.choices())
                != self.redundancy.as_ref().map(|repeats| repeats.choices());
        let mut room = None;
        if switches {
            let needed = sender_room(setup.longest_ms(&agreed), &encoder.info());
            StreamSender::check(agreed.send_ptime_ms, &*encoder, needed.len()).map_err(CallError::Sender)?;
            room = Some(needed).filter(|needed| needed.len() > self.sender.room());
        }
        let (extended, levels) = setup.extended(&agreed, &sending);
        Ok(StreamChange {
            extended,
            levels,
            redundancy,
            noise: setup.noise(&sending),
            room,
            switches,
            another_encoder: !sending.codes_like(&self.sending),
            tones: ToneSettings::of(setup.settings),
            other_clock: sending.rtp_clock_hz() != self.sending.rtp_clock_hz(),
            agreed,
            sending,
            encoder,
            heard,
            more,
            capture,
            replayed,
        })
    }

    /// Continues as agreed.
    pub(in crate::session) fn change(&mut self, change: StreamChange) {
        let StreamChange {
            agreed,
            sending,
            encoder,
            redundancy,
            heard,
            more,
            switches,
            another_encoder,
            noise,
            room,
            levels,
            ..
        } = change;
        // Receivers that have faded out are dropped here, and those that haven't make room for the next.
        if self.leaving.as_ref().is_some_and(|leaving| leaving.is_over()) || heard.is_some() {
            (self.earlier, self.leaving) = (self.before(), None);
        }
        if let Some(mut capture) = change.capture {
            capture.follow(&self.capture);
            if capture.sound().rate_hz != self.sound().rate_hz {
                self.earlier = self.earlier.at_rate(self.sound().rate_hz, capture.sound().rate_hz);
            }
            self.capture = capture;
        }
        if switches {
            // It is larger than the one before.
            let grown = room.map(|room| self.sender.set_room(room));
            debug_assert!(!matches!(grown, Some(Err(_))));
            // It was checked that the packet fits.
            let switched = self.sender.switch(agreed.send[0].payload_type, agreed.send_ptime_ms, &*encoder);
            debug_assert!(switched.is_ok(), "{switched:?}");
            self.adapted.packet_ms = agreed.send_ptime_ms;
            self.sender.set_comfort_noise(noise);
            let before = std::mem::replace(&mut self.redundancy, redundancy);
            if let (Some(redundancy), Some(before)) = (&mut self.redundancy, before) {
                redundancy.follow(&before);
            }
        }
        if another_encoder {
            self.encoder = encoder;
        }
        // A detector that is kept knows the noise already.
        if levels.is_none() || self.sender.level().is_none() {
            self.sender.set_levels(levels);
        }
        let before = std::mem::replace(&mut self.extended, change.extended);
        if let (Some(extended), Some(mut before)) = (&mut self.extended, before) {
            extended.follow(&mut before);
        }
        // Within a session a payload type keeps its meaning (RFC 3264, 8.3.2): packets of the codecs before that are
        // still on their way are heard too, if they have the same sound.
        if let Some(heard) = heard {
            let mut before = std::mem::replace(&mut self.heard, heard);
            if let Some(replayed) = change.replayed {
                before.set_sound(replayed);
            }
            if before.receivers().reception().1 == 0 {
                self.earlier = before.total().ended().with_earlier(&self.earlier);
            } else {
                self.leaving = Some(Box::new(ReplacedReceivers::new(before)));
            }
            self.fresh = true;
        }
        self.heard.receivers_mut().add(more);
        (self.sending, self.agreed) = (sending, agreed);
        (self.closed, self.left) = (false, None);
        self.agree_digits(change.tones);
        self.adapt_again();
        self.set_round_trip(self.round_trip);
    }

    fn agree_digits(&mut self, tones: ToneSettings) {
        self.digits.agree(&self.agreed, self.sending.rtp_clock_hz(), tones.as_tones);
        let digits = match tones.digits {
            ToneDetection::Off => false,
            ToneDetection::WithoutEvents => self.agreed.receive_events.is_empty(),
            ToneDetection::Always => true,
        };
        if !self.heard.set_tones(WantedTones { digits, mute: tones.mute, country: tones.country }) {
            self.digits.end_tones();
            if let Some(heard) = &mut self.heard_tones {
                heard.end();
            }
        }
    }

    /// Prepares for formats that the other side may send before its answer is here.
    ///
    /// # Errors
    /// Why a codec can't be made.
    pub(in crate::session) fn expect(&mut self, setup: &StreamSetup<'_>, offered: &Offered) -> Result<(), CallError> {
        let formats = ReceivableFormats { codecs: &offered.codecs, events: &offered.events };
        let decoders = setup.decoders(&formats, self.received_sound())?;
        self.digits.expect(&offered.events);
        self.heard.receivers_mut().add(decoders);
        Ok(())
    }

    /// Prepares the conversions for the user to have this sound; `None` for that of the receivers.
    ///
    /// # Errors
    /// [`CallError::Conversion`] if it can't be made of theirs, or the codec's of it.
    pub(in crate::session) fn prepare_sound(&self, sound: Option<Sound>) -> Result<OtherSound, CallError> {
        let (lasts, sound) = (sound.is_some(), sound.unwrap_or(self.received_sound()));
        let other = |playing: &Playing| playing.other_sound(sound).map_err(CallError::Conversion);
        Ok(OtherSound {
            capture: EncoderInput::new(sound, self.sending.sound(), lasts).map_err(CallError::Conversion)?,
            heard: other(&self.heard)?,
            leaving: self.leaving().map(|leaving| other(leaving.playing())).transpose()?,
        })
    }

    /// Marks that the next captured sound doesn't follow the last one.
    #[cfg(feature = "tokio")]
    pub(in crate::session) fn break_off(&mut self) {
        self.capture.break_off();
    }

    /// The user has another sound from now on.
    pub(in crate::session) fn set_sound(&mut self, other: OtherSound) {
        let (from_hz, to_hz) = (self.sound().rate_hz, other.capture.sound().rate_hz);
        self.earlier = self.earlier.at_rate(from_hz, to_hz);
        let before = std::mem::replace(&mut self.capture, other.capture);
        self.capture.replace(&before);
        self.heard.set_sound(other.heard);
        match (self.leaving.as_deref_mut(), other.leaving) {
            (Some(leaving), Some(other)) => leaving.set_sound(other),
            (Some(leaving), None) => {
                // It is over: its counts are added to the earlier ones.
                self.earlier = leaving.playing().total().ended().at_rate(from_hz, to_hz).with_earlier(&self.earlier);
                self.leaving = None;
            }
            (None, _) => {}
        }
    }
}

/// The conversions for a stream to have another sound.
pub(in crate::session) struct OtherSound {
    capture: EncoderInput,
    heard: playing::OtherSound,
    leaving: Option<playing::OtherSound>,
}
