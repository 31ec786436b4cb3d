//! Keys during a call: volume, microphone gain, mute, hold, codec, digits, hang up. Only where stdin is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use dsp_core::send::KeyPress;
use host_std::session::driver::Command;
use tokio::sync::mpsc;

use super::reoffer::Wish;
use super::{digits, exchange};

/// The help on the keys.
pub(super) const HELP: &str = "keys: up/down volume, left/right microphone gain, m mute, h hold or resume, c next codec, q hang up;\r\n      0-9 * # and A-D (capitals) digits, ! hook flash";
/// The help on a further key, where descriptions go through this terminal.
pub(super) const PASTE_HELP: &str = "      p paste the other side's answer to a later offer, or its own offer";
/// A step of volume or gain, in hundredths of a decibel.
const STEP: i16 = 300;
const RANGE: std::ops::RangeInclusive<i16> = -4_200..=1_800;

/// Raw mode as long as it lives.
pub(super) struct Keyboard(());

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

/// Reads keys on a thread of its own and sends commands, until the call has ended. `gain` and `volume` are those that
/// the call begins with, in hundredths of a decibel.
///
/// Holds and other codecs are `wishes`, keys of a telephone go to `pressed`; where descriptions come through the terminal, they are pasted and go to `texts`.
pub(super) fn watch(
    commands: mpsc::Sender<Command>,
    wishes: mpsc::Sender<Wish>,
    pressed: mpsc::Sender<Vec<KeyPress>>,
    texts: Option<mpsc::Sender<Result<String, String>>>,
    mut gain: i16,
    mut volume: i16,
) -> Option<Keyboard> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    terminal::enable_raw_mode().ok()?;
    std::thread::spawn(move || {
        let mut muted = false;
        while !commands.is_closed() {
            if !matches!(event::poll(Duration::from_millis(100)), Ok(true)) {
                continue;
            }
            let Ok(Event::Key(key)) = event::read() else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            let turn = |value: &mut i16, by: i16| {
                *value = (*value + by).clamp(*RANGE.start(), *RANGE.end());
                *value
            };
            let command = match key.code {
                KeyCode::Up => Command::Volume(turn(&mut volume, STEP)),
                KeyCode::Down => Command::Volume(turn(&mut volume, -STEP)),
                KeyCode::Right => Command::MicrophoneGain(turn(&mut gain, STEP)),
                KeyCode::Left => Command::MicrophoneGain(turn(&mut gain, -STEP)),
                KeyCode::Char('m') => {
                    muted = !muted;
                    Command::Mute(muted)
                }
                KeyCode::Char('h' | 'c') if key.modifiers.is_empty() => {
                    let hold = key.code == KeyCode::Char('h');
                    let _ = wishes.blocking_send(if hold { Wish::HoldOrResume } else { Wish::Codec(None) });
                    continue;
                }
                KeyCode::Char('p') => {
                    if let Some(texts) = &texts {
                        let _ = terminal::disable_raw_mode();
                        let text = exchange::read_stdin("offer or answer").map_err(|error| error.to_string());
                        // After the call nothing would restore the terminal.
                        if commands.is_closed() {
                            return;
                        }
                        let _ = terminal::enable_raw_mode();
                        let _ = texts.blocking_send(text);
                    }
                    continue;
                }
                // Small letters are for other things.
                KeyCode::Char(sign @ ('0'..='9' | '*' | '#' | 'A'..='D' | '!')) => {
                    let _ = pressed.blocking_send(digits::key(sign).into_iter().collect());
                    continue;
                }
                // Raw mode takes Ctrl-C from the system.
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Command::HangUp,
                KeyCode::Char('q') => Command::HangUp,
                _ => continue,
            };
            if commands.blocking_send(command).is_err() {
                return;
            }
        }
    });
    Some(Keyboard(()))
}
