//! The keys of a call beside its capture, so that other programs can read it.
//!
//! A text file; a line that starts with `#` is a remark, any other is four fields with spaces between them:
//!
//! ```text
//! AES_CM_128_HMAC_SHA1_80 127.0.0.1:4000 127.0.0.1:5004 WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
//! suite                   from           to             key
//! ```
//!
//! The suite is named as in SDP (RFC 4568, 6.2). The key is what follows `inline:` there: SRTP's master key and master
//! salt together, in base64, of the side that sends from `from`; it holds for SRTP and SRTCP and for every SSRC in that
//! direction (RFC 3711, 4.3 derives the session keys from it). Where packets have an identifier (MKI), it follows the key as in
//! SDP: `|1:4`, number and length in bytes. An address is IPv4 `1.2.3.4:5` or IPv6 `[::1]:5`.
//!
//! Use it to hand a call's capture to another person; [`wire`](super::wire) writes such a file beside a capture by itself, and
//! `replay::read_keys` reads one to play it. **Limits.** Anyone who has this file can hear the call, so only its owner may read
//! it.
//!
//! ```
//! use host_std::record::keys::{self, KeyLine};
//!
//! let path = std::env::temp_dir().join(format!("doc-keys-{}.keys", std::process::id()));
//! let line: KeyLine =
//!     "AES_CM_128_HMAC_SHA1_80 127.0.0.1:4000 127.0.0.1:5004 WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz".parse()?;
//! keys::write(&path, std::slice::from_ref(&line))?;
//! assert_eq!(keys::read(&path)?, [line]);
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::str::FromStr;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dsp_core::guard::srtp::Mki;

use crate::output;

/// The header of the file.
const HEADER: &str = "\
# SRTP keys of the capture beside this file. Whoever has them can hear the call.
#
#   suite from to key
#
# The key is master key and master salt in base64, as after \"inline:\" in SDP (RFC 4568); it holds for every SSRC,
# and for RTCP too, in the direction from -> to.
#
# One direction in the clear, with rtp_decoder (built with libsrtp's tests) and Wireshark's text2pcap; PORT is that of
# `to`:
#
#   rtp_decoder -s SUITE -b KEY -f 'udp dst port PORT' < call.pcap \\
#     | text2pcap -t '%M:%S.%f' -u 4000,PORT - plain.pcap
#   tshark -r plain.pcap -d udp.port==4000,rtp -q -z rtp,streams
#
# Wireshark then plays it: Telephony, RTP, RTP Player. Other tools want the key as a line of SDP:
#
#   a=crypto:1 SUITE inline:KEY
";

/// The key of one direction of a call.
///
/// ```
/// use host_std::record::keys::KeyLine;
///
/// let text = "AES_CM_128_HMAC_SHA1_80 127.0.0.1:4000 127.0.0.1:5004 WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
/// let line: KeyLine = text.parse()?;
/// assert_eq!((line.to.port(), line.key_and_salt.len()), (5004, 30));
/// assert_eq!(line.to_string(), text);
/// // A log doesn't have the key.
/// assert!(!format!("{line:?}").contains("WVNf"));
/// # Ok::<(), host_std::record::keys::KeyLineError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The suite as SDP names it, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: String,
    /// The address that sends the packets.
    pub from: SocketAddr,
    /// The address to which the packets go.
    pub to: SocketAddr,
    /// The master key, followed by the master salt (RFC 4568, 6.1).
    pub key_and_salt: Vec<u8>,
    /// The identifier of the key that each packet has (MKI), if there is one.
    pub mki: Option<Mki>,
}

/// Leaves the key out, since debug output ends in logs.
impl fmt::Debug for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLine({} {} {}, {} bytes)", self.suite, self.from, self.to, self.key_and_salt.len())
    }
}

/// Writes the line as it is in the file, including the key.
impl fmt::Display for KeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.suite, self.from, self.to, STANDARD.encode(&self.key_and_salt))?;
        self.mki.map_or(Ok(()), |mki| write!(f, "|{}:{}", mki.value(), mki.len_bytes()))
    }
}

/// The reason why a line isn't `suite from to key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLineError {
    /// The line hasn't four fields.
    Fields {
        /// The number of fields that were found.
        got: usize,
    },
    /// The second or the third field isn't a socket address.
    Address,
    /// The fourth field isn't base64.
    Base64,
    /// The fourth field has no number and length after its `|`.
    Mki,
}

impl fmt::Display for KeyLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields { got } => write!(f, "a key line has 4 fields (suite, from, to, key), not {got}"),
            Self::Address => write!(f, "a key line's second and third field are addresses with a port"),
            Self::Base64 => write!(f, "a key line's fourth field is base64"),
            Self::Mki => write!(f, "a key's identifier is NUMBER:BYTES, such as 1:4"),
        }
    }
}

impl core::error::Error for KeyLineError {}

impl FromStr for KeyLine {
    type Err = KeyLineError;

    fn from_str(line: &str) -> Result<Self, KeyLineError> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[suite, from, to, key] = fields.as_slice() else {
            return Err(KeyLineError::Fields { got: fields.len() });
        };
        let (key, mki) = match key.split_once('|') {
            None => (key, None),
            Some((key, mki)) => {
                let (value, bytes) = mki.split_once(':').ok_or(KeyLineError::Mki)?;
                let (value, bytes) = (value.parse(), bytes.parse());
                let (Ok(value), Ok(bytes)) = (value, bytes) else { return Err(KeyLineError::Mki) };
                (key, Some(Mki::new(value, bytes).ok_or(KeyLineError::Mki)?))
            }
        };
        let address = |field: &str| field.parse().map_err(|_| KeyLineError::Address);
        Ok(Self {
            suite: suite.into(),
            from: address(from)?,
            to: address(to)?,
            key_and_salt: STANDARD.decode(key).map_err(|_| KeyLineError::Base64)?,
            mki,
        })
    }
}

/// Writes the file, readable by its owner only where the system has such rights: also where there was one before.
///
/// # Errors
/// The error of the file system if the file can't be written.
pub fn write(path: impl AsRef<Path>, keys: &[KeyLine]) -> io::Result<()> {
    let mut text = HEADER.to_owned();
    for key in keys {
        text += &format!("{key}\n");
    }
    output::write_private(path, text)
}

/// Reads the file: every line that is neither empty nor a remark.
///
/// # Errors
/// The file system's error; `InvalidData` with the number of a line that is malformed.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<KeyLine>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|(n, line)| {
        let error = |error| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", n + 1));
        line.parse().map_err(error)
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_there_and_back() {
        let key = KeyLine {
            suite: "AES_CM_128_HMAC_SHA1_80".into(),
            from: "127.0.0.1:4000".parse().unwrap(),
            to: "[::1]:5004".parse().unwrap(),
            key_and_salt: (0..30).collect(),
            mki: None,
        };
        let line = key.to_string();
        assert_eq!(line, "AES_CM_128_HMAC_SHA1_80 127.0.0.1:4000 [::1]:5004 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd");
        assert_eq!(line.parse(), Ok(key.clone()));
        assert!(!format!("{key:?}").contains("AAEC"), "a key in a log");
        let named = KeyLine { mki: Mki::new(258, 4), ..key.clone() };
        assert_eq!(named.to_string(), format!("{line}|258:4"));
        assert_eq!(named.to_string().parse(), Ok(named));

        let path = std::env::temp_dir().join(format!("media-core-keys-{}", std::process::id()));
        write(&path, &[key.clone(), key.clone()]).unwrap();
        let read_back = read(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(read_back.unwrap(), [key.clone(), key]);
    }

    #[test]
    fn what_is_no_line() {
        let parse = |line: &str| line.parse::<KeyLine>().unwrap_err();
        assert_eq!(parse("one two"), KeyLineError::Fields { got: 2 });
        assert_eq!(parse("suite 127.0.0.1 127.0.0.1:2 AAAA"), KeyLineError::Address);
        assert_eq!(parse("suite 127.0.0.1:1 127.0.0.1:2 A!"), KeyLineError::Base64);
        for mki in ["", "1", "1:", ":1", "1:0", "256:1", "1:129", "-1:4"] {
            assert_eq!(parse(&format!("suite 127.0.0.1:1 127.0.0.1:2 AAAA|{mki}")), KeyLineError::Mki, "{mki}");
        }
    }
}
