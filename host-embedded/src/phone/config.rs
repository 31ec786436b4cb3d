//! The configuration of a phone, and the reasons for which it is refused.

use core::fmt;

use dsp_core::front::FrontError;
use dsp_core::process::biquad::BiquadDesign;
use dsp_core::receive::{ConfigError, DelayConfig};
use dsp_core::send::{KeysFull, PacketLengthError, SenderConfig};
use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};

/// The configuration of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhoneConfig {
    /// The stream that it sends: payload type 0 is mu-law and 8 is A-law with G.711. SSRC, sequence number and timestamp should
    /// be random, and the sequence number below 2^15 if the packets are protected by SRTP.
    pub sender: SenderConfig,
    /// Bounds of the playout delay.
    pub delay: DelayConfig,
    /// Whether levels of microphone and loudspeaker are measured.
    pub meters: bool,
    /// A filter of the microphone, designed for the phone's rate: a high-pass against rumble and DC. Designed in a
    /// constant it needs no float.
    pub high_pass: Option<BiquadDesign>,
    /// The payload type of telephone events both ways (RFC 4733), as it was agreed on, at the RTP clock of the codecs; `None`:
    /// none are sent, and those that come are packets of an unknown type.
    pub events: Option<PayloadType>,
}

impl Default for PhoneConfig {
    /// Returns the default: mu-law in packets of 20 ms from SSRC 0, the delay of a conversation, at most 200 ms, which is the
    /// receiver's capacity, no meters, no high-pass and no telephone events.
    fn default() -> Self {
        let sender = SenderConfig {
            ssrc: Ssrc(0),
            first_seq: Seq(0),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let delay = DelayConfig { max_ms: 200, ..DelayConfig::conversation() };
        Self { sender, delay, meters: false, high_pass: None, events: None }
    }
}

/// The reason why a key can't be pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyError {
    /// No telephone events were agreed on ([`PhoneConfig::events`]).
    NoEvents,
    /// The queue of keys is full.
    Full(KeysFull),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEvents => write!(f, "no telephone events were agreed on"),
            Self::Full(full) => full.fmt(f),
        }
    }
}

impl core::error::Error for KeyError {}

/// The reason why a phone can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PhoneError {
    /// The receiver's configuration.
    Receiver(ConfigError),
    /// The packets to send can't have this length.
    Sender(PacketLengthError),
    /// None of its codecs can be sent with this payload type.
    PayloadType(PayloadType),
    /// The device side.
    Front(FrontError),
}

impl fmt::Display for PhoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(_) => write!(f, "the receiver can't be made"),
            Self::Sender(_) => write!(f, "the sender can't be made"),
            Self::Front(_) => write!(f, "the device side can't be made"),
            Self::PayloadType(payload_type) => write!(f, "no codec is sent as payload type {}", payload_type.get()),
        }
    }
}

impl core::error::Error for PhoneError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Receiver(error) => Some(error),
            Self::Sender(error) => Some(error),
            Self::Front(error) => Some(error),
            Self::PayloadType(_) => None,
        }
    }
}
