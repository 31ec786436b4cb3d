//! The differentiated services code point (RFC 2474): how routers are asked to treat the packets of a call. 6 bits, the
//! upper ones of IPv4's type of service and of IPv6's traffic class; the lower two are congestion's (RFC 3168), and 0.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A code point, 0 to 63.
///
/// ```
/// use host_std::sockets::Dscp;
///
/// assert_eq!("ef".parse(), Ok(Dscp::EF));
/// assert_eq!("46".parse::<Dscp>().map(Dscp::code_point), Ok(46));
/// assert!(Dscp::new(64).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dscp(u8);

/// The code points that have names (RFC 2474, 2597, 3246, 5865 and 8622).
const NAMES: [(&str, u8); 25] = [
    ("DF", 0),
    ("CS0", 0),
    ("LE", 1),
    ("CS1", 8),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("CS2", 16),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("CS3", 24),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("CS4", 32),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("CS5", 40),
    ("VA", 44),
    ("VOICE-ADMIT", 44),
    ("EF", 46),
    ("CS6", 48),
    ("CS7", 56),
];

impl Dscp {
    /// Expedited forwarding: what voice is marked with (RFC 4594, 4.1).
    pub const EF: Self = Self(46);
    /// Default forwarding: as any other packet.
    pub const DF: Self = Self(0);

    /// # Errors
    /// [`DscpError::Range`] for more than 63.
    pub const fn new(code_point: u8) -> Result<Self, DscpError> {
        if code_point < 64 { Ok(Self(code_point)) } else { Err(DscpError::Range(code_point as u32)) }
    }

    /// Returns the code point, 0 to 63.
    pub const fn code_point(self) -> u8 {
        self.0
    }

    /// Returns the octet of the IP header that it is in, with no congestion bits.
    pub(super) const fn octet(self) -> u32 {
        (self.0 as u32) << 2
    }

    /// Returns the code point in that octet of an IP header.
    pub(super) const fn of_octet(octet: u32) -> Self {
        Self((octet as u8) >> 2)
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, code_point)| *code_point == self.0) {
            Some((name, code_point)) => write!(f, "{name} ({code_point})"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A name in either case, or a number.
impl FromStr for Dscp {
    type Err = DscpError;

    fn from_str(text: &str) -> Result<Self, DscpError> {
        if let Some((_, code_point)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self(*code_point));
        }
        let number: u32 = text.parse().map_err(|_| DscpError::Name)?;
        u8::try_from(number).map_err(|_| DscpError::Range(number)).and_then(Self::new)
    }
}

/// The reason why a value is no code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DscpError {
    /// A number above 63.
    Range(u32),
    /// The text is neither a number nor one of the names.
    Name,
}

impl fmt::Display for DscpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(number) => write!(f, "{number} is not in 0..=63"),
            Self::Name => f.write_str(
                "must be a number from 0 to 63, or EF, VA, CS0 to CS7, AF11 to AF43, LE or DF (RFC 4594: EF for voice)",
            ),
        }
    }
}

impl Error for DscpError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_code_points() {
        let read = str::parse::<Dscp>;
        assert_eq!([read("EF"), read("ef"), read("46")], [Ok(Dscp::EF); 3]);
        assert_eq!(
            [read("AF41"), read("cs3"), read("0")].map(|dscp| dscp.map(Dscp::code_point)),
            [Ok(34), Ok(24), Ok(0)]
        );
        assert_eq!(read("63").map(|dscp| dscp.to_string()), Ok("63".into()));
        assert_eq!(Dscp::EF.to_string(), "EF (46)");
        assert_eq!([read("64"), read("300")], [Err(DscpError::Range(64)), Err(DscpError::Range(300))]);
        assert_eq!([read("-1"), read("AF44"), read("")], [Err(DscpError::Name); 3]);
    }

    /// RFC 2597, 6: class n with drop precedence m is 8n + 2m; RFC 2474, 4.2.2: class selector n is 8n.
    #[test]
    fn names_follow_their_formulas() {
        for (name, code_point) in NAMES {
            let digits: Vec<u8> = name.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
            match digits[..] {
                [class, drop] => assert_eq!(code_point, 8 * class + 2 * drop, "{name}"),
                [class] => assert_eq!(code_point, 8 * class, "{name}"),
                _ => assert!(["DF", "LE", "VA", "VOICE-ADMIT", "EF"].contains(&name), "{name}"),
            }
            assert_eq!(Dscp::of_octet(Dscp(code_point).octet()).code_point(), code_point);
        }
    }
}
