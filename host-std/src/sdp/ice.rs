//! ICE in a description (RFC 8839; trickle by RFC 8838 and 8840): credentials, options and candidates of one component,
//! since RTP and RTCP share a port wherever ICE is spoken here.
//!
//! A description of the other side is read with bounds: as many candidates as [`MAX_CANDIDATES`], of UDP and of the first
//! component, with addresses and not names. A browser's mDNS name (`*.local`) is no address and is skipped at once: its checks
//! come from the real address, which is all that is needed. Credentials that RFC 8839, 5.4 doesn't allow count as absent.
//!
//! `a=ice-mismatch` is neither written nor evaluated: a `c=` line that a gateway on the way has changed says nothing about the
//! candidates.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sdp_types::Attribute;

use super::LocalMedia;
use super::error::{DescriptionKind, SdpError};
use super::read::Audio;

/// The most candidates of the other side that are accepted. It bounds how many addresses a description can make us check.
pub const MAX_CANDIDATES: usize = 32;
/// The most remote candidates that a description names as selected.
const MAX_REMOTE_CANDIDATES: usize = 2;

/// The name and password of one side's checks (RFC 8445, 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`: 4 to 256 characters.
    pub ufrag: String,
    /// `a=ice-pwd`: 22 to 256 characters, 128 bits of randomness.
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    /// Writes the credentials without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl IceCredentials {
    /// Credentials from the operating system's randomness: 48 bits of name and 144 bits of password.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_random(&bytes))
    }

    /// Creates credentials from random bytes.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
        Self { ufrag: text(&bytes[..8]), pwd: text(&bytes[8..]) }
    }

    fn is_valid(&self) -> bool {
        let is_text = |text: &str| text.bytes().all(is_ice_char);
        let (ufrag, pwd) = (&self.ufrag, &self.pwd);
        (4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len()) && is_text(ufrag) && is_text(pwd)
    }
}

fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// The origin of a candidate's address (RFC 8445, 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of a network interface of that side.
    Host,
    /// The address from which a STUN server saw that side send.
    ServerReflexive,
    /// The address from which the other side saw it send in a check.
    PeerReflexive,
    /// An address of a TURN server that relays to that side.
    Relayed,
}

impl CandidateKind {
    /// Returns the name in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let kinds = [Self::Host, Self::ServerReflexive, Self::PeerReflexive, Self::Relayed];
        kinds.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Returns the type preference of RFC 8445, 5.1.2.2.
    const fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }
}

/// An address of one side that may be checked: a UDP candidate of the first component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCandidate {
    /// The foundation, which candidates of one origin have in common (RFC 8445, 5.1.1.3).
    pub foundation: String,
    /// The priority, 1 to 2^31 - 1. The larger is checked first.
    pub priority: u32,
    /// The address of the candidate.
    pub address: SocketAddr,
    /// The kind of the candidate.
    pub kind: CandidateKind,
    /// The related address (`raddr`); a host candidate has none.
    pub related: Option<SocketAddr>,
}

/// The content of an `a=candidate` line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CandidateLine {
    /// A candidate that can be checked.
    Usable(IceCandidate),
    /// A candidate with a name of multicast DNS, by which a browser hides its address. It is skipped.
    Hidden,
    /// A candidate over TCP, of another component, with another name, or with a kind or an address that can't be checked. It is
    /// skipped.
    Unusable,
}

impl IceCandidate {
    /// Creates one of ours, by the recommended formula (RFC 8445, 5.1.2.1). `preference`: 65,535 for the best address of its
    /// kind, less for others.
    pub fn new(kind: CandidateKind, address: SocketAddr, base: SocketAddr, preference: u16) -> Self {
        let priority = (kind.preference() << 24) | (u32::from(preference) << 8) | 255;
        // The same for the same kind and base.
        let family = if base.is_ipv4() { 4 } else { 6 };
        let place = u16::MAX - preference;
        let foundation = format!("{}{family}{place}", kind.name().as_bytes()[0] as char);
        let related = (kind != CandidateKind::Host).then_some(base);
        Self { foundation, priority, address, kind, related }
    }

    /// Returns the value of an `a=candidate` attribute.
    pub fn to_attribute(&self) -> String {
        let Self { foundation, priority, address, kind, related } = self;
        let (ip, port, kind) = (address.ip(), address.port(), kind.name());
        let line = format!("{foundation} 1 udp {priority} {ip} {port} typ {kind}");
        match related {
            Some(related) => format!("{line} raddr {} rport {}", related.ip(), related.port()),
            None => line,
        }
    }

    /// Reads the value of an `a=candidate` attribute (RFC 8839, 5.1). Any other form is unusable.
    pub fn parse(value: &str) -> CandidateLine {
        Self::read(value).unwrap_or(CandidateLine::Unusable)
    }

    fn read(value: &str) -> Option<CandidateLine> {
        let mut fields = value.split_whitespace();
        let foundation =
            fields.next().filter(|text| (1..=32).contains(&text.len()) && text.bytes().all(is_ice_char))?;
        let component: u16 = fields.next()?.parse().ok()?;
        let transport = fields.next()?;
        let priority = fields.next()?.parse().ok().filter(|priority| (1..1 << 31).contains(priority))?;
        let host = fields.next()?;
        let port: u16 = fields.next()?.parse().ok()?;
        let kind =
            fields.next().filter(|word| *word == "typ").and_then(|_| CandidateKind::from_name(fields.next()?))?;
        if component != 1 || !transport.eq_ignore_ascii_case("udp") || port == 0 {
            return Some(CandidateLine::Unusable);
        }
        let Ok(ip) = host.parse::<IpAddr>() else {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            let hidden = name.strip_suffix(".local").is_some_and(|host| !host.is_empty());
            return Some(if hidden { CandidateLine::Hidden } else { CandidateLine::Unusable });
        };
        let mut related = (None, None);
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name {
                "raddr" => related.0 = value.parse::<IpAddr>().ok(),
                "rport" => related.1 = value.parse::<u16>().ok(),
                _ => {}
            }
        }
        let related = related.0.zip(related.1).map(SocketAddr::from).filter(|_| kind != CandidateKind::Host);
        let address = SocketAddr::new(ip.to_canonical(), port);
        if !can_be_checked(address.ip()) {
            return Some(CandidateLine::Unusable);
        }
        Some(CandidateLine::Usable(Self { foundation: foundation.into(), priority, address, kind, related }))
    }
}

/// Returns whether an address is one host's.
fn can_be_checked(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.is_link_local());
    !broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

/// The ICE part of our descriptions: [`LocalMedia::ice`](super::LocalMedia::ice).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalIce {
    /// Our credentials, which stay the same until a restart.
    pub credentials: IceCredentials,
    /// Whether we only answer checks (RFC 8445, 2.5).
    pub lite: bool,
    /// Whether a call is refused if the other side has no ICE. Otherwise packets go where its description says.
    pub required: bool,
    /// Our candidates that are known so far.
    pub candidates: Vec<IceCandidate>,
    /// Whether there will be no more candidates.
    pub complete: bool,
    /// The other side's candidate that is selected, in a running call whose checks we control (RFC 8839, 4.4.1.2.2).
    pub selected: Option<SocketAddr>,
    /// Whether the description hides our address: a relayed candidate takes its place, and until there is one, 0.0.0.0 and port
    /// 9, as in descriptions of browsers (RFC 8840, 4.1.1).
    pub hides_host: bool,
}

/// Returns the placeholder for our address and port in a description that doesn't disclose them.
pub(super) fn stand_in(local: &LocalMedia) -> Option<SocketAddr> {
    let ice = local.ice.as_ref().filter(|ice| ice.hides_host)?;
    let relayed = ice.candidates.iter().find(|candidate| candidate.kind == CandidateKind::Relayed);
    Some(relayed.map_or_else(|| SocketAddr::new(nowhere(local), 9), |relayed| relayed.address))
}

/// Returns the unspecified address of our family.
pub(super) fn nowhere(local: &LocalMedia) -> IpAddr {
    if local.address.to_canonical().is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// The ICE part of a description of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteIce {
    /// The other side's credentials.
    pub credentials: IceCredentials,
    /// Whether the other side only answers checks.
    pub lite: bool,
    /// Whether the other side sends and accepts candidates later (RFC 8838).
    pub trickle: bool,
    /// The other side's candidates that can be checked.
    pub candidates: Vec<IceCandidate>,
    /// The number of candidates that were skipped because they have a name of multicast DNS in place of an address.
    pub hidden: usize,
    /// Whether there will be no more candidates.
    pub complete: bool,
    /// Our candidates that the other side has selected.
    pub selected: Vec<SocketAddr>,
}

/// ICE as both sides have agreed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedIce {
    /// Our credentials, as our description has them.
    pub local: IceCredentials,
    /// Whether we only answer checks.
    pub lite: bool,
    /// The ICE part of the other side's description.
    pub remote: RemoteIce,
    /// Whether we are the controlling side, which chooses the pair, unless the roles were settled before (RFC 8445, 6.1.1).
    pub controlling: bool,
}

/// The reason why there is no ICE in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoIce {
    /// ICE is off here.
    Off,
    /// The other side's description says nothing of ICE, or nothing that can be used.
    OtherSide,
    /// RTP and RTCP do not share a port, and only one port is checked here.
    Unmultiplexed,
    /// Both sides only answer checks, so none would be sent.
    BothLite,
}

impl fmt::Display for NoIce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "ICE is off here",
            Self::OtherSide => "the other side doesn't speak ICE",
            Self::Unmultiplexed => "ICE needs RTP and RTCP on one port (rtcp-mux), and they are not",
            Self::BothLite => "both sides are ICE-lite and neither checks anything",
        })
    }
}

/// Reads the attributes of a section and its session.
pub(super) fn read<'a>(
    of_media: impl Fn(&'static str) -> Vec<&'a str>,
    of_both: impl Fn(&'static str) -> Option<&'a str>,
    has: impl Fn(&'static str) -> bool,
) -> Option<RemoteIce> {
    let credentials = IceCredentials { ufrag: of_both("ice-ufrag")?.into(), pwd: of_both("ice-pwd")?.into() };
    if !credentials.is_valid() {
        return None;
    }
    let options = of_both("ice-options").unwrap_or_default();
    let mut remote = RemoteIce {
        credentials,
        lite: has("ice-lite"),
        trickle: options.split_whitespace().any(|option| option == "trickle"),
        candidates: Vec::new(),
        hidden: 0,
        complete: has("end-of-candidates"),
        selected: Vec::new(),
    };
    for line in of_media("candidate") {
        match IceCandidate::parse(line) {
            CandidateLine::Usable(candidate) if remote.candidates.len() < MAX_CANDIDATES => {
                remote.candidates.push(candidate);
            }
            CandidateLine::Usable(_) | CandidateLine::Unusable => {}
            CandidateLine::Hidden => remote.hidden += 1,
        }
    }
    if let Some(list) = of_media("remote-candidates").first() {
        let mut fields = list.split_whitespace();
        while let (Some(component), Some(ip), Some(port)) = (fields.next(), fields.next(), fields.next()) {
            if let ("1", Ok(ip), Ok(port)) = (component, ip.parse(), port.parse())
                && remote.selected.len() < MAX_REMOTE_CANDIDATES
            {
                remote.selected.push(SocketAddr::new(ip, port));
            }
        }
    }
    Some(remote)
}

/// Refuses what can't be written.
pub(super) fn check(local: &LocalMedia) -> Result<(), SdpError> {
    let Some(ice) = &local.ice else { return Ok(()) };
    if !ice.credentials.is_valid() {
        return Err(SdpError::Local("the ICE credentials are too short, too long or have other characters"));
    }
    if !local.rtcp_mux {
        return Err(SdpError::Local("ICE needs rtcp-mux: RTP and RTCP on one port"));
    }
    if ice.candidates.len() > MAX_CANDIDATES {
        return Err(SdpError::Local("there are more than 32 ICE candidates"));
    }
    Ok(())
}

/// Returns the attributes at the session level.
pub(super) fn of_session(ice: Option<&LocalIce>) -> Vec<Attribute> {
    let Some(ice) = ice else { return Vec::new() };
    let mut attributes = Vec::new();
    if ice.lite {
        attributes.push(Attribute::new("ice-lite"));
    } else {
        attributes.push(attribute("ice-options", "trickle ice2".into()));
    }
    attributes
}

/// Returns the attributes of the section that carries the packets.
pub(super) fn of_section(ice: &LocalIce) -> Vec<Attribute> {
    let mut attributes =
        vec![attribute("ice-ufrag", ice.credentials.ufrag.clone()), attribute("ice-pwd", ice.credentials.pwd.clone())];
    attributes.extend(ice.candidates.iter().map(|candidate| attribute("candidate", candidate.to_attribute())));
    if let Some(selected) = ice.selected {
        attributes.push(attribute("remote-candidates", format!("1 {} {}", selected.ip(), selected.port())));
    }
    if ice.complete && !ice.lite {
        attributes.push(Attribute::new("end-of-candidates"));
    }
    attributes
}

fn attribute(name: &str, value: String) -> Attribute {
    Attribute { attribute: name.into(), value: Some(value) }
}

/// Returns the ICE agreement and the attributes for our answer to `theirs`.
///
/// # Errors
/// [`SdpError::IceRequired`].
pub(super) fn answered(local: &LocalMedia, theirs: &Audio) -> Result<Result<NegotiatedIce, NoIce>, SdpError> {
    let Some(ours) = &local.ice else { return Ok(Err(NoIce::Off)) };
    let muxed = local.rtcp_mux && theirs.rtcp_mux;
    let agreed = agree(&ours.credentials, ours.lite, muxed, theirs, false);
    required(ours.required, DescriptionKind::Offer, agreed)
}

/// Returns the ICE agreement after the answer to our offer; our own attributes are in the offer.
///
/// # Errors
/// [`SdpError::IceRequired`].
pub(super) fn accepted(
    local: &LocalMedia,
    ours: &Audio,
    theirs: &Audio,
) -> Result<Result<NegotiatedIce, NoIce>, SdpError> {
    let Some(own) = &ours.ice else { return Ok(Err(NoIce::Off)) };
    let muxed = ours.rtcp_mux && theirs.rtcp_mux;
    let agreed = agree(&own.credentials, own.lite, muxed, theirs, true);
    required(local.ice.as_ref().is_some_and(|ice| ice.required), DescriptionKind::Answer, agreed)
}

fn required<T>(required: bool, kind: DescriptionKind, agreed: Result<T, NoIce>) -> Result<Result<T, NoIce>, SdpError> {
    match agreed {
        Err(why) if required => Err(SdpError::IceRequired(kind, why)),
        agreed => Ok(agreed),
    }
}

fn agree(
    local: &IceCredentials,
    lite: bool,
    muxed: bool,
    theirs: &Audio,
    offerer: bool,
) -> Result<NegotiatedIce, NoIce> {
    let remote = theirs.ice.as_ref().ok_or(NoIce::OtherSide)?;
    if !muxed {
        return Err(NoIce::Unmultiplexed);
    }
    if lite && remote.lite {
        return Err(NoIce::BothLite);
    }
    // A full side controls a lite one; of two full ones the offerer does (RFC 8445, 6.1.1).
    let controlling = !lite && (remote.lite || offerer);
    Ok(NegotiatedIce { local: local.clone(), lite, remote: remote.clone(), controlling })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(line: &str) -> IceCandidate {
        match IceCandidate::parse(line) {
            CandidateLine::Usable(candidate) => candidate,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn candidates_are_read_as_browsers_and_phones_write_them() {
        let chrome = usable(
            "1467250027 1 udp 2122260223 192.168.0.196 46243 typ host generation 0 ufrag abcd network-id 1 network-cost 10",
        );
        assert_eq!(chrome.address, "192.168.0.196:46243".parse().unwrap());
        assert_eq!((chrome.kind, chrome.priority, chrome.related), (CandidateKind::Host, 2_122_260_223, None));
        let reflexive = usable("2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998");
        assert_eq!(reflexive.related, Some("10.0.1.1:8998".parse().unwrap()));
        let six = usable("6 1 udp 1 2001:db8::7 9 typ relay raddr :: rport 9");
        assert_eq!(six.address, "[2001:db8::7]:9".parse().unwrap());
        // What we write is read as it was.
        let ours = IceCandidate::new(CandidateKind::ServerReflexive, six.address, six.address, 65_535);
        assert_eq!(usable(&ours.to_attribute()), ours);
        assert_eq!(ours.priority, (100 << 24) | (65_535 << 8) | 255);
    }

    #[test]
    fn names_tcp_other_components_and_nonsense_are_skipped() {
        let hidden = "1 1 udp 2122260223 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 52106 typ host";
        assert_eq!(IceCandidate::parse(hidden), CandidateLine::Hidden);
        for line in [
            "",
            "1 1 udp",
            "1 2 udp 1 192.0.2.1 9 typ host",
            "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
            "1 1 udp 1 host.example 9 typ host",
            "1 1 udp 1 .local 9 typ host",
            // Six bytes from its end lies the middle of a character.
            "1 1 udp 1 2001:\u{fffd}b8::3 9 typ host",
            "1 1 udp 1 192.0.2.1 0 typ host",
            "1 1 udp 1 192.0.2.1 65536 typ host",
            "1 1 udp 0 192.0.2.1 9 typ host",
            "1 1 udp 2147483648 192.0.2.1 9 typ host",
            "1 1 udp 1 224.0.0.1 9 typ host",
            "1 1 udp 1 0.0.0.0 9 typ host",
            "1 1 udp 1 255.255.255.255 9 typ host",
            "1 1 udp 1 192.0.2.1 9 typ alien",
            "1 1 udp 1 192.0.2.1 9 host",
            "a-b 1 udp 1 192.0.2.1 9 typ host",
            "äöü.local 1 udp 1 ä.local 9 typ host",
        ] {
            assert_eq!(IceCandidate::parse(line), CandidateLine::Unusable, "{line}");
        }
    }

    #[test]
    fn credentials_have_the_randomness_they_need_and_never_show_the_password() {
        let [one, other] = [(); 2].map(|()| IceCredentials::generate().unwrap());
        assert!(one.is_valid() && one != other && (one.ufrag.len(), one.pwd.len()) == (8, 24));
        assert!(!format!("{one:?}").contains(&one.pwd));
        for (ufrag, pwd) in
            [("abc", "1234567890123456789012"), ("abcd", "123456789012345678901"), ("ab-d", "1234567890123456789012")]
        {
            assert!(!IceCredentials { ufrag: ufrag.into(), pwd: pwd.into() }.is_valid());
        }
    }
}
