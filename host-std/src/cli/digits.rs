//! Digits of a call on the command line: keys that are pressed at times or by hand, and those that are heard.

use std::time::Duration;

use clap::Args as ClapArgs;
use dsp_core::send::KeyPress;
use dsp_core::time::Instant;
use dsp_core::tone::{Digit, EventCode};
use host_std::report::DigitLog;
use host_std::session::driver::Command;
use host_std::session::{CallDigit, DigitPhase};
use tokio::sync::{mpsc, oneshot};

use super::{number_in, tell};

/// Keys that are pressed at times which are set beforehand.
#[derive(ClapArgs, Clone, Debug, Default)]
#[command(next_help_heading = "Digits")]
pub(super) struct DigitArgs {
    /// Press keys as telephone events: 0 to 9, *, #, A to D, and ! for a hook flash. 12#@3 presses 1, 2 and # from 3 s on,
    /// each for 100 ms; may be given several times
    #[arg(long, value_parser = Pressed::parse, value_name = "DIGITS[@SECONDS]")]
    dtmf: Vec<Pressed>,
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
    /// All that is to be pressed, by time.
    pub(super) fn pressed(&self) -> Vec<Pressed> {
        let mut pressed = self.dtmf.clone();
        pressed.sort_by_key(|pressed| pressed.at);
        pressed
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.dtmf.is_empty()
    }

    /// In words, as they were given.
    pub(super) fn words(&self) -> String {
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
            let _ = tell_us.send(call.send_digits(&keys));
        }));
        if commands.send(change).await.is_err() {
            return;
        }
        if let Ok(Err(error)) = told.await {
            tell(&format!("{error}{line_end}"));
        }
    }
}

/// Writes down what is heard, and says it as soon as it begins, until the call is over. Times count from `zero`.
pub(super) async fn listen(mut heard: mpsc::Receiver<CallDigit>, zero: Instant, line_end: &'static str) -> DigitLog {
    let mut log = DigitLog::default();
    while let Some(digit) = heard.recv().await {
        log.add(&digit, zero);
        if digit.phase == DigitPhase::Began {
            // Over the line that tells how the call goes.
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
        let args = DigitArgs { dtmf: vec![Pressed::parse("9@4").unwrap(), pressed] };
        assert_eq!(args.words(), "1A#!* at 2.5 s, 9 at 4 s");
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
    }
}
