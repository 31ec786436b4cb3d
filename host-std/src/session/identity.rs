//! The random names and numbers of one side of a call.

use std::hash::{DefaultHasher, Hash, Hasher};

use dsp_core::guard::srtp::MasterKey;
use dsp_core::time::{RtpTime, Seq, Ssrc};
#[cfg(feature = "simulate")]
use rand_xoshiro::Xoshiro256PlusPlus;
#[cfg(feature = "simulate")]
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::CallError;
use crate::sdp::CryptoSuite;

/// The random names and numbers of one side of a call (RFC 3550, 5.1).
///
/// A real call takes them from the operating system, which [`CallConfig::new`](super::CallConfig::new) does by itself. Tests and simulations seed them,
/// so that a run gives the same bits again:
///
/// ```
/// use host_std::session::Identity;
///
/// # #[cfg(feature = "simulate")]
/// assert_eq!(Identity::seeded(7), Identity::seeded(7));
/// assert_ne!(Identity::random()?, Identity::random()?);
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The synchronisation source of our packets.
    pub ssrc: Ssrc,
    /// The sequence number of the first packet; with SRTP it is below 2^15 (RFC 4568, 6.4).
    pub first_seq: Seq,
    /// The RTP timestamp of the first sample.
    pub first_timestamp: RtpTime,
    /// The number of the session in the `o=` line of SDP.
    pub session_id: u64,
    /// The canonical name in RTCP: random, and the same for all streams of this side (RFC 7022).
    pub cname: String,
    /// The seed of the random intervals between RTCP reports.
    pub seed: u32,
    /// The first SRTP key of each suite. `None`: from the operating system.
    pub(super) keys: Option<Vec<(CryptoSuite, MasterKey)>>,
}

impl Identity {
    /// Creates an unpredictable identity from the operating system's randomness, as a real call needs it.
    ///
    /// # Errors
    /// [`CallError::Randomness`] when the operating system has no randomness to give.
    pub fn random() -> Result<Self, CallError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(CallError::Randomness)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(Self::from_words(std::array::from_fn(|n| u64::from_le_bytes(words[n]))))
    }

    /// Creates a repeatable identity, SRTP keys included, for simulations and tests. Never use it in a real call: anyone who
    /// knows the seed knows the keys, and two calls with one seed send under the same key. Needs the cargo feature `simulate`.
    #[cfg(feature = "simulate")]
    pub fn seeded(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (first, second) = (random.next_u64(), random.next_u64());
        // Suites that were added later have numbers of their own, so that each seed keeps its meaning.
        let mut later = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let key = |suite: CryptoSuite| {
            let (random, bytes) = match suite {
                CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => (&mut random, MasterKey::LEN),
                _ => (&mut later, suite.profile().master_bytes()),
            };
            let mut key = Zeroizing::new([0; MasterKey::LONGEST]);
            random.fill_bytes(&mut key[..bytes]);
            Some((suite, MasterKey::of(suite.profile(), &key[..bytes]).ok()?))
        };
        let keys = Some(CryptoSuite::ALL.into_iter().filter_map(key).collect());
        Self { keys, ..Self::from_words([first, second, random.next_u64(), random.next_u64()]) }
    }

    /// Returns the source that the first stream is.
    pub(super) fn source(&self) -> InitialRtpState {
        InitialRtpState { ssrc: self.ssrc, seq: self.first_seq, timestamp: self.first_timestamp }
    }

    /// Random bytes, others for each number. Repeatable if this identity is.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    #[cfg(feature = "ice")]
    pub(super) fn random_bytes(&self, number: u64) -> Result<[u8; 32], CallError> {
        let mut bytes = [0; 32];
        #[cfg(feature = "simulate")]
        if self.keys.is_some() {
            let seed = self.session_id ^ (u64::from(self.seed) << 32) ^ number;
            Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut bytes);
            return Ok(bytes);
        }
        let _ = number;
        getrandom::fill(&mut bytes).map_err(CallError::Randomness)?;
        Ok(bytes)
    }

    /// Numbers of sources to come. Repeatable if this identity is.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    pub(super) fn spare(&self) -> Result<Spare, CallError> {
        #[cfg(feature = "simulate")]
        if self.keys.is_some() {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(self.session_id ^ u64::from(self.seed)).to_le_bytes());
            return Ok(Spare::Seeded(Xoshiro256PlusPlus::from_seed(seed)));
        }
        let mut key = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *key).map_err(CallError::Randomness)?;
        Ok(Spare::Hashed { key, drawn: 0 })
    }

    fn from_words([first, second, session, name]: [u64; 4]) -> Self {
        Self {
            ssrc: Ssrc(first as u32),
            // Not near its wrap: who misses packets there would count roll-overs from the wrong end (RFC 4568, 6.4).
            first_seq: Seq((first >> 32) as u16 & 0x7fff),
            first_timestamp: RtpTime(second as u32),
            session_id: session >> 1,
            cname: format!("{name:016x}"),
            seed: (second >> 32) as u32,
            keys: None,
        }
    }
}

/// Numbers for other sources of the same end, drawn without asking the system: a packet that comes in may need them.
#[derive(Clone)]
pub(super) enum Spare {
    /// A hash of the system's randomness and of how many were drawn.
    Hashed { key: Zeroizing<[u8; 16]>, drawn: u64 },
    #[cfg(feature = "simulate")]
    Seeded(Xoshiro256PlusPlus),
}

impl Spare {
    /// A source whose first sequence number is below 2^15 (RFC 4568, 6.4).
    pub(super) fn draw(&mut self) -> InitialRtpState {
        let (first, second) = (self.next(), self.next());
        InitialRtpState { ssrc: Ssrc(first as u32), seq: Seq((first >> 49) as u16), timestamp: RtpTime(second as u32) }
    }

    fn next(&mut self) -> u64 {
        match self {
            Self::Hashed { key, drawn } => {
                *drawn += 1;
                let mut hasher = DefaultHasher::new();
                (**key, *drawn).hash(&mut hasher);
                hasher.finish()
            }
            #[cfg(feature = "simulate")]
            Self::Seeded(random) => random.next_u64(),
        }
    }
}

/// The numbers that a stream begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct InitialRtpState {
    pub(super) ssrc: Ssrc,
    pub(super) seq: Seq,
    pub(super) timestamp: RtpTime,
}
