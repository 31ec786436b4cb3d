//! Keys during a call: volume, microphone gain, mute, hang up. Only where stdin is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use host_std::session::driver::Command;
use tokio::sync::mpsc;

/// What the keys do.
pub(super) const HELP: &str = "keys: up/down volume, left/right microphone gain, m mute, q hang up";
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
pub(super) fn watch(commands: mpsc::Sender<Command>, mut gain: i16, mut volume: i16) -> Option<Keyboard> {
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
