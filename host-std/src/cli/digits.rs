//! Digits and tones of a call on the command line: keys that are pressed at times or by hand, tones that are sent at times, and
//! what is heard of both.

use std::time::Duration;

use clap::Args as ClapArgs;
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration as CoreDuration, Instant};
use dsp_core::tone::{Country, Digit, EventCode, ToneSignal};
use host_std::report::{DigitLog, ToneLog};
use host_std::session::driver::Command;
use host_std::session::{Call, CallConfig, CallDigit, CallTone, DigitPhase, SentTone, ToneDetection};
use tokio::sync::{mpsc, oneshot};

use super::tone::signal;
use super::{number_in, tell};

/// Keys that are pressed at times which are set beforehand.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "Digits and tones")]
pub(super) struct DigitArgs {
    /// Press keys as telephone events, or as tones (DTMF) where the other side takes none: 0 to 9, *, #, A to D, and ! for a
    /// hook flash. 12#@3 presses 1, 2 and # from 3 s on, each for 100 ms; may be given several times
    #[arg(long, value_parser = Pressed::parse, value_name = "DIGITS[@SECONDS]")]
    dtmf: Vec<Pressed>,
    /// Send a tone in place of the microphone: busy@3-8 from 3 to 8 s, busy@3 until the end; may be given several times. Tones are
    /// those of `media-core tone`
    #[arg(long, value_parser = TimedTone::parse, value_name = "TONE[@SECONDS[-SECONDS]]")]
    tone: Vec<TimedTone>,
    /// The country of these tones, by its ISO 3166 code
    #[arg(long, default_value = "us", value_parser = super::tone::country, requires = "tone", value_name = "CODE")]
    tone_country: &'static Country,
    /// Listen to the other side's sound: for the tones of a call's progress in this country (de, fr, gb, us and others), of faxes
    /// and of modems, and for digits (DTMF) also where there are telephone events
    #[arg(long, value_parser = super::tone::country, value_name = "COUNTRY")]
    hear_tones: Option<&'static Country>,
}

/// A tone, and when it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimedTone {
    at: Duration,
    signal: ToneSignal,
    length: Option<Duration>,
}

impl TimedTone {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, times) = text.split_once('@').unwrap_or((text, "0"));
        let (from, until) = times.split_once('-').map_or((times, None), |(from, until)| (from, Some(until)));
        let seconds = |text| number_in(text, 0.0, 864_000.0).map_err(|error| format!("@ {error}"));
        let from = seconds(from)?;
        let length = until.map(seconds).transpose()?.map(|until| until - from);
        if length.is_some_and(|length| length <= 0.0) {
            return Err(format!("@ {times}: it ends before it begins"));
        }
        Ok(Self {
            at: Duration::from_secs_f64(from),
            signal: signal(name)?,
            length: length.map(Duration::from_secs_f64),
        })
    }

    /// Writes the tone and its times as they were given.
    fn words(&self) -> String {
        let (name, at) = (self.signal.name(), self.at.as_secs_f64());
        self.length.map_or_else(
            || format!("{name} from {at} s on"),
            |length| format!("{name} from {at} to {} s", at + length.as_secs_f64()),
        )
    }
}

/// Keys, and when they are pressed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pressed {
    pub(super) at: Duration,
    pub(super) keys: Vec<KeyPress>,
}

impl Pressed {
    fn parse(text: &str) -> Result<Self, String> {
        let (signs, seconds) = text.rsplit_once('@').unwrap_or((text, "0"));
        let at = Duration::from_secs_f64(number_in(seconds, 0.0, 864_000.0).map_err(|error| format!("@ {error}"))?);
        if signs.is_empty() {
            return Err("no key before @".into());
        }
        let key = |sign| key(sign).ok_or_else(|| format!("{sign:?} is no key: 0 to 9, *, #, A to D, or !"));
        Ok(Self { at, keys: signs.chars().map(key).collect::<Result<_, _>>()? })
    }
}

/// The key of a sign: a digit's, or `!` for a hook flash.
pub(super) fn key(sign: char) -> Option<KeyPress> {
    let event = match sign {
        '!' => Some(EventCode::FLASH),
        sign => Digit::from_char(sign).map(EventCode::from),
    };
    event.map(KeyPress::of)
}

impl DigitArgs {
    /// Returns all keys that are to be pressed, by time.
    pub(super) fn pressed(&self) -> Vec<Pressed> {
        let mut pressed = self.dtmf.clone();
        pressed.sort_by_key(|pressed| pressed.at);
        pressed
    }

    /// Returns all tones that are to be sent, by time.
    pub(super) fn tones(&self) -> Vec<(Duration, SentTone)> {
        let sent = |timed: &TimedTone| {
            let duration = timed.length.map(|length| CoreDuration::from_micros(length.as_micros() as u64));
            (timed.at, SentTone { duration, ..SentTone::of(timed.signal, self.tone_country) })
        };
        let mut tones: Vec<_> = self.tone.iter().map(sent).collect();
        tones.sort_by_key(|(at, _)| *at);
        tones
    }

    /// A call's settings, with those that are asked for here.
    pub(super) fn config(&self, config: CallConfig) -> CallConfig {
        match self.hear_tones {
            None => config,
            country => CallConfig { progress_tones: country, tones: ToneDetection::Always, ..config },
        }
    }

    /// Returns the keys and tones to be sent, as they were given.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let tones: Vec<_> = self.tone.iter().map(TimedTone::words).collect();
        let country = self.tone_country.name;
        [
            (!self.dtmf.is_empty()).then(|| ("A presses", self.words())),
            (!tones.is_empty()).then(|| ("A sends tones", format!("{}, as in {country}", tones.join(", ")))),
            self.hear_tones.map(|country| ("tones are heard", format!("of {}", country.name))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Keys in words, as they were given.
    fn words(&self) -> String {
        let sign = |key: &KeyPress| match key.event.digit() {
            Some(digit) => digit.as_char(),
            None => '!',
        };
        let words = |pressed: &Pressed| {
            let signs: String = pressed.keys.iter().map(sign).collect();
            format!("{signs} at {} s", pressed.at.as_secs_f64())
        };
        self.pressed().iter().map(words).collect::<Vec<_>>().join(", ")
    }

    /// Lets tones be sent at their times from now on.
    pub(super) fn schedule_tones(&self, commands: &mpsc::Sender<Command>, line_end: &'static str) {
        for (at, tone) in self.tones() {
            let commands = commands.clone();
            tokio::spawn(async move {
                tokio::time::sleep(at).await;
                let send = move |call: &mut Call, _: Instant| {
                    if let Err(error) = call.send_tone(&tone) {
                        tell(&format!("{error}{line_end}"));
                    }
                };
                let _ = commands.send(Command::Change(Box::new(send))).await;
            });
        }
    }

    /// Lets them be pressed at their times from now on.
    pub(super) fn schedule(&self, keys: &mpsc::Sender<Vec<KeyPress>>) {
        for Pressed { at, keys: pressed } in self.pressed() {
            let keys = keys.clone();
            tokio::spawn(async move {
                tokio::time::sleep(at).await;
                let _ = keys.send(pressed).await;
            });
        }
    }
}

/// Hands what is pressed to the call, and says what it refuses, until nobody presses any more.
pub(super) async fn press(
    mut pressed: mpsc::Receiver<Vec<KeyPress>>,
    commands: mpsc::Sender<Command>,
    line_end: &'static str,
) {
    while let Some(keys) = pressed.recv().await {
        let (tell_us, told) = oneshot::channel();
        let change = Command::Change(Box::new(move |call, _| {
            let _ = tell_us.send(call.send_digits(&keys).map(|()| call.digits_wait()));
        }));
        if commands.send(change).await.is_err() {
            return;
        }
        match told.await {
            Ok(Err(error)) => tell(&format!("{error}{line_end}")),
            Ok(Ok(Some(why))) => tell(&format!("the keys wait: {why}{line_end}")),
            _ => {}
        }
    }
}

/// Writes down what is heard, and says it as soon as it begins, until the call is over. Times count from `zero`.
pub(super) async fn listen(mut heard: mpsc::Receiver<CallDigit>, zero: Instant, line_end: &'static str) -> DigitLog {
    let mut log = DigitLog::default();
    while let Some(digit) = heard.recv().await {
        log.add(&digit, zero);
        if digit.phase == DigitPhase::Began {
            // The line overwrites the one that shows the status of the call.
            let over = if line_end == "\r\n" { "\r" } else { "" };
            tell(&format!(
                "{over}the other side pressed {} ({}){:60}{line_end}",
                digit.sign(),
                digit.source.name(),
                ""
            ));
        }
    }
    log
}

/// The same of tones.
pub(super) async fn listen_to_tones(
    mut heard: mpsc::Receiver<CallTone>,
    zero: Instant,
    line_end: &'static str,
) -> ToneLog {
    let mut log = ToneLog::default();
    while let Some(tone) = heard.recv().await {
        log.add(&tone, zero);
        let over = if line_end == "\r\n" { "\r" } else { "" };
        let what = match tone.phase {
            DigitPhase::Began => "the other side sends the tone",
            DigitPhase::Ended => "over is the other side's tone",
        };
        tell(&format!("{over}{what} {}{:60}{line_end}", tone.signal.name(), ""));
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_time() {
        let pressed = Pressed::parse("1a#!*@2.5").unwrap();
        assert_eq!(pressed.at, Duration::from_millis(2_500));
        let events: Vec<_> = pressed.keys.iter().map(|key| key.event.0).collect();
        assert_eq!(events, [1, 12, 11, 16, 10]);
        assert_eq!(Pressed::parse("7").unwrap().at, Duration::ZERO);
        let args = DigitArgs {
            dtmf: vec![Pressed::parse("9@4").unwrap(), pressed],
            tone: vec![TimedTone::parse("busy@3-8").unwrap(), TimedTone::parse("CNG@1.5").unwrap()],
            tone_country: super::super::tone::country("de").unwrap(),
            hear_tones: None,
        };
        let settings = [
            ("A presses", "1A#!* at 2.5 s, 9 at 4 s".into()),
            ("A sends tones", "busy from 3 to 8 s, cng from 1.5 s on, as in Germany".into()),
        ];
        assert_eq!(args.settings(), settings);
        assert_eq!(args.tones()[0].0, Duration::from_millis(1_500));
        assert_eq!(args.tones()[1].1.duration, Some(CoreDuration::from_secs(5)));
    }

    #[test]
    fn what_is_no_key_is_told() {
        for (text, told) in [
            ("", "no key before @"),
            ("@3", "no key before @"),
            ("12x@3", "'x' is no key: 0 to 9, *, #, A to D, or !"),
            ("12@soon", "@ must be a number"),
            ("12@-1", "@ must be from 0 to 864000"),
        ] {
            assert_eq!(Pressed::parse(text), Err(told.into()), "{text}");
        }
        for (text, told) in [
            ("engaged@3", "there is no tone \"engaged\"; tones are dial, busy, ringing, congestion, call-waiting, "),
            ("busy@3-2", "@ 3-2: it ends before it begins"),
            ("busy@", "@ must be a number"),
        ] {
            assert!(TimedTone::parse(text).unwrap_err().starts_with(told), "{text}");
        }
    }
}
