//! Settings of the firmware, given as `name=value` on QEMU's command line.

use core::net::{Ipv4Addr, SocketAddrV4};

use dsp_core::sdp::Format;
use dsp_core::time::{Duration, PayloadType};
use dsp_core::tone::{Digit, EventCode};
use host_embedded::desk::UserInput;

use crate::user::{Act, Script};

/// G.722 and both laws of G.711.
pub(crate) const CODECS: [Format; 3] = [
    Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::from_low_bits(9) },
    Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
    Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA },
];

/// Where a call's descriptions lie, and which way its packets come.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    /// Our description's file, and the other side's.
    pub(crate) write: &'a str,
    pub(crate) read: &'a str,
    /// The address at which the other side finds us: that of the host, which lets it through.
    pub(crate) advertise: SocketAddrV4,
}

/// What is asked for; times are those since the call began.
pub(crate) struct Arguments<'a> {
    pub(crate) ends: Ends<'a>,
    /// The same for a third one.
    pub(crate) third: Ends<'a>,
    /// Whether we begin.
    pub(crate) offers: bool,
    pub(crate) codec: Format,
    pub(crate) srtp: bool,
    /// What the microphone hears, and what is played; over the case's loudspeaker, if that has a file of its own.
    pub(crate) said: &'a str,
    pub(crate) heard: &'a str,
    pub(crate) loud: Option<&'a str>,
    /// By how much the codec chip's clock is slow, in ppm, where it's its own.
    pub(crate) drift: Option<i32>,
    pub(crate) seconds: u64,
    /// Keys, and when they are pressed.
    pub(crate) keys: &'a str,
    pub(crate) keys_at: Option<Duration>,
    /// What the user does, from the first ring or from the call's beginning on.
    pub(crate) script: Script,
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
            ends: Ends { write: "phone.sdp", read: "desktop.sdp", advertise: address(5004) },
            third: Ends { write: "phone-third.sdp", read: "third.sdp", advertise: address(5006) },
            offers: true,
            codec: CODECS[1],
            srtp: true,
            said: "phone-said.wav",
            heard: "phone-heard.wav",
            loud: None,
            drift: None,
            seconds: 10,
            keys: "",
            keys_at: None,
            script: Script::EMPTY,
            source_at: None,
        };
        for argument in line.split_ascii_whitespace() {
            // The first one is the program's name, if there is one.
            let Some((name, value)) = argument.split_once('=') else { continue };
            all.take(name, value).unwrap_or_else(|| panic!("what is {argument}?"));
        }
        all
    }

    /// Whether it rings before the call, until the receiver is lifted.
    pub(crate) fn rings(&self) -> bool {
        self.script.has(Act::Lift) && !self.offers
    }

    /// The rate of the codec's sound.
    pub(crate) fn rate_hz(&self) -> u32 {
        if self.codec.name == "G722" { 16_000 } else { 8_000 }
    }

    fn take(&mut self, name: &str, value: &'a str) -> Option<()> {
        match name {
            "write" => self.ends.write = value,
            "read" => self.ends.read = value,
            "third-write" => self.third.write = value,
            "third-read" => self.third.read = value,
            "third-advertise" => self.third.advertise = value.parse().ok()?,
            "role" => self.offers = value == "offer",
            "codec" => self.codec = *CODECS.iter().find(|codec| codec.name.eq_ignore_ascii_case(value))?,
            "srtp" => self.srtp = value != "no",
            "advertise" => self.ends.advertise = value.parse().ok()?,
            "said" => self.said = value,
            "heard" => self.heard = value,
            "loud" => self.loud = Some(value),
            "drift" => self.drift = Some(value.parse().ok().filter(|ppm: &i32| ppm.unsigned_abs() <= 1_000)?),
            "seconds" => self.seconds = value.parse().ok()?,
            "ring" => self.script.add(Act::Lift, seconds(value)?)?,
            "user" => {
                let (act, at) = value.split_once('@')?;
                self.script.add(Act::named(act)?, seconds(at)?)?;
            }
            "keys" => {
                let (keys, at) = value.split_once('@')?;
                keys.chars().all(|sign| key(sign).is_some()).then_some(())?;
                (self.keys, self.keys_at) = (keys, Some(seconds(at)?));
            }
            // The same key.
            "hold-at" | "resume-at" => self.script.add(Act::Key(UserInput::HoldKey), seconds(value)?)?,
            "source-at" => self.source_at = Some(seconds(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn seconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(|seconds: u64| Duration::from_millis(1_000 * seconds))
}

/// The event of a key.
pub(crate) fn key(sign: char) -> Option<EventCode> {
    Digit::from_char(sign).map(EventCode::from)
}
