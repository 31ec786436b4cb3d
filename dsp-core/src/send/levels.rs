//! The level of the sound in a packet and whether it is speech, for the header extension of RFC 6464, over exactly the
//! samples that are in the packet.
//!
//! Levels are in whole dBov, 0 to -127, where a square wave of full scale is 0 (RFC 6464, 3); for stereo it is that of
//! both channels. The cost is a multiplication for each sample, a logarithm for each packet, and the detector if
//! nobody else tells what is speech.

use crate::process::activity::SpeechDetector;
use crate::process::level::Level;
use crate::wire::extension::AudioLevel;

/// No sound, and nobody speaks.
const SILENCE: AudioLevel = AudioLevel { level_dbov: -127, voice: false };
/// Samples that are made mono in one go.
const CHUNK: usize = 120;

/// Measures packets.
pub(super) struct AudioLevelMeter<D> {
    detector: D,
    last: AudioLevel,
}

impl<D: SpeechDetector> AudioLevelMeter<D> {
    pub(super) fn new(detector: D) -> Self {
        Self { detector, last: SILENCE }
    }

    /// The level of the last packet.
    pub(super) fn last(&self) -> AudioLevel {
        self.last
    }

    /// A packet without sound.
    pub(super) fn hear_nothing(&mut self) {
        self.last = SILENCE;
    }

    /// The sound of the next packet, interleaved; `told`: whether it is speech, where that is known.
    pub(super) fn hear(&mut self, frame: &[i16], channels: u8, told: Option<bool>) {
        let voice = told.unwrap_or_else(|| self.detect(frame, channels));
        self.last = AudioLevel::from_hundredths(Level::of_frame(frame).hundredths_dbov(), voice);
    }

    /// The detector hears every sample, and one word of it is enough.
    fn detect(&mut self, frame: &[i16], channels: u8) -> bool {
        if channels < 2 {
            return self.detector.is_speech(frame);
        }
        let mut speech = false;
        let (mut mono, channels) = ([0; CHUNK], usize::from(channels));
        for chunk in frame.chunks(CHUNK * channels) {
            let mut samples = 0;
            for (slot, sample) in mono.iter_mut().zip(chunk.chunks_exact(channels)) {
                let sum: i32 = sample.iter().map(|&channel| i32::from(channel)).sum();
                *slot = (sum / channels as i32) as i16;
                samples += 1;
            }
            speech |= self.detector.is_speech(&mono[..samples]);
        }
        speech
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NarrowbandSender, Sender, SenderConfig};
    use super::*;
    use crate::codec::g711::Pcmu;
    use crate::process::activity::EnergyGate;
    use crate::time::{PayloadType, RtpTime, Seq, Ssrc};

    const CONFIG: SenderConfig = SenderConfig {
        ssrc: Ssrc(1),
        first_seq: Seq(0),
        first_timestamp: RtpTime(0),
        payload_type: PayloadType::PCMU,
        ptime_ms: 20,
    };

    /// Counts what it hears.
    struct Counter(usize);

    impl SpeechDetector for Counter {
        fn is_speech(&mut self, pcm: &[i16]) -> bool {
            self.0 += pcm.len();
            self.0 == 320
        }
    }

    #[test]
    fn the_level_is_that_of_the_packet() {
        let mut datagram = [0; 200];
        let mut sender = Sender::<[i16; 640], EnergyGate>::new(CONFIG, &Pcmu).unwrap();
        let mut level = |sender: &mut Sender<_, _>, amplitude: i16, speech| {
            sender.set_speech(speech);
            sender.capture(&[amplitude; 160]).unwrap();
            sender.packet(&mut Pcmu, &mut datagram).unwrap().unwrap();
            sender.level()
        };
        assert_eq!(level(&mut sender, 1_000, None), None, "nobody asked");
        sender.set_levels(Some(EnergyGate::new(8_000)));
        for (amplitude, level_dbov) in [(i16::MIN, 0), (16_384, -6), (1_036, -30), (1, -90), (0, -127)] {
            for voice in [true, false] {
                assert_eq!(level(&mut sender, amplitude, Some(voice)), Some(AudioLevel { level_dbov, voice }));
            }
        }
        // Nobody tells: the detector's first second is speech.
        assert_eq!(level(&mut sender, 0, None), Some(AudioLevel { voice: true, ..SILENCE }));
        sender.switch(PayloadType::PCMU, 20, &Pcmu).unwrap();
        assert_eq!(sender.level(), None, "a detector belongs to a rate");
        assert_eq!(NarrowbandSender::new(CONFIG, &Pcmu).unwrap().level(), None);
    }

    #[test]
    fn a_detector_hears_all_of_stereo_as_mono() {
        let mut levels = AudioLevelMeter::new(Counter(0));
        levels.hear(&[100; 640], 2, None);
        assert_eq!((levels.detector.0, levels.last().voice), (320, true));
        levels.hear(&[], 2, None);
        assert_eq!(levels.last(), SILENCE);
        levels.hear(&[100; 640], 2, Some(true));
        assert_eq!((levels.detector.0, levels.last().level_dbov), (320, -50), "who is told need not hear");
    }
}
