//! The RTP packets of a capture, decrypted where there are keys: what finding streams and playing them both read.
//!
//! Keys are tried by address: a line of the key file whose `from` and `to` are the packet's, else every line, since SRTP itself
//! shows which is right. A capture that begins in the middle of a call doesn't say how often the sequence numbers have wrapped
//! (RFC 3711, 3.3.1): the first packet of a source is tried with counters up to [`MOST_ROC`].

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dsp_core::guard::srtp::{FormerKeys, KeyTerms, MasterKey, Srtp, SrtpProfile};
use dsp_core::guard::{GuardError, PacketGuard};
use dsp_core::time::Ssrc;
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;

use super::capture::{CaptureCounts, CaptureReader, Datagram};
use crate::record::keys::KeyLine;

/// Roll-over counters that are tried for a source whose beginning was not captured: 28 hours of 20 ms packets.
const MOST_ROC: u64 = 256;
/// The number of packets of a source for which all counters are tried. Later packets are tried with a counter of zero, as for
/// encryption that begins in the middle of a call: each with the keys of its addresses, and every `LATER_TRIES`-th one with all
/// keys.
const MOST_TRIES: u32 = 8;
const LATER_TRIES: u32 = 16;
/// Flows that may have a guard at once.
const MOST_GUARDS: usize = 1 << 10;

/// The reason why a line of a key file can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The SRTP suite isn't supported.
    Suite(String),
    /// Master key and master salt have another length than the suite needs.
    Length {
        /// The name of the suite.
        suite: &'static str,
        /// Bytes that the suite needs.
        need: usize,
        /// Bytes that the line has.
        got: usize,
    },
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Suite(name) => {
                let names = SrtpProfile::ALL.map(SrtpProfile::sdes_name).join(", ");
                write!(f, "no SRTP suite {name} here, but {names}")
            }
            Self::Length { suite, need, got } => {
                write!(f, "an SRTP key of {suite} has {need} bytes with its salt, not {got}")
            }
        }
    }
}

impl std::error::Error for KeyError {}

struct Key {
    from: SocketAddr,
    to: SocketAddr,
    profile: SrtpProfile,
    key: MasterKey,
}

/// The SRTP keys that open the packets of a capture. The default is none, for a capture that isn't encrypted.
///
/// ```
/// use host_std::record::keys::KeyLine;
/// use host_std::replay::CaptureKeys;
///
/// // Suite, sender, receiver and key, as in a key file.
/// let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
/// let line: KeyLine = format!("AES_CM_128_HMAC_SHA1_80 127.0.0.1:4000 127.0.0.1:5004 {key}").parse()?;
/// let keys = CaptureKeys::new(&[line])?;
/// # let _ = keys;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct CaptureKeys(Vec<Key>);

impl CaptureKeys {
    /// Keys of the lines of a key file. [`read_keys`] reads them from a file.
    ///
    /// # Errors
    /// [`KeyError::Suite`] for a line whose suite isn't supported, [`KeyError::Length`] for one whose key has another length than
    /// its suite needs.
    pub fn new(lines: &[KeyLine]) -> Result<Self, KeyError> {
        let key = |line: &KeyLine| {
            let profile =
                SrtpProfile::from_sdes_name(&line.suite).ok_or_else(|| KeyError::Suite(line.suite.clone()))?;
            let (need, got) = (profile.master_bytes(), line.key_and_salt.len());
            let length = |_| KeyError::Length { suite: profile.sdes_name(), need, got };
            let key = MasterKey::of(profile, &line.key_and_salt).map_err(length)?;
            let key = key.with_terms(KeyTerms { mki: line.mki, ..KeyTerms::default() });
            Ok(Key { from: line.from, to: line.to, profile, key })
        };
        lines.iter().map(key).collect::<Result<_, _>>().map(Self)
    }
}

type Guard = Srtp<4>;

/// The guard that opens the packets from one address to another.
struct Flow {
    guard: Guard,
    former: FormerKeys<16>,
    profile: SrtpProfile,
}

fn guard(key: &Key) -> Guard {
    // Nothing is ever sent: the outgoing key only has to be another one.
    let outgoing = MasterKey::of(key.profile, &[0; MasterKey::LONGEST][..key.profile.master_bytes()]);
    // Both have the length of the profile.
    outgoing.and_then(|outgoing| Srtp::new(key.profile, &outgoing, &key.key)).expect("keys of the profile's length")
}

/// The kind of a datagram in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CapturedDatagramKind {
    /// RTP that parses, decrypted if there are keys.
    Rtp,
    /// RTP that none of the keys opens: plain, or encrypted under another. It's there as it came.
    Unopened,
    /// The datagram looked like RTP, but SRTP refused it as a replay.
    Refused,
    /// RTCP.
    Rtcp,
    /// Something else.
    Other,
}

/// A capture, read from its beginning.
pub(super) struct ReplaySource<'a, R: Read> {
    reader: CaptureReader<R>,
    keys: &'a CaptureKeys,
    guards: HashMap<(SocketAddr, SocketAddr), Flow>,
    tries: HashMap<(SocketAddr, SocketAddr, Ssrc), u32>,
    pub(super) datagram: Datagram,
    /// The protection of the datagram, if a key has opened it.
    pub(super) profile: Option<SrtpProfile>,
}

impl<'a, R: Read> ReplaySource<'a, R> {
    pub(super) fn new(reader: CaptureReader<R>, keys: &'a CaptureKeys) -> Self {
        let (guards, tries) = (HashMap::new(), HashMap::new());
        Self { reader, keys, guards, tries, datagram: Datagram::default(), profile: None }
    }

    pub(super) fn counts(&self) -> &CaptureCounts {
        self.reader.counts()
    }

    /// Returns whether there are keys.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.0.is_empty()
    }

    pub(super) fn format(&self) -> &'static str {
        self.reader.format()
    }

    /// Reads the next datagram into `self.datagram`; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<CapturedDatagramKind>> {
        self.profile = None;
        if !self.reader.next(&mut self.datagram)? {
            return Ok(None);
        }
        // rtpdump marks RTCP in its own way, but the packets can be recognised themselves.
        Ok(Some(match DatagramKind::of(&self.datagram.bytes) {
            DatagramKind::Rtcp => CapturedDatagramKind::Rtcp,
            DatagramKind::Rtp if self.keys.0.is_empty() => match RtpPacket::parse(&self.datagram.bytes) {
                Ok(_) => CapturedDatagramKind::Rtp,
                Err(_) => CapturedDatagramKind::Other,
            },
            DatagramKind::Rtp => self.decrypt(),
            _ => CapturedDatagramKind::Other,
        }))
    }

    fn decrypt(&mut self) -> CapturedDatagramKind {
        // Padding is under the encryption: only the header is there to look at.
        let Some(&[.., a, b, c, d]) = self.datagram.bytes.first_chunk::<12>() else {
            return CapturedDatagramKind::Other;
        };
        let (from, to, ssrc) = (self.datagram.from, self.datagram.to, Ssrc(u32::from_be_bytes([a, b, c, d])));
        let opened = match self.guards.get_mut(&(from, to)) {
            Some(Flow { guard, profile, .. }) => {
                guard.unprotect_rtp(&mut self.datagram.bytes).map(|length| (length, *profile))
            }
            None => Err(GuardError::Authentication),
        };
        let opened = match opened {
            Err(GuardError::Authentication) => self.find_key(from, to, ssrc),
            Err(_) => return CapturedDatagramKind::Refused,
            Ok(opened) => Some(opened),
        };
        self.profile = opened.map(|(_, profile)| profile);
        if let Some((length, _)) = opened {
            self.datagram.bytes.truncate(length);
        }
        match (RtpPacket::parse(&self.datagram.bytes).is_ok(), opened) {
            (true, Some(_)) => CapturedDatagramKind::Rtp,
            (true, None) => CapturedDatagramKind::Unopened,
            (false, Some(_)) => CapturedDatagramKind::Other,
            (false, None) => CapturedDatagramKind::Refused,
        }
    }

    /// Finds the key of a flow, or the roll-over counter of a source in it, by the packet that is there.
    fn find_key(&mut self, from: SocketAddr, to: SocketAddr, ssrc: Ssrc) -> Option<(usize, SrtpProfile)> {
        if self.tries.len() >= MOST_GUARDS * 4 {
            return None;
        }
        let tries = self.tries.entry((from, to, ssrc)).or_default();
        *tries = tries.saturating_add(1);
        let early = *tries <= MOST_TRIES;
        let (counters, all_keys) = (if early { MOST_ROC } else { 1 }, early || tries.is_multiple_of(LATER_TRIES));
        let exact = |key: &&Key| key.from == from && key.to == to;
        let keys: Vec<&Key> = match self.keys.0.iter().filter(exact).count() {
            0 if !all_keys => return None,
            0 => self.keys.0.iter().collect(),
            _ => self.keys.0.iter().filter(exact).collect(),
        };
        let seq = u64::from(u16::from_be_bytes([self.datagram.bytes[2], self.datagram.bytes[3]]));
        for key in keys {
            for counter in 0..counters {
                let index = counter << 16 | seq;
                let mut fresh = guard(key);
                // Counters of zero and one are tried by the guard itself.
                if counter > 1 {
                    fresh.resume_incoming(ssrc, index - 1, 0).ok()?;
                }
                if counter != 1
                    && let Ok(length) = fresh.unprotect_rtp(&mut self.datagram.bytes)
                {
                    if let Some(flow) = self.guards.get_mut(&(from, to)) {
                        // Another key than before, or only a source that was not heard yet.
                        let set = flow.guard.set_incoming(key.profile, &key.key, &mut flow.former);
                        if set.is_err() || flow.guard.resume_incoming(ssrc, index, 0).is_err() {
                            flow.guard = fresh;
                        }
                        flow.profile = key.profile;
                    } else if self.guards.len() < MOST_GUARDS {
                        let flow = Flow { guard: fresh, former: FormerKeys::new(), profile: key.profile };
                        self.guards.insert((from, to), flow);
                    }
                    return Some((length, key.profile));
                }
            }
        }
        None
    }
}

/// Reads a key file; [`record::keys`](crate::record::keys) describes its format.
///
/// # Errors
/// One sentence, with the path, that says why the file can't be read, or which line isn't a key line or can't be used
/// ([`KeyError`]).
pub fn read_keys(path: &Path) -> Result<CaptureKeys, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", PathBuf::from(path).display());
    let lines = crate::record::keys::read(path).map_err(|error| at(&error))?;
    CaptureKeys::new(&lines).map_err(|error| at(&error))
}
