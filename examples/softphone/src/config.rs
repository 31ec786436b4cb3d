//! The configuration file. Errors name what is wrong in it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use rsipstack::sip::{Scheme, Transport, Uri};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The least session interval that RFC 4028, 5 lets anybody ask for, in seconds.
const MIN_SE: u32 = 90;

/// All settings of the phone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) account: Account,
    #[serde(default)]
    pub(crate) sip: Sip,
    #[serde(default)]
    pub(crate) media: Media,
    #[serde(default)]
    pub(crate) audio: Audio,
    #[serde(default)]
    pub(crate) phone: Phone,
    #[serde(default)]
    pub(crate) web: Web,
}

/// Who we are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// Our address: `sip:alice@example.org`.
    pub(crate) uri: String,
    /// Our name, as the other side may show it.
    pub(crate) name: Option<String>,
    /// The name for the digest, where it isn't the user of `uri`.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
    /// A file whose first line is the password.
    pub(crate) password_file: Option<PathBuf>,
    /// Where we register: `sip:example.org`. None: we don't, and calls go straight to whom they call.
    pub(crate) registrar: Option<String>,
    /// Where all that begins a dialog is sent, instead of to the host of its address.
    pub(crate) proxy: Option<SocketAddr>,
    /// For how many seconds we register.
    #[serde(default = "an_hour")]
    pub(crate) expires: u32,
}

fn an_hour() -> u32 {
    3_600
}

/// A password: nothing prints it.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Password(Zeroizing<String>);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Password {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// How signalling travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    #[default]
    Udp,
    Tcp,
    Tls,
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Udp => Self::Udp,
            Carrier::Tcp => Self::Tcp,
            Carrier::Tls => Self::Tls,
        }
    }
}

/// Signalling.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sip {
    /// Where we listen, by an address that the other side can reach.
    pub(crate) listen: SocketAddr,
    pub(crate) transport: Carrier,
    /// A PEM file with our certificate and its key, for TLS that comes in. None: one of our own making.
    pub(crate) certificate: Option<PathBuf>,
    /// A PEM file with the certificates that a TLS server may be vouched for by.
    pub(crate) trust: Option<PathBuf>,
    /// The session interval that we ask for, in seconds (RFC 4028).
    pub(crate) session_expires: u32,
    /// The least that we take, in seconds: 90 at least, but for tests.
    pub(crate) min_session_expires: u32,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5060)),
            transport: Carrier::Udp,
            certificate: None,
            trust: None,
            session_expires: 1_800,
            min_session_expires: MIN_SE,
        }
    }
}

/// Where SRTP's keys come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Srtp {
    /// Plain RTP.
    #[default]
    None,
    /// Keys in the descriptions (RFC 4568).
    Sdes,
    /// Keys of a handshake (RFC 5763).
    Dtls,
}

/// The calls' sound on the network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    /// Where we receive; by default where we listen.
    pub(crate) address: Option<IpAddr>,
    /// The first and last port for RTP and RTCP.
    pub(crate) ports: Option<[u16; 2]>,
    /// The best first.
    pub(crate) codecs: Vec<String>,
    pub(crate) srtp: Srtp,
    /// The packet length that we ask for, in ms.
    pub(crate) ptime: u32,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: None,
            ports: None,
            codecs: ["opus", "g722", "pcmu", "pcma"].map(String::from).into(),
            srtp: Srtp::None,
            ptime: 20,
        }
    }
}

/// Microphone and loudspeaker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audio {
    /// `default`, `null`, a device's name or a WAV file to read.
    pub(crate) microphone: String,
    /// `default`, `null`, a device's name or a WAV file to write.
    pub(crate) speaker: String,
    /// What rings when a call comes in: `default`, a device's name or a WAV file to write. None: nothing rings.
    pub(crate) ringer: Option<String>,
    /// Whether the microphone's file begins anew when it ends.
    pub(crate) repeat: bool,
    /// The rate at which lines are mixed, in Hz.
    pub(crate) rate: u32,
    /// Echo canceller, noise suppressor and gain control of the microphone.
    pub(crate) processing: bool,
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            microphone: "default".into(),
            speaker: "default".into(),
            ringer: None,
            repeat: false,
            rate: 16_000,
            processing: true,
        }
    }
}

/// Browsers that talk along.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    /// Where the page is. None: there is no page.
    pub(crate) listen: Option<SocketAddr>,
    /// Whoever has it may talk along; wanted where others than this machine's users can reach the page.
    pub(crate) token: Option<Password>,
}

/// The phone's own ways.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Phone {
    /// Calls at once; one more is told that we are busy.
    pub(crate) lines: usize,
    /// Whether calls are answered at once, for tests and machines.
    pub(crate) auto_answer: bool,
    /// What a held line hears.
    pub(crate) hold_music: Option<PathBuf>,
    /// Whose ringing tone is heard, by its code.
    pub(crate) country: String,
}

impl Default for Phone {
    fn default() -> Self {
        Self { lines: 2, auto_answer: false, hold_music: None, country: "us".into() }
    }
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// In words: that it can't be read, that it isn't TOML, which setting there isn't, which value makes no sense.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut config = Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(file) = &config.account.password_file {
            let text = std::fs::read_to_string(file).map(Zeroizing::new);
            let text = text.map_err(|error| format!("account.password_file {}: {error}", file.display()))?;
            let line = text.lines().next().unwrap_or_default();
            config.account.password = Some(Password(Zeroizing::new(line.into())));
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            // The library's own text quotes the line, and the line may be that of the password.
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", error.message())
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let (account, sip, media) = (&self.account, &self.sip, &self.media);
        let uri = sip_uri(&account.uri).map_err(|why| format!("account.uri {:?}: {why}", account.uri))?;
        if uri.user().is_none_or(str::is_empty) {
            return Err(format!("account.uri {:?}: it names no user, as sip:alice@example.org does", account.uri));
        }
        if let Some(registrar) = &account.registrar {
            sip_uri(registrar).map_err(|why| format!("account.registrar {registrar:?}: {why}"))?;
            if !(1..=86_400).contains(&account.expires) {
                return Err(format!("account.expires {}: 1 to 86400 seconds are possible", account.expires));
            }
        }
        if account.password.is_some() && account.password_file.is_some() {
            return Err("account.password and account.password_file: one of them".into());
        }
        if sip.listen.ip().is_unspecified() {
            return Err(format!(
                "sip.listen {}: an address of this machine is wanted that others can reach",
                sip.listen
            ));
        }
        if sip.session_expires < sip.min_session_expires || sip.min_session_expires == 0 {
            return Err(format!(
                "sip.session_expires {}: it must not be below sip.min_session_expires, {}",
                sip.session_expires, sip.min_session_expires
            ));
        }
        if media.codecs.is_empty() {
            return Err("media.codecs: there is none".into());
        }
        if let Some([first, last]) = media.ports
            && (first < 1_024 || last <= first)
        {
            return Err(format!("media.ports [{first}, {last}]: two ports from 1024 on, the lower one first"));
        }
        if !(10..=60).contains(&media.ptime) || !media.ptime.is_multiple_of(10) {
            return Err(format!("media.ptime {}: 10, 20, 30, 40, 50 or 60 ms are possible", media.ptime));
        }
        if ![8_000, 16_000, 32_000, 48_000].contains(&self.audio.rate) {
            return Err(format!("audio.rate {}: 8000, 16000, 32000 and 48000 Hz are possible", self.audio.rate));
        }
        if let Some(listen) = self.web.listen {
            if listen.ip().is_unspecified() {
                return Err(format!("web.listen {listen}: an address of this machine is wanted that others can reach"));
            }
            if !listen.ip().is_loopback() && self.web.token.is_none() {
                return Err("web.token: one is wanted where others than this machine's users reach web.listen".into());
            }
        }
        if !(1..=16).contains(&self.phone.lines) {
            return Err(format!("phone.lines {}: 1 to 16 are possible", self.phone.lines));
        }
        Ok(())
    }
}

/// A SIP address: `sip:user@host`, or without `sip:`.
///
/// # Errors
/// Why it is none, in words.
pub(crate) fn sip_uri(text: &str) -> Result<Uri, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is nothing".into());
    }
    if text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "<>\"".contains(letter)) {
        return Err("no address has such letters".into());
    }
    let lower = text.to_ascii_lowercase();
    let text = if lower.starts_with("sip:") || lower.starts_with("sips:") {
        text.to_string()
    } else {
        // A colon is that of a port; any other is that of a scheme that we don't have, or of a password.
        let host = text.rsplit('@').next().unwrap_or(text);
        let is_named = text.contains('@') || host.contains(['.', '[']) || host.starts_with("localhost");
        if text.contains(':') && (!is_named || text.len() > host.len() && text[..text.len() - host.len()].contains(':'))
        {
            return Err("no address that begins with sip: or sips:".into());
        }
        format!("sip:{text}")
    };
    let uri = Uri::try_from(text.as_str()).map_err(|error| format!("no address: {error}"))?;
    match uri.scheme {
        Some(Scheme::Sip | Scheme::Sips) if !uri.host_with_port.host.to_string().is_empty() => Ok(uri),
        _ => Err("it names no host".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[account]\nuri = \"sip:alice@example.org\"\n";

    #[test]
    fn an_account_is_enough() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!((config.phone.lines, config.sip.transport, config.media.srtp), (2, Carrier::Udp, Srtp::None));
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (text, why) in [
            ("[account]\nuri = \"sip:example.org\"\n".into(), "names no user"),
            ("[account]\nuri = \"tel:123\"\n".into(), "account.uri"),
            (format!("{LEAST}[sip]\ntransport = \"pigeon\"\n"), "line 4: unknown variant `pigeon`"),
            (format!("{LEAST}[sip]\nlisten = \"0.0.0.0:5060\"\n"), "that others can reach"),
            (format!("{LEAST}[media]\ncodec = [\"opus\"]\n"), "unknown field `codec`"),
            (format!("{LEAST}[media]\nports = [30000, 30000]\n"), "media.ports"),
            (format!("{LEAST}[media]\nptime = 25\n"), "media.ptime"),
            (format!("{LEAST}[audio]\nrate = 44100\n"), "audio.rate"),
            (format!("{LEAST}[phone]\nlines = 0\n"), "phone.lines"),
            (format!("{LEAST}[web]\nlisten = \"192.0.2.1:8443\"\n"), "web.token"),
            (format!("{LEAST}[web]\nlisten = \"0.0.0.0:8443\"\ntoken = \"t\"\n"), "web.listen"),
            ("uri = ".into(), "line 1"),
        ] {
            let error = Config::parse(&text).unwrap_err();
            assert!(error.contains(why), "{error:?} has no {why:?}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let config = Config::parse(&format!("{LEAST}password = \"wer9k2\"\n")).unwrap();
        assert_eq!(config.account.password.as_ref().unwrap().reveal(), "wer9k2");
        assert!(!format!("{config:?}").contains("wer9k2"));
        let error = Config::parse(&format!("{LEAST}password = \"wer9k2\" \"\n")).unwrap_err();
        assert!(!error.contains("wer9k2"), "{error}");
    }

    #[test]
    fn addresses_are_taken_with_and_without_their_scheme() {
        assert_eq!(sip_uri("bob@example.org").unwrap().to_string(), "sip:bob@example.org");
        assert_eq!(sip_uri(" sips:bob@example.org ").unwrap().scheme, Some(Scheme::Sips));
        for wrong in ["", "a b", "mailto:bob@example.org", "sip:", "sip:bob@h\r\nVia: x"] {
            assert!(sip_uri(wrong).is_err(), "{wrong:?}");
        }
    }
}
