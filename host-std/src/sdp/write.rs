//! Our side as SDP text (RFC 8866), with CRLF line ends and the version rule of RFC 3264, 8.

use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Origin, Session, Time};

use super::crypto::CryptoLine;
use super::dtls::OurDtls;
use super::error::SdpError;
use super::feedback::FeedbackAttributes;
use super::format::{NegotiatedCodec, NegotiatedEvents};
use super::ice;
use super::{Direction, LocalIce, LocalMedia, LocalStream, MAX_STREAMS, NegotiatedExtensions, SrtpPolicy};
use crate::registry::is_token;

/// The content of our `m=audio` line besides the address.
pub(super) struct OurAudio<'a> {
    pub(super) mid: Option<&'a str>,
    pub(super) carries: Carries,
    pub(super) proto: &'a str,
    pub(super) direction: Direction,
    pub(super) codecs: &'a [NegotiatedCodec],
    pub(super) events: &'a [NegotiatedEvents],
    pub(super) ptime_ms: u32,
    pub(super) rtcp_mux: bool,
    pub(super) crypto: &'a [CryptoLine],
    pub(super) dtls: Option<OurDtls<'a>>,
    pub(super) ice: Option<&'a LocalIce>,
    pub(super) extensions: NegotiatedExtensions,
    pub(super) feedback: FeedbackAttributes,
    pub(super) reduced_size: bool,
}

/// The transport attributes that a section contains (RFC 9143, 7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// It's alone, or the tagged one of an offer: address, RTCP and keys are its.
    All,
    /// The tagged one of a BUNDLE answer: the same without an RTCP port of its own (9.3.1.2).
    Multiplexed,
    /// A further one of a BUNDLE group that was agreed on: the port, and nothing else.
    Port,
    /// A further one that asks to be in the group, or not to be at all.
    Nothing,
}

/// Refuses wishes that can't be written down or kept.
pub(super) fn check(local: &LocalMedia) -> Result<(), SdpError> {
    let wrong = |what| Err(SdpError::Local(what));
    if local.rtp_port == 0 {
        return wrong("the RTP port is 0");
    }
    if local.rtp_port == u16::MAX && local.rtcp_port.is_none() || local.rtcp_port == Some(0) {
        return wrong("there is no RTCP port");
    }
    if local.streams.is_empty() || local.streams.len() > MAX_STREAMS {
        return wrong("there is no stream, or more than 64");
    }
    if local.streams.iter().all(|stream| stream.closed) {
        return wrong("all streams are closed");
    }
    local.streams.iter().try_for_each(check_stream)?;
    ice::check(local)?;
    if local.mtu < super::MIN_MTU {
        return wrong("the MTU is below 200 bytes");
    }
    let username = &local.session.username;
    if username.is_empty() || username.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("the session's user name is empty or has blanks");
    }
    if local.srtp != SrtpPolicy::Off {
        let lines = &local.crypto;
        if lines.is_empty() && local.dtls.is_none() {
            return wrong("SRTP is wanted without a key");
        }
        if lines.iter().any(|line| line.tag > 999_999_999) {
            return wrong("a crypto tag has more than nine digits");
        }
        let twice = |(at, line): (usize, &CryptoLine)| {
            lines[..at].iter().any(|other| other.tag == line.tag || other.suite == line.suite)
        };
        if lines.iter().enumerate().any(twice) {
            return wrong("two crypto lines share a tag or a suite");
        }
    }
    Ok(())
}

fn check_stream(stream: &LocalStream) -> Result<(), SdpError> {
    let wrong = |what| Err(SdpError::Local(what));
    if stream.codecs.iter().all(|codec| codec.is_auxiliary()) {
        return wrong("there is no codec");
    }
    if stream.codecs.len() > 32 {
        return wrong("there are more than 32 codecs");
    }
    for codec in &stream.codecs {
        if codec.is_telephone_event() {
            return wrong("telephone events are a flag, not a codec");
        }
        if !is_token(&codec.name) || codec.rtp_clock_hz == 0 || codec.channels == 0 {
            return wrong("a codec's name is no token, or its clock or channels are 0");
        }
        if codec.fmtp.chars().any(char::is_control) {
            return wrong("a codec's fmtp has control characters");
        }
    }
    let tens = |ms: u32| (10..=60).contains(&ms) && ms.is_multiple_of(10);
    if !tens(stream.ptime_ms) || !tens(stream.max_ptime_ms) || stream.max_ptime_ms < stream.ptime_ms {
        return wrong("ptime and maxptime are 10-60 ms in steps of ten, maxptime not the smaller");
    }
    Ok(())
}

/// Our `m=audio` line and its attributes.
pub(super) fn audio(local: &LocalMedia, stream: &LocalStream, ours: &OurAudio<'_>) -> Media {
    // Redundancy that we ask for comes first; the codec that it repeats is found by its fmtp.
    let asked = |codec: &&NegotiatedCodec| stream.ask_redundancy && codec.format.is_named("red");
    let first = ours.codecs.iter().filter(|codec| asked(codec));
    let codecs = first.chain(ours.codecs.iter().filter(|codec| !asked(codec)));
    let numbers = codecs.map(|codec| codec.payload_type);
    let numbers = numbers.chain(ours.events.iter().map(|events| events.payload_type));
    let fmt = numbers.map(|number| number.get().to_string()).collect::<Vec<_>>().join(" ");
    let mut attributes: Vec<_> = ours.mid.map(named).into_iter().collect();
    let mut push =
        |name: &str, value: String| attributes.push(Attribute { attribute: name.into(), value: Some(value) });
    for codec in ours.codecs {
        let number = codec.payload_type.get();
        push("rtpmap", format!("{number} {}", codec.format.to_rtpmap()));
        if codec.format.is_named("red") {
            push("fmtp", format!("{number} {}", redundant(stream, ours.codecs, codec)));
        } else if !codec.format.fmtp.is_empty() {
            push("fmtp", format!("{number} {}", codec.format.fmtp));
        }
    }
    for events in ours.events {
        let number = events.payload_type.get();
        push("rtpmap", format!("{number} telephone-event/{}", events.rtp_clock_hz));
        push("fmtp", format!("{number} {}", events.events));
    }
    push("ptime", ours.ptime_ms.to_string());
    push("maxptime", stream.max_ptime_ms.to_string());
    let tagged = matches!(ours.carries, Carries::All | Carries::Multiplexed);
    let own_rtcp = local.rtcp_port.filter(|port| Some(*port) != local.rtp_port.checked_add(1));
    let hides = local.ice.as_ref().is_some_and(|ice| ice.hides_host);
    if let Some(port) = own_rtcp.filter(|_| ours.carries == Carries::All && !hides) {
        push("rtcp", port.to_string());
    }
    for line in ours.crypto.iter().filter(|_| tagged) {
        push("crypto", line.to_attribute());
    }
    if let Some(OurDtls { local, setup }) = ours.dtls.filter(|_| tagged) {
        push("fingerprint", local.fingerprint.to_string());
        push("setup", setup.name().into());
        push("tls-id", local.tls_id.clone());
    }
    if stream.voip_metrics {
        push("rtcp-xr", "voip-metrics".into());
    }
    attributes.extend(ours.feedback.lines());
    attributes.extend(ours.extensions.lines(ours.direction));
    attributes.extend(ours.ice.filter(|_| tagged).into_iter().flat_map(ice::of_section));
    if ours.carries == Carries::Nothing {
        attributes.push(Attribute::new("bundle-only"));
    }
    if ours.rtcp_mux && tagged {
        attributes.push(Attribute::new("rtcp-mux"));
    }
    if ours.reduced_size && tagged {
        attributes.push(Attribute::new("rtcp-rsize"));
    }
    attributes.push(Attribute::new(ours.direction.name()));
    Media {
        media: "audio".into(),
        port: match ice::stand_in(local) {
            _ if ours.carries == Carries::Nothing => 0,
            Some(stand_in) => stand_in.port(),
            None => local.rtp_port,
        },
        num_ports: None,
        proto: ours.proto.into(),
        fmt,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}

/// Returns the payload types in packets with redundant audio data: the best codec of the same clock, once for each payload in the
/// packet (RFC 2198, 5).
fn redundant(stream: &LocalStream, codecs: &[NegotiatedCodec], red: &NegotiatedCodec) -> String {
    let beside = |codec: &&NegotiatedCodec| {
        let (own, red) = (&codec.format, &red.format);
        !own.is_auxiliary() && (own.rtp_clock_hz, own.channels) == (red.rtp_clock_hz, red.channels)
    };
    let number = codecs.iter().find(beside).map_or(0, |codec| codec.payload_type.get()).to_string();
    vec![number; usize::from(stream.redundancy.max(1)) + 1].join("/")
}

/// Returns the line of a stream that we reject, or that is over: port 0, the rest as it was (RFC 3264, 6), and its name (RFC
/// 5888, 9.1).
pub(super) fn rejected(media: &Media, mid: Option<&str>) -> Media {
    Media {
        media: media.media.clone(),
        port: 0,
        num_ports: None,
        proto: media.proto.clone(),
        fmt: media.fmt.clone(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: mid.map(named).into_iter().collect(),
    }
}

/// Returns the line of a closed stream of ours (RFC 9143, 7.5.3). Its payload types keep their meaning, so that it can be opened
/// again; the direction distinguishes it from a line that was merely rejected.
pub(super) fn closed(ours: &Media, mid: Option<&str>) -> Media {
    let mut media = rejected(ours, mid);
    let kept = |attribute: &&Attribute| matches!(&*attribute.attribute, "rtpmap" | "fmtp");
    media.attributes.extend(ours.attributes.iter().filter(kept).cloned());
    media.attributes.push(Attribute::new(Direction::Inactive.name()));
    media
}

fn named(mid: &str) -> Attribute {
    Attribute { attribute: "mid".into(), value: Some(mid.into()) }
}

/// Returns the attribute of a BUNDLE group; none without a member.
pub(super) fn group<'a>(mids: impl IntoIterator<Item = &'a str>) -> Vec<Attribute> {
    let list: String = mids.into_iter().map(|mid| format!(" {mid}")).collect();
    let group = Attribute { attribute: "group".into(), value: Some(format!("BUNDLE{list}")) };
    if list.is_empty() { Vec::new() } else { vec![group] }
}

/// Returns the whole text. Its version is the previous description's, plus one if the text says anything else, and then at least
/// that of `local`: one that a refused offer had is not said again of something else.
pub(super) fn session(local: &LocalMedia, attributes: Vec<Attribute>, medias: Vec<Media>, times: Vec<Time>) -> String {
    let address = local.address.to_canonical();
    let addrtype = if address.is_ipv4() { AddrType::Ip4 } else { AddrType::Ip6 };
    // The origin stays as it is, whatever represents our address now (RFC 8866, 5.2).
    let stand_in = ice::stand_in(local);
    let origin = if stand_in.is_some() { ice::nowhere(local) } else { address };
    let address = stand_in.map_or(address, |stand_in| stand_in.ip());
    let connection =
        Connection { nettype: NetType::In, addrtype: addrtype.clone(), connection_address: address.to_string() };
    let previous = local.previous.as_deref();
    let mut session = Session {
        origin: Origin {
            username: Some(local.session.username.clone()),
            sess_id: local.session.id.to_string(),
            sess_version: previous.and_then(version).unwrap_or(local.session.version),
            nettype: NetType::In,
            addrtype,
            unicast_address: origin.to_string(),
        },
        session_name: "-".into(),
        session_description: None,
        uri: None,
        emails: Vec::new(),
        phones: Vec::new(),
        connection: Some(connection),
        bandwidths: Vec::new(),
        times,
        time_zones: Vec::new(),
        key: None,
        attributes,
        medias,
    };
    let text = session.to_string();
    if previous.is_none_or(|previous| previous == text) {
        return text;
    }
    session.origin.sess_version = session.origin.sess_version.wrapping_add(1).max(local.session.version);
    session.to_string()
}

/// Returns the version in the `o=` line.
pub(crate) fn version(text: &str) -> Option<u64> {
    let origin = text.lines().find_map(|line| line.strip_prefix("o="))?;
    origin.split_whitespace().nth(2)?.parse().ok()
}
