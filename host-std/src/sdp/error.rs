//! Why a description can't be written, read or agreed on, in one line each for the person who placed the call.

use std::fmt;
use std::net::IpAddr;

use super::crypto::CryptoError;
use super::ice::NoIce;

/// The description, of the two, to which an error refers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// The offer (RFC 3264, 5).
    Offer,
    /// The answer (RFC 3264, 6).
    Answer,
}

impl fmt::Display for DescriptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
        })
    }
}

/// The reason why there is no agreement. Quotations from the other side's text are short and printable, and never a key.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdpError {
    /// Our own [`LocalMedia`](super::LocalMedia) contradicts itself; the text says how.
    Local(&'static str),
    /// The description is longer than [`MAX_SDP_BYTES`](super::MAX_SDP_BYTES).
    TooLarge {
        /// The size of the description in bytes.
        bytes: usize,
    },
    /// The description has more than [`MAX_LINES`](super::MAX_LINES), [`MAX_STREAMS`](super::MAX_STREAMS) or
    /// [`MAX_FORMATS`](super::MAX_FORMATS).
    TooMany {
        /// The kind of element of which there are too many.
        what: &'static str,
        /// The number that is allowed.
        most: usize,
    },
    /// The text isn't SDP.
    Syntax(sdp_types::ParserError),
    /// There is no `m=audio` line.
    NoAudio(DescriptionKind),
    /// All `m=audio` lines have port 0, which rejects them.
    Rejected(DescriptionKind),
    /// The answer has fewer streams than the offer it answers (RFC 3264, 6).
    MissingStream {
        /// The number of `m=` lines in the answer.
        answered: usize,
        /// The number of `m=` lines in the offer.
        offered: usize,
    },
    /// The profile is another than RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVP and their variants with feedback.
    Profile(DescriptionKind, String),
    /// The other side wants DTLS-SRTP (RFC 5763), which is off here.
    Dtls(DescriptionKind),
    /// DTLS-SRTP is wanted here, and the other side has no `a=fingerprint`.
    DtlsRequired(DescriptionKind, String),
    /// The profile is DTLS, and no fingerprint is there by which a certificate could be checked.
    Fingerprint(DescriptionKind),
    /// The description has our own fingerprint, so it was reflected to us.
    OwnFingerprint(DescriptionKind),
    /// Neither side would begin the handshake with this `a=setup`.
    Setup(DescriptionKind, &'static str),
    /// SRTP is required here, and the other side speaks plain RTP.
    SrtpRequired(DescriptionKind, String),
    /// ICE is required here, and can't be agreed on.
    IceRequired(DescriptionKind, NoIce),
    /// The other side insists on SRTP, and it's off here.
    SrtpOff(DescriptionKind, String),
    /// SRTP is wanted, and no `a=crypto` line can be used; the error is that of the first line.
    Crypto(DescriptionKind, CryptoError),
    /// Both sides have no codec in common.
    NoCommonCodec {
        /// The other side's codecs, as `a=rtpmap` writes them; a very long list is cut off.
        theirs: String,
        /// Our codecs.
        ours: String,
    },
    /// No `c=` line holds for the audio stream.
    NoAddress(DescriptionKind),
    /// The address of the audio stream isn't a unicast IP address.
    Address(DescriptionKind, String),
    /// A host name is given in place of the audio stream's address, and nothing is looked up here: see
    /// [`resolved`](super::resolved).
    HostName(DescriptionKind, String),
    /// The audio stream's address is of another family than ours, so our socket can't send there.
    Family {
        /// The description with the error.
        kind: DescriptionKind,
        /// Their address.
        theirs: IpAddr,
        /// Ours.
        ours: IpAddr,
    },
    /// There is no port left for RTCP above RTP port 65535.
    RtcpPort(DescriptionKind),
    /// The stream is not in one BUNDLE group with the first that was taken, or has another profile: it would need a port
    /// of its own.
    NotBundled(DescriptionKind),
    /// All payload types of the stream that we could take are those of an earlier one over the same port, so that their packets
    /// could not be distinguished (RFC 9143, 9.2).
    SharedPayloadTypes(DescriptionKind),
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(what) => write!(f, "our own media description: {what}"),
            Self::TooLarge { bytes } => {
                write!(f, "the description has {bytes} bytes; at most {} are read", super::MAX_SDP_BYTES)
            }
            Self::TooMany { what, most } => write!(f, "the description has more than {most} {what}"),
            Self::Syntax(_) => f.write_str("the description is not valid SDP"),
            Self::NoAudio(kind) => write!(f, "the {kind} has no audio stream"),
            Self::Rejected(kind) => write!(f, "the {kind} rejects the audio stream (port 0)"),
            Self::MissingStream { answered, offered } => {
                write!(f, "the answer has {answered} streams, the offer {offered}")
            }
            Self::Profile(kind, proto) => write!(f, "the {kind} has audio over {proto}, which is not supported"),
            Self::Dtls(kind) => {
                write!(f, "the {kind} wants DTLS-SRTP, which is off here: there are only a=crypto keys")
            }
            Self::DtlsRequired(kind, proto) => {
                write!(f, "DTLS-SRTP is required but the {kind} is {proto} without a=fingerprint")
            }
            Self::Fingerprint(kind) => {
                write!(f, "the {kind} has no fingerprint of its certificate by sha-256, sha-384 or sha-512")
            }
            Self::OwnFingerprint(kind) => write!(f, "the {kind} has our own fingerprint: it is ours, reflected"),
            Self::Setup(kind, setup) => write!(f, "by a=setup:{setup} of the {kind} nobody begins the DTLS handshake"),
            Self::SrtpRequired(kind, proto) => write!(f, "SRTP is required but the {kind} is {proto} without a=crypto"),
            Self::IceRequired(kind, why) => write!(f, "ICE is required and the {kind} can't be taken: {why}"),
            Self::SrtpOff(kind, proto) => write!(f, "the {kind} wants SRTP ({proto}), which is off here"),
            Self::Crypto(kind, error) => write!(f, "no usable SRTP key in the {kind}: {error}"),
            Self::NoCommonCodec { theirs, ours } => {
                write!(f, "no common codec: they offer {theirs}; we have {ours}")
            }
            Self::NoAddress(kind) => write!(f, "the {kind} has no c= line for its audio stream"),
            Self::Address(kind, address) => {
                write!(f, "the {kind} wants audio sent to {address}, which is not a unicast IP address")
            }
            Self::HostName(kind, name) => {
                write!(f, "the {kind} wants audio sent to the host {name}, whose address is not known")
            }
            Self::Family { kind, theirs, ours } => {
                let family = |address: &IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
                let (to, from) = (family(theirs), family(ours));
                write!(f, "the {kind} wants audio sent to {theirs}, which is {to}; our address {ours} is {from}")
            }
            Self::NotBundled(kind) => {
                write!(
                    f,
                    "the {kind} wants a port of its own for a further stream, which is only taken over the first one's"
                )
            }
            Self::SharedPayloadTypes(kind) => {
                write!(
                    f,
                    "the {kind} has a further stream over the same port with the same payload types as an earlier one"
                )
            }
            Self::RtcpPort(kind) => write!(f, "the {kind} has RTP port 65535 and names no RTCP port"),
        }
    }
}

impl std::error::Error for SdpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::Crypto(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Text of the other side for an error: printable ASCII, at most 40 characters.
pub(super) fn quote(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}
