//! Options of SRTP and of where its keys come from, the same in every command that has them.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::guard::srtp::{KeyTerms, Mki};
use host_std::output;
use host_std::sdp::{CryptoSuite, SrtpPolicy, Unencrypted};
use host_std::session::{Certificate, HandshakeFailure, Keying, Protection, SrtpOptions};

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

/// How the call is protected, as one chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Security {
    /// Keys by a DTLS handshake with the other side (DTLS-SRTP), checked by the fingerprints in the SDP
    Dtls,
    /// Keys in the SDP (SDES, a=crypto)
    Sdes,
    /// An offer wants DTLS; an answer takes DTLS or keys in the SDP, as the offer has it
    Either,
    /// Plain RTP
    None,
}

/// Where the keys of a call come from.
#[derive(Debug, ClapArgs)]
pub(super) struct KeyingArgs {
    /// How the call is protected
    #[arg(help_heading = "Security", long, value_enum, default_value = "sdes", conflicts_with = "no_srtp")]
    security: Security,
    /// The certificate that is shown in DTLS, with its private key (PEM); it is made if there is no such file. By default
    /// each call has one of its own
    #[arg(help_heading = "Security", long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl KeyingArgs {
    pub(super) fn policy(&self, srtp: &SrtpArgs) -> SrtpPolicy {
        if self.security == Security::None { SrtpPolicy::Off } else { srtp.policy() }
    }

    pub(super) fn keying(&self) -> Keying {
        match self.security {
            Security::Dtls => Keying::Dtls,
            Security::Either => Keying::Either,
            Security::Sdes | Security::None => Keying::Described,
        }
    }

    /// Returns the certificate of the file, which is written if it isn't there.
    ///
    /// # Errors
    /// The error of the file, as text.
    pub(super) fn certificate(&self) -> Result<Option<Certificate>, Box<dyn Error>> {
        let Some(path) = &self.certificate else { return Ok(None) };
        if self.keying() == Keying::Described {
            return Err("--certificate: it is shown in DTLS alone, with --security dtls or either".into());
        }
        match fs::read_to_string(path) {
            Ok(text) => {
                let read = Certificate::from_pem(&text);
                Ok(Some(read.map_err(|error| format!("--certificate {}: {error}", path.display()))?))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(new_certificate(path)?)),
            Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
        }
    }
}

fn new_certificate(path: &Path) -> Result<Certificate, Box<dyn Error>> {
    let certificate = Certificate::generate()?;
    let written = output::write_private(path, certificate.to_pem().as_bytes());
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(certificate)
}

/// Says when keys have come that were waited for, and when they are waited for.
#[derive(Default)]
pub(super) struct KeyWatch {
    told: Option<Protection>,
    trouble: Option<HandshakeFailure>,
}

impl KeyWatch {
    /// The line, if there is something new to say of keys by DTLS.
    pub(super) fn line(&mut self, protection: Option<Protection>, trouble: Option<HandshakeFailure>) -> Option<String> {
        let before = std::mem::replace(&mut self.told, protection);
        match protection? {
            // The trouble is reported after the line that keys are awaited, however soon it comes.
            Protection::Waiting if before == protection && trouble != self.trouble => {
                self.trouble = trouble;
                Some(format!("still waiting for keys: {}", trouble?))
            }
            Protection::Waiting if before != protection => Some("waiting for keys: the DTLS handshake".into()),
            Protection::Srtp(profile) if before == Some(Protection::Waiting) => {
                Some(format!("keys have come: SRTP ({})", profile.sdes_name()))
            }
            _ => None,
        }
    }
}

/// Writes the protection for the summary.
pub(super) fn text(protection: Protection, trouble: Option<HandshakeFailure>) -> String {
    match (protection, trouble) {
        (Protection::Waiting, Some(why)) => format!("no keys came: {why}"),
        (protection, _) => protection_text(protection),
    }
}

fn protection_text(protection: Protection) -> String {
    match protection {
        Protection::Plain => "none: plain RTP".into(),
        Protection::Waiting => "no keys came".into(),
        Protection::Srtp(profile) => format!("SRTP, {}", profile.sdes_name()),
        _ => "its own".into(),
    }
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

    /// Describes for people the agreement from an offer that is accepted.
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
