//! Options of SRTP, the same in every command that has them.

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::guard::srtp::{KeyTerms, Mki};
use host_std::sdp::{CryptoSuite, SrtpPolicy, Unencrypted};
use host_std::session::SrtpOptions;

/// Packets that the other side may leave unencrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clear {
    /// Sound: everybody on the way can hear the call
    Rtp,
    /// Reports: everybody on the way can read how the call is heard
    Rtcp,
}

/// Whether and how a call is protected.
#[derive(Debug, ClapArgs)]
pub(super) struct SrtpArgs {
    /// Plain RTP instead of SRTP
    #[arg(help_heading = "Security", long)]
    pub(super) no_srtp: bool,
    /// SRTP suites to offer and take, the best first, as SDP names them, or `all`. By default AES_CM_128_HMAC_SHA1_80 and
    /// _32 are offered and all are taken: AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_256_CM_HMAC_SHA1_80 and _32 too
    #[arg(help_heading = "Security", long, value_delimiter = ',', value_parser = suites, conflicts_with = "no_srtp",
        value_name = "SUITES")]
    srtp_suites: Vec<Suites>,
    /// An identifier of our key (MKI) in each packet: a number and its length in bytes, such as 1:4
    #[arg(help_heading = "Security", long, value_parser = mki, conflicts_with = "no_srtp", value_name = "NUMBER:BYTES")]
    srtp_mki: Option<Mki>,
    /// Packets that a key of ours may protect before another is needed, a number or a power such as 2^20
    #[arg(help_heading = "Security", long, value_parser = lifetime, conflicts_with = "no_srtp", value_name = "PACKETS")]
    srtp_lifetime: Option<u64>,
    /// What the other side may ask to leave unencrypted, on both sides; it stays authenticated
    #[arg(
        help_heading = "Security",
        long,
        value_enum,
        value_delimiter = ',',
        conflicts_with = "no_srtp",
        value_name = "WHAT"
    )]
    srtp_accept_clear: Vec<Clear>,
}

/// One suite or all of them.
#[derive(Clone, Debug)]
struct Suites(Vec<CryptoSuite>);

fn suites(text: &str) -> Result<Suites, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Suites(CryptoSuite::ALL.into()));
    }
    let names = || CryptoSuite::ALL.map(CryptoSuite::name).join(", ");
    CryptoSuite::from_name(text)
        .map(|suite| Suites(vec![suite]))
        .ok_or_else(|| format!("must be `all` or of {}", names()))
}

fn mki(text: &str) -> Result<Mki, String> {
    let parsed = text.split_once(':').and_then(|(value, bytes)| Mki::new(value.parse().ok()?, bytes.parse().ok()?));
    parsed.ok_or_else(|| "must be a number and 1 to 128 bytes that hold it, such as 1:4".into())
}

fn lifetime(text: &str) -> Result<u64, String> {
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => exponent.parse().ok().and_then(|exponent| 1_u64.checked_shl(exponent)),
        None => text.parse().ok(),
    };
    let most = KeyTerms::default().lifetime_packets;
    packets.filter(|packets| (1..=most).contains(packets)).ok_or_else(|| "must be 1 to 2^48".into())
}

impl SrtpArgs {
    pub(super) fn policy(&self) -> SrtpPolicy {
        if self.no_srtp { SrtpPolicy::Off } else { SrtpPolicy::Required }
    }

    /// For people: what an offer that is taken comes to.
    pub(super) fn words(&self) -> String {
        let options = self.options();
        match options.offered.first() {
            Some(suite) if !self.no_srtp => format!("SRTP, {}", suite.name()),
            _ => "none".into(),
        }
    }

    pub(super) fn options(&self) -> SrtpOptions {
        let usual = SrtpOptions::default();
        let suites: Vec<_> = self.srtp_suites.iter().flat_map(|suites| suites.0.iter().copied()).collect();
        let chosen = if suites.is_empty() { usual } else { SrtpOptions::only(suites) };
        let lifetime_packets = self.srtp_lifetime.unwrap_or(chosen.terms.lifetime_packets);
        let clear = |what| self.srtp_accept_clear.contains(&what);
        SrtpOptions {
            terms: KeyTerms { mki: self.srtp_mki, lifetime_packets, ..chosen.terms },
            unencrypted: Unencrypted { rtp: clear(Clear::Rtp), rtcp: clear(Clear::Rtcp) },
            ..chosen
        }
    }
}
