//! SDP text of another program into its audio streams (RFC 8866), as tolerant as the field demands.
//!
//! Only the lines that matter to a call's media (`v= t= m= c= a=`, and `b=` of the kinds and the form that we know) reach the
//! parser: a name in Latin-1, a bandwidth with a fraction or a user name with a blank must not end a call. Blanks at line ends,
//! runs of blanks and bare line feeds are taken as they come. Work and memory are linear in the text except for the formats of
//! one stream (at most [`MAX_FORMATS`] times its attributes).

use std::iter;
use std::net::{IpAddr, SocketAddr};

use dsp_core::time::PayloadType;
use sdp_types::{Attribute, Media, Session};

use super::agreed::BandwidthLimits;
use super::crypto::{CryptoError, CryptoLine};
use super::dtls::{Fingerprint, MAX_FINGERPRINTS, SetupAttribute};
use super::error::{DescriptionKind, SdpError, quote};
use super::extensions::Extensions;
use super::feedback::FeedbackAttributes;
use super::format::{EventSet, NegotiatedCodec, NegotiatedEvents};
use super::ice::{self, RemoteIce};
use super::{Direction, LocalMedia, MAX_FORMATS, MAX_LINES, MAX_SDP_BYTES, MAX_STREAMS};
use crate::registry::CodecFormat;

/// The most clocks that are read for a payload type of telephone events.
const MAX_EVENT_CLOCKS: usize = 8;

/// The transport profile of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// RTP/AVP, RTP/AVPF.
    Plain,
    /// RTP/SAVP, RTP/SAVPF.
    Secure,
    /// UDP/TLS/RTP/SAVP, UDP/TLS/RTP/SAVPF.
    Dtls,
}

/// One `m=audio` line with the attributes that the session level adds to it, and the tagged section of its BUNDLE group.
#[derive(Debug)]
pub(super) struct Audio {
    pub(super) proto: String,
    pub(super) profile: Profile,
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: Option<SocketAddr>,
    pub(super) rtcp_mux: bool,
    pub(super) voip_metrics: bool,
    /// The direction as that side wrote it, but a side at address zero can't be sent to.
    pub(super) direction: Direction,
    /// The codecs in that side's order of preference.
    pub(super) codecs: Vec<NegotiatedCodec>,
    pub(super) events: Vec<NegotiatedEvents>,
    pub(super) ptime_ms: Option<u32>,
    pub(super) max_ptime_ms: Option<u32>,
    pub(super) bandwidth: BandwidthLimits,
    pub(super) crypto: Vec<Result<CryptoLine, CryptoError>>,
    /// Whether there is any fingerprint, also one that can't be used.
    pub(super) fingerprint: bool,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) setup: Option<SetupAttribute>,
    pub(super) tls_id: Option<String>,
    pub(super) ice: Option<RemoteIce>,
    pub(super) extensions: Extensions,
    pub(super) feedback: FeedbackAttributes,
    pub(super) reduced_size: bool,
}

/// Parses a description of whatever origin.
pub(super) fn session(text: &[u8]) -> Result<Session, SdpError> {
    if text.len() > MAX_SDP_BYTES {
        return Err(SdpError::TooLarge { bytes: text.len() });
    }
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    if text.lines().nth(MAX_LINES).is_some() {
        return Err(SdpError::TooMany { what: "lines", most: MAX_LINES });
    }
    let session = Session::parse(tidy(text).as_bytes()).map_err(SdpError::Syntax)?;
    if session.medias.len() > MAX_STREAMS {
        return Err(SdpError::TooMany { what: "streams", most: MAX_STREAMS });
    }
    if session.medias.iter().any(|media| media.fmt.split_whitespace().nth(MAX_FORMATS).is_some()) {
        return Err(SdpError::TooMany { what: "formats in a stream", most: MAX_FORMATS });
    }
    Ok(session)
}

/// Returns the lines that matter, in a form a strict parser takes.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len() + 64);
    let mut session_address = false;
    let mut in_media = false;
    for line in text.lines() {
        let line = line.trim_matches([' ', '\t', '\r', '\0']);
        match line.as_bytes() {
            // The parser refuses a second c= of the session; the first holds.
            [b'c', b'=', ..] if !in_media && session_address => {}
            [b'c', b'=', ..] => {
                session_address |= !in_media;
                push_fields(&mut tidied, line, 3);
            }
            [b'm', b'=', ..] => {
                in_media = true;
                push_fields(&mut tidied, line, usize::MAX);
                // A dead stream without a format, which the grammar doesn't allow and phones write.
                if line.split_whitespace().count() == 3 {
                    tidied.insert_str(tidied.len() - 1, " 0");
                }
            }
            [b't', b'=', ..] => {
                let mut numbers = line.trim_start_matches(['t', '=']).split_whitespace();
                if let (Some(Ok(start)), Some(Ok(stop))) =
                    (numbers.next().map(str::parse::<u64>), numbers.next().map(str::parse::<u64>))
                {
                    tidied.push_str(&format!("t={start} {stop}\n"));
                }
            }
            // The session's is that of all its media together, sound or not.
            [b'b', b'=', ..] if in_media && is_bandwidth(line) => push_fields(&mut tidied, line, 1),
            // Another line of the form x=value says nothing about media.
            [b'a'..=b'z', b'=', ..] if !matches!(line.as_bytes()[0], b'v' | b'a') => {}
            // A line of another form is left for the parser, which reports it.
            [] => {}
            _ => {
                tidied.push_str(line);
                tidied.push('\n');
            }
        }
    }
    tidied
}

/// Returns whether the line has a known kind and a whole number.
fn is_bandwidth(line: &str) -> bool {
    let fields = line.strip_prefix("b=").and_then(|line| line.split_once(':'));
    fields.is_some_and(|(kind, number)| ["AS", "TIAS"].contains(&kind) && number.parse::<u64>().is_ok())
}

/// Returns the bandwidth limits of a stream. A limit of zero is ignored, since some implementations write it for a stream that
/// they don't want to receive; the stream's direction says that.
fn bandwidth(lines: &[sdp_types::Bandwidth]) -> BandwidthLimits {
    let of = |kind: &str, unit: u64| {
        let line = lines.iter().find(|line| line.bwtype == kind && line.bandwidth > 0)?;
        Some(line.bandwidth.saturating_mul(unit).min(u32::MAX.into()) as u32)
    };
    BandwidthLimits { session_bps: of("AS", 1_000), payload_bps: of("TIAS", 1) }
}

fn push_fields(tidied: &mut String, line: &str, most: usize) {
    let Some((name, value)) = line.split_at_checked(2) else { return };
    tidied.push_str(name);
    for (index, field) in value.split_whitespace().take(most).enumerate() {
        if index > 0 {
            tidied.push(' ');
        }
        tidied.push_str(field);
    }
    tidied.push('\n');
}

impl Audio {
    /// Reads an audio stream. Address, port and keys are those of the section that carries it.
    pub(super) fn read(
        session: &Session,
        media: &Media,
        carrier: &Media,
        kind: DescriptionKind,
    ) -> Result<Self, SdpError> {
        let levels = Levels { session: &session.attributes, media: &media.attributes };
        let carried = Levels { session: &session.attributes, media: &carrier.attributes };
        let proto = media.proto.to_ascii_uppercase();
        let profile = match proto.as_str() {
            "RTP/AVP" | "RTP/AVPF" => Profile::Plain,
            "RTP/SAVP" | "RTP/SAVPF" => Profile::Secure,
            "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => Profile::Dtls,
            _ => return Err(SdpError::Profile(kind, quote(&media.proto))),
        };
        let connection =
            carrier.connections.first().or(session.connection.as_ref()).ok_or(SdpError::NoAddress(kind))?;
        let written = &connection.connection_address;
        let address = ip_address(written).ok_or_else(|| match host_name(written) {
            Some(name) => SdpError::HostName(kind, quote(name)),
            None => SdpError::Address(kind, quote(written)),
        })?;
        let ice = ice::read(
            |name| carried.media_values(name).collect(),
            |name| carried.value(name),
            |name| carried.has(name),
        );
        let mut direction = levels.direction();
        if address.is_unspecified() && ice.is_none() {
            // Hold as it was before a=sendonly (RFC 3264, 8.4): nothing may be sent there. With trickled candidates it only
            // says that there is none yet (RFC 8840, 4.1.1).
            direction = Direction::from_flags(direction.sends(), false);
        }
        let (codecs, events) = formats(media, levels);
        let has = |number: u8| codecs.iter().any(|codec| codec.payload_type.get() == number);
        let feedback = FeedbackAttributes::read(&proto, levels.values("rtcp-fb"), has);
        Ok(Self {
            proto: media.proto.clone(),
            profile,
            rtp: SocketAddr::new(address, carrier.port),
            rtcp: rtcp_address(carried, address, carrier.port),
            rtcp_mux: carried.has("rtcp-mux") || carried.has("rtcp-mux-only"),
            voip_metrics: levels.reports("voip-metrics"),
            direction,
            codecs,
            events,
            ptime_ms: levels.milliseconds("ptime"),
            max_ptime_ms: levels.milliseconds("maxptime"),
            bandwidth: bandwidth(&media.bandwidths),
            crypto: carried.media_values("crypto").map(CryptoLine::parse).collect(),
            fingerprint: carried.has("fingerprint"),
            fingerprints: carried
                .nearest("fingerprint")
                .filter_map(Fingerprint::parse)
                .take(MAX_FINGERPRINTS)
                .collect(),
            setup: carried.value("setup").and_then(SetupAttribute::parse),
            tls_id: carried.value("tls-id").filter(|id| id.len() <= 255).map(str::to_owned),
            ice,
            extensions: Extensions::read(
                levels.nearest("extmap"),
                levels.has("extmap-allow-mixed"),
                levels.direction(),
            ),
            feedback,
            reduced_size: carried.has("rtcp-rsize"),
        })
    }
}

impl Audio {
    /// ICE was not agreed on: the zero address is hold after all.
    pub(super) fn go_without_ice(&mut self) {
        if self.rtp.ip().is_unspecified() {
            self.direction = Direction::from_flags(self.direction.sends(), false);
        }
    }

    /// Returns all payload types that have a meaning.
    pub(super) fn numbers(&self) -> impl Iterator<Item = PayloadType> {
        let codecs = self.codecs.iter().map(|codec| codec.payload_type);
        codecs.chain(self.events.iter().map(|events| events.payload_type))
    }
}

/// The attributes that hold for a stream: its own, then the session's.
#[derive(Clone, Copy)]
struct Levels<'a> {
    session: &'a [Attribute],
    media: &'a [Attribute],
}

impl<'a> Levels<'a> {
    fn all(self) -> impl Iterator<Item = &'a Attribute> {
        self.media.iter().chain(self.session)
    }

    fn has(self, name: &str) -> bool {
        self.all().any(|attribute| attribute.attribute.trim() == name)
    }

    /// Returns whether this side wants a kind of extended report: a stream's own list counts before the session's (RFC 3611,
    /// 5.1).
    fn reports(self, kind: &str) -> bool {
        let list = self.value("rtcp-xr").unwrap_or_default();
        list.split_whitespace().any(|format| format.split('=').next() == Some(kind))
    }

    fn value(self, name: &str) -> Option<&'a str> {
        let attribute = self.all().find(|attribute| attribute.attribute == name)?;
        attribute.value.as_deref().map(str::trim)
    }

    /// Returns the values of the stream, then those of the session.
    fn values(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.all().filter(move |attribute| attribute.attribute == name);
        named.map(|attribute| attribute.value.as_deref().unwrap_or_default().trim())
    }

    fn media_values(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.media.iter().filter(move |attribute| attribute.attribute == name);
        named.map(|attribute| attribute.value.as_deref().unwrap_or_default().trim())
    }

    /// Returns the values of the stream, or if it has none those of the session (RFC 8122, 5).
    fn nearest(self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let own = self.media.iter().any(|attribute| attribute.attribute == name);
        let level = if own { self.media } else { self.session };
        let named = level.iter().filter(move |attribute| attribute.attribute == name);
        named.map(|attribute| attribute.value.as_deref().unwrap_or_default().trim())
    }

    /// Returns the direction; without an attribute a stream is `sendrecv` (RFC 8866, 6.7).
    fn direction(self) -> Direction {
        self.all().find_map(|attribute| Direction::from_name(attribute.attribute.trim())).unwrap_or_default()
    }

    /// `20` and `20.0` alike (RFC 8866, 6.4 allows a fraction).
    fn milliseconds(self, name: &str) -> Option<u32> {
        let whole = self.value(name)?.split('.').next()?;
        whole.parse().ok().filter(|ms| *ms > 0)
    }
}

/// Returns a unicast address or the zero address of old-style hold. An IPv4 address that is written as an IPv6 one
/// (`::ffff:192.0.2.1`; RFC 4291, 2.5.5.2) is the IPv4 address, whatever is asked of it.
fn ip_address(text: &str) -> Option<IpAddr> {
    let address = text.split('/').next()?.parse::<IpAddr>().ok()?.to_canonical();
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (!address.is_multicast() && !broadcast).then_some(address)
}

/// Returns the host name in place of an address (RFC 8866, 5.7 allows one), if it can be one at all (RFC 1123, 2.1; with the
/// underscores that some have).
pub(super) fn host_name(text: &str) -> Option<&str> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let labels = || text.strip_suffix('.').unwrap_or(text).split('.');
    // A name of digits alone is a malformed address.
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    (text.len() <= 253 && labels().all(is_label) && !labels().all(is_number)).then_some(text)
}

/// `a=rtcp:53020 [IN IP4 126.16.64.4]` (RFC 3605, 2.1), else the next port up (RFC 3550, 11). An address there that
/// can't be sent to from where RTP goes (a name, a multicast address, another address family) is passed over for RTP's.
fn rtcp_address(levels: Levels<'_>, address: IpAddr, rtp_port: u16) -> Option<SocketAddr> {
    let written = levels.media_values("rtcp").next().and_then(|value| {
        let mut fields = value.split_whitespace();
        let port = fields.next()?.parse::<u16>().ok().filter(|port| *port > 0)?;
        let own = fields.nth(2).and_then(ip_address).filter(|own| own.is_ipv4() == address.is_ipv4());
        Some(SocketAddr::new(own.unwrap_or(address), port))
    });
    written.or_else(|| Some(SocketAddr::new(address, rtp_port.checked_add(1)?)))
}

/// Corrects the clock of G.722: it is sampled at 16 kHz, and implementations that write that as its clock mean the registered 8
/// kHz (RFC 3551, 4.5.2). Its packets show the real clock.
fn as_meant(format: CodecFormat) -> CodecFormat {
    match format.rtp_clock_hz {
        16_000 if format.is_named("G722") => CodecFormat { rtp_clock_hz: 8_000, ..format },
        _ => format,
    }
}

/// Returns the formats of the `m=` line that have a meaning, each number once.
fn formats(media: &Media, levels: Levels<'_>) -> (Vec<NegotiatedCodec>, Vec<NegotiatedEvents>) {
    let mut codecs: Vec<NegotiatedCodec> = Vec::new();
    let mut events: Vec<NegotiatedEvents> = Vec::new();
    for number in media.fmt.split_whitespace() {
        let Some(payload_type) = number.parse().ok().and_then(PayloadType::new) else { continue };
        let seen = codecs.iter().map(|codec| codec.payload_type).chain(events.iter().map(|events| events.payload_type));
        if seen.into_iter().any(|seen| seen == payload_type) {
            continue;
        }
        let mut maps = values_of(levels, "rtpmap", payload_type);
        let Some(format) = (match maps.next() {
            Some(rtpmap) => CodecFormat::from_rtpmap(rtpmap).map(as_meant),
            None => CodecFormat::from_static(payload_type),
        }) else {
            continue;
        };
        let fmtp = values_of(levels, "fmtp", payload_type).next();
        if !format.is_telephone_event() {
            codecs.push(NegotiatedCodec { payload_type, format: format.with_fmtp(fmtp.unwrap_or_default()) });
            continue;
        }
        // Some give one number to the events of several clocks: which of them it has depends on the codec.
        let others = maps.filter_map(CodecFormat::from_rtpmap).filter(CodecFormat::is_telephone_event);
        let clocks = iter::once(format.rtp_clock_hz).chain(others.map(|format| format.rtp_clock_hz));
        let set = fmtp.map_or(EventSet::DTMF, EventSet::from_fmtp);
        for rtp_clock_hz in clocks.take(MAX_EVENT_CLOCKS) {
            events.push(NegotiatedEvents { payload_type, rtp_clock_hz, events: set });
        }
    }
    (codecs, events)
}

/// Returns the text after the payload type in each `a=<name>:<payload type> ...` of the stream.
fn values_of<'a>(levels: Levels<'a>, name: &'static str, payload_type: PayloadType) -> impl Iterator<Item = &'a str> {
    levels.media_values(name).filter_map(move |value| {
        let (number, rest) = value.split_once(char::is_whitespace)?;
        (number.parse() == Ok(payload_type.get())).then(|| rest.trim())
    })
}

/// Checks the address families: a socket of one family can't send to the other. Where either address is the zero of old-style
/// hold nothing is sent.
pub(super) fn same_family(local: &LocalMedia, theirs: &Audio, kind: DescriptionKind) -> Result<(), SdpError> {
    let (ours, theirs) = (local.address.to_canonical(), theirs.rtp.ip());
    if ours.is_ipv4() == theirs.is_ipv4() || ours.is_unspecified() || theirs.is_unspecified() {
        return Ok(());
    }
    Err(SdpError::Family { kind, theirs, ours })
}
