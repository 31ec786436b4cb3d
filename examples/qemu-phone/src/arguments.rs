//! Settings of the firmware, given as `name=value` on QEMU's command line.

use core::net::SocketAddrV4;

use dsp_core::sdp::Format;
use dsp_core::time::{Duration, PayloadType};
use dsp_core::tone::{Digit, EventCode};

/// G.722 and both laws of G.711.
pub(crate) const CODECS: [Format; 3] = [
    Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::from_low_bits(9) },
    Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
    Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA },
];

/// What is asked for; times are those since the call began.
pub(crate) struct Arguments<'a> {
    /// Our description's file, and the other side's.
    pub(crate) write: &'a str,
    pub(crate) read: &'a str,
    /// Whether we begin.
    pub(crate) offers: bool,
    pub(crate) codec: Format,
    pub(crate) srtp: bool,
    /// The address at which the other side finds us: that of the host, which lets it through.
    pub(crate) advertise: SocketAddrV4,
    /// What the microphone hears, and what the loudspeaker plays.
    pub(crate) said: &'a str,
    pub(crate) heard: &'a str,
    pub(crate) seconds: u64,
    /// How many seconds it rings before an offer is answered.
    pub(crate) ring: u64,
    /// Keys, and when they are pressed.
    pub(crate) keys: &'a str,
    pub(crate) keys_at: Option<Duration>,
    pub(crate) hold_at: Option<Duration>,
    pub(crate) resume_at: Option<Duration>,
    /// When another SSRC is taken.
    pub(crate) source_at: Option<Duration>,
}

impl<'a> Arguments<'a> {
    /// Reads them.
    ///
    /// # Panics
    /// If one of them is unknown or can't be read: the emulator ends with these words.
    pub(crate) fn parse(line: &'a str) -> Self {
        let mut all = Self {
            write: "phone.sdp",
            read: "desktop.sdp",
            offers: true,
            codec: CODECS[1],
            srtp: true,
            advertise: "127.0.0.1:5004".parse().expect("an address"),
            said: "phone-said.wav",
            heard: "phone-heard.wav",
            seconds: 10,
            ring: 0,
            keys: "",
            keys_at: None,
            hold_at: None,
            resume_at: None,
            source_at: None,
        };
        for argument in line.split_ascii_whitespace() {
            // The first one is the program's name, if there is one.
            let Some((name, value)) = argument.split_once('=') else { continue };
            all.take(name, value).unwrap_or_else(|| panic!("what is {argument}?"));
        }
        all
    }

    /// Whether it rings before the call.
    pub(crate) fn rings(&self) -> bool {
        self.ring > 0 && !self.offers
    }

    /// The rate of the codec's sound.
    pub(crate) fn rate_hz(&self) -> u32 {
        if self.codec.name == "G722" { 16_000 } else { 8_000 }
    }

    fn take(&mut self, name: &str, value: &'a str) -> Option<()> {
        match name {
            "write" => self.write = value,
            "read" => self.read = value,
            "role" => self.offers = value == "offer",
            "codec" => self.codec = *CODECS.iter().find(|codec| codec.name.eq_ignore_ascii_case(value))?,
            "srtp" => self.srtp = value != "no",
            "advertise" => self.advertise = value.parse().ok()?,
            "said" => self.said = value,
            "heard" => self.heard = value,
            "seconds" => self.seconds = value.parse().ok()?,
            "ring" => self.ring = value.parse().ok()?,
            "keys" => {
                let (keys, at) = value.split_once('@')?;
                keys.chars().all(|sign| key(sign).is_some()).then_some(())?;
                (self.keys, self.keys_at) = (keys, Some(seconds(at)?));
            }
            "hold-at" => self.hold_at = Some(seconds(value)?),
            "resume-at" => self.resume_at = Some(seconds(value)?),
            "source-at" => self.source_at = Some(seconds(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn seconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(|seconds: u64| Duration::from_millis(1_000 * seconds))
}

/// The event of a key.
pub(crate) fn key(sign: char) -> Option<EventCode> {
    Digit::from_char(sign).map(EventCode::from)
}
