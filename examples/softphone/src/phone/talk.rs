//! Who talks with whom: hold, resume, conference, keys; and what a call is told as when it is up.

use dsp_core::send::KeyPress;
use dsp_core::tone::{Digit, EventCode};
use host_std::manager::ManagerConfig;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{CallConfig, Keying, Protection};
use host_std::sockets::{Ports, SocketConfig};
use host_std::wav::WavSource;

use super::line::{Key, Line};
use super::outgoing::in_full;
use super::{Phone, say};
use crate::config::{Config, Srtp};

/// Keys that are pressed by one command.
const MOST_KEYS: usize = 32;

/// The calls' settings, as the config has them.
///
/// # Errors
/// In words.
pub(super) fn manager_config(config: &Config) -> Result<ManagerConfig, String> {
    let Config { sip, media, phone, .. } = config;
    let mut manager = ManagerConfig::new().map_err(|error| error.to_string())?;
    let address = media.address.unwrap_or(sip.listen.ip());
    let (srtp, keying) = match media.srtp {
        Srtp::None => (SrtpPolicy::Off, Keying::Described),
        Srtp::Sdes => (SrtpPolicy::Required, Keying::Described),
        Srtp::Dtls => (SrtpPolicy::Required, Keying::Dtls),
    };
    let call =
        CallConfig { srtp, keying, ptime_ms: media.ptime, after_silence: None, metering: true, ..manager.call.clone() };
    let codec = |name: &String| -> Result<CodecFormat, String> {
        call.registry.named(name).ok_or_else(|| {
            format!("media.codecs {name:?}: there is no such codec; there are {}", call.registry.names().join(", "))
        })
    };
    let codecs = media.codecs.iter().map(codec).collect::<Result<_, _>>()?;
    manager.call = CallConfig { codecs, ..call };
    let ports = media.ports.map_or(Ports::Any, |[first, last]| Ports::Range(first..=last));
    manager.sockets = SocketConfig { address, ports, ..SocketConfig::default() };
    manager.most_sessions = 2 * phone.lines + 2;
    if let Some(path) = &phone.hold_music {
        // Now, and not when somebody is on hold.
        WavSource::open(path, config.audio.rate).map_err(|error| format!("phone.hold_music: {}", in_full(&error)))?;
    }
    manager.music.clone_from(&phone.hold_music);
    Ok(manager)
}

impl Phone {
    /// The line with this number; without one the line that talks, or the only one that `fits`.
    ///
    /// # Errors
    /// In words.
    pub(super) fn chosen(&self, number: Option<u32>, fits: impl Fn(&Line) -> bool) -> Result<Key, String> {
        if let Some(number) = number {
            let line = self.lines.iter().find(|line| line.number == number);
            return line.map(|line| line.key).ok_or_else(|| format!("line {number} has no call"));
        }
        let fitting: Vec<&Line> = self.lines.iter().filter(|line| fits(line)).collect();
        match fitting.as_slice() {
            [] => Err("there is no such call".into()),
            [one] => Ok(one.key),
            several => {
                let mut talking = several.iter().filter(|line| line.talks);
                match (talking.next(), talking.next()) {
                    (Some(line), None) => Ok(line.key),
                    _ => Err("which line? say its number".into()),
                }
            }
        }
    }

    /// A call is up.
    pub(super) async fn up(&mut self, key: Key) {
        let Some(line) = self.line(key) else { return };
        let (number, media) = (line.number, line.media.clone());
        let what = self.media.with(&media, |call, _| {
            let codec = call.codec().map_or("no codec".into(), CodecFormat::to_rtpmap);
            let protection = match call.protection() {
                Some(Protection::Plain) | None => "not protected",
                _ if call.negotiated_transport().is_some_and(|transport| transport.dtls.is_some()) => "DTLS-SRTP",
                Some(_) => "SRTP",
            };
            format!("{codec}, {protection}")
        });
        let what = what.await.unwrap_or_default();
        say!("line {number}: up ({what})");
        self.watch_session(key);
        self.settle(key).await;
    }

    /// One line talks: all others are held.
    pub(super) async fn hold_others(&mut self, key: Key) {
        self.conference = false;
        let others = self.lines.iter().filter(|line| line.key != key && line.talks).map(|line| line.key);
        for other in others.collect::<Vec<_>>() {
            self.want(other, true).await;
        }
    }

    /// A line is to be held, or to talk.
    async fn want(&mut self, key: Key, hold: bool) {
        let Some(line) = self.line_mut(key) else { return };
        line.wants_hold = hold;
        let is_so = line.holds == hold;
        // Nobody is heard who is to be held; who is to talk talks when it is agreed on.
        let talks = !hold && is_so;
        line.talks = talks;
        self.desk.talk(key, talks).await;
        self.settle(key).await;
    }

    pub(super) async fn hold(&mut self, number: Option<u32>) -> Result<(), String> {
        let key = self.chosen(number, |line| line.is_up() && !line.wants_hold)?;
        self.conference = false;
        self.want(key, true).await;
        Ok(())
    }

    pub(super) async fn resume(&mut self, number: Option<u32>) -> Result<(), String> {
        let key = self.chosen(number, |line| line.is_up() && line.wants_hold)?;
        self.hold_others(key).await;
        self.want(key, false).await;
        Ok(())
    }

    /// All lines talk together.
    pub(super) async fn confer(&mut self) -> Result<(), String> {
        let keys: Vec<Key> = self.lines.iter().filter(|line| line.is_up()).map(|line| line.key).collect();
        if keys.len() < 2 {
            return Err("a conference needs two calls that are up".into());
        }
        self.conference = true;
        for key in &keys {
            self.want(*key, false).await;
        }
        say!("conference of {}", keys.len() + 1);
        Ok(())
    }

    /// The conference ends: the first line stays.
    pub(super) async fn split(&mut self) -> Result<(), String> {
        let first = self.lines.iter().filter(|line| line.is_up()).min_by_key(|line| line.number);
        let key = first.filter(|_| self.conference).map(|line| line.key).ok_or("there is no conference")?;
        self.hold_others(key).await;
        say!("the conference has ended");
        Ok(())
    }

    pub(super) async fn press(&mut self, digits: &str) -> Result<(), String> {
        let keys: Option<Vec<KeyPress>> = digits
            .chars()
            .filter(|sign| !sign.is_whitespace())
            .map(|sign| Digit::from_char(sign).map(|digit| KeyPress::of(EventCode::from(digit))))
            .collect();
        let keys = keys.ok_or_else(|| format!("{digits}: there are 0 to 9, *, #, A to D"))?;
        if keys.len() > MOST_KEYS {
            return Err(format!("{} keys at once; {MOST_KEYS} are possible", keys.len()));
        }
        let key = self.chosen(None, |line| line.is_up() && line.talks)?;
        let Some(line) = self.line(key) else { return Ok(()) };
        let pressed = self.media.with(&line.media, move |call, _| call.send_digits(&keys)).await;
        pressed.map_err(|error| in_full(&error))?.map_err(|error| error.to_string())
    }
}
