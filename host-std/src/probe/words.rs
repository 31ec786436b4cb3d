//! The analysis of a recording as text.

use std::fmt;

use super::{Band, ChannelReport, ProbeReport, SoundFigures, SpeechSegment, Times};

/// Segments of speech that are listed; more are counted.
const LISTED: usize = 12;

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = match self.channels.len() {
            1 => "mono".into(),
            2 => "stereo".into(),
            count => format!("{count} channels"),
        };
        write!(f, "{}: {:.2} s, {channels}, {} Hz", self.file, self.duration_s, self.sample_rate_hz)?;
        if self.measured_at_hz != self.sample_rate_hz {
            write!(f, " (measured at {} Hz)", self.measured_at_hz)?;
        }
        writeln!(f)?;
        for channel in &self.channels {
            if self.channels.len() > 1 {
                writeln!(f, "channel {}", channel.channel)?;
            }
            write!(f, "{channel}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChannelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SoundFigures { rms_dbov, peak_dbov, active_level_dbov, activity, dc_share, .. } = self.sound;
        let level = |level: Option<f64>| level.map_or("silence".into(), |level| format!("{level:.1} dBov"));
        writeln!(f, "  level       RMS {}, peak {}", level(rms_dbov), level(peak_dbov))?;
        match active_level_dbov {
            Some(active) => writeln!(
                f,
                "  speech      active level {active:.1} dBov (ITU-T P.56), active {:.0} % of the time",
                activity * 100.0
            )?,
            None => writeln!(f, "  speech      no active level (ITU-T P.56)")?,
        }
        self.segments(f)?;
        match (self.noise_floor_dbov, self.snr_db) {
            (Some(floor), Some(snr)) => {
                writeln!(f, "  noise       {floor:.1} dBov in pauses; speech is {snr:.1} dB above it")?
            }
            (Some(floor), None) => writeln!(f, "  noise       {floor:.1} dBov, nobody speaks")?,
            (None, _) => writeln!(f, "  noise       unknown: there is no pause with sound in it that is long enough")?,
        }
        match (self.bandwidth_hz, self.bandwidth) {
            (Some(hz), Some(band)) => {
                let band = match band {
                    Band::Narrowband => "narrowband, as of a telephone",
                    Band::Wideband => "wideband",
                    Band::SuperWideband => "super-wideband",
                    Band::Fullband => "fullband",
                };
                writeln!(f, "  bandwidth   sound up to {:.1} kHz: {band}", f64::from(hz) / 1e3)?;
            }
            _ => writeln!(f, "  bandwidth   none: it is silent")?,
        }
        let hundredths = dc_share * 100.0;
        let dc = if hundredths.abs() >= 0.1 { ", which a high-pass takes out" } else { "" };
        writeln!(f, "  DC          {hundredths:+.2} % of full scale{dc}")?;
        self.faults(f)?;
        self.signals(f)
    }
}

impl ChannelReport {
    fn segments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.speech.is_empty() {
            return writeln!(f, "              the voice detector hears nobody speak");
        }
        let share = self.speech_share * 100.0;
        writeln!(f, "              {share:.0} % by the voice detector, at {}", in_words(&self.speech))
    }

    /// Digits and tones, where there are any.
    fn signals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.digits.is_empty() {
            let digits: String = self.digits.iter().map(|digit| digit.digit).collect();
            let (first, last) = (self.digits[0], self.digits[self.digits.len() - 1]);
            let end = last.start_ms + last.duration_ms;
            writeln!(f, "  digits      {digits}, at {:.2}-{:.2} s", first.start_ms / 1e3, end / 1e3)?;
        }
        for tone in self.tones.iter().take(LISTED) {
            let (start, end) = (tone.start_ms as f64 / 1e3, (tone.start_ms + tone.duration_ms) as f64 / 1e3);
            writeln!(f, "  tone        {}, at {start:.2}-{end:.2} s", tone.tone)?;
        }
        match self.tones.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => writeln!(f, "              and {more} tones more"),
        }
    }

    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sound = &self.sound;
        if sound.clipped_samples > 0 {
            let (count, share) = (sound.clipped_samples, sound.clipped_share * 100.0);
            writeln!(f, "  clipping    {count} samples ({share:.4} %), {}", during(&sound.clipped))?;
        } else {
            writeln!(f, "  clipping    none")?;
        }
        if sound.flattened.total_ms > 0 {
            let share = sound.flattened_share * 100.0;
            let times = during(&sound.flattened);
            writeln!(f, "  flat tops   {share:.4} % of the samples, {times}: clipped earlier, or the steps of G.711")?;
        }
        if sound.silent.total_ms > 0 {
            let digital = sound.digitally_silent.share * 100.0;
            write!(f, "  silence     {:.1} % of the time below -70 dBov, ", sound.silent.share * 100.0)?;
            writeln!(f, "{:.2} s at the longest; {digital:.1} % digital", f64::from(sound.silent.longest_ms) / 1e3)?;
        }
        if let Some(hz) = sound.howling_hz {
            writeln!(f, "  howling     at about {hz} Hz, {}", during(&sound.howling))?;
        }
        Ok(())
    }
}

/// Segments of speech in seconds, the first of them.
pub(crate) fn in_words(speech: &[SpeechSegment]) -> String {
    if speech.is_empty() {
        return "none".into();
    }
    let seconds = |ms: u32| f64::from(ms) / 1e3;
    let listed = speech.iter().take(LISTED);
    let listed: Vec<_> =
        listed.map(|segment| format!("{:.2}-{:.2}", seconds(segment.start_ms), seconds(segment.end_ms))).collect();
    let more = speech.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} s{more}", listed.join(", "))
}

/// Writes the duration and the time.
fn during(times: &Times) -> String {
    let seconds = |ms: Option<u32>| f64::from(ms.unwrap_or(0)) / 1e3;
    let total = seconds(Some(times.total_ms));
    format!("in {total:.2} s between {:.2} and {:.2} s", seconds(times.from_ms), seconds(times.until_ms))
}
