//! The codec chip. Every 10 ms its interrupt brings a frame of the microphone, read from a WAV file by semihosting,
//! and takes a frame for the loudspeaker, written to another file. The interrupt does with them what it does on a real
//! board: the pump's half transfer.
//!
//! The chip's clock is the board's, or slow or fast by some ppm. After the emulator was stopped for a while, the frames
//! that became due arrive in quick succession until none is left, because the clock of a codec chip does not stand still
//! either.

use core::cell::RefCell;

use cortex_m::peripheral::NVIC;
use critical_section::Mutex;
use dsp_core::time::{Duration, Instant};
use host_embedded::desk::AudioPath;
use host_embedded::pump::Pump;

use crate::arguments::Arguments;
use crate::clock;
use crate::registers::{CLOCK_HZ, Line, TIMER1, TIMER1_INTERRUPT, timer, write};
use crate::semihosting::{File, Mode};

/// Frames that wait each way, at most.
pub(crate) const DEPTH: usize = 3;
/// 10 ms at 8 kHz.
pub(crate) static NARROW: Pump<80, DEPTH> = Pump::new();
/// 10 ms at 16 kHz.
pub(crate) static WIDE: Pump<160, DEPTH> = Pump::new();

const FRAME: Duration = Duration::from_millis(10);
/// Parts of a million that a microsecond more or less in a frame's time is.
const PPM_A_MICROSECOND: i32 = 100;
/// Between two frames at least, where some are due: the task has to run as well.
const CATCH_UP: Duration = Duration::from_millis(3);
/// Bytes of the header that is written.
const HEADER: usize = 44;

struct Chip {
    rate_hz: u32,
    said: File,
    /// Where the sound begins in it.
    said_from: usize,
    heard: File,
    /// The case's loudspeaker, if it has a file of its own, and whether sound goes there.
    loud: Option<File>,
    speaker: bool,
    /// Bytes of sound written.
    written: u32,
    /// When the next frame is due, and how long one takes.
    due: Instant,
    frame: Duration,
}

static CHIP: Mutex<RefCell<Option<Chip>>> = Mutex::new(RefCell::new(None));

/// The header of a WAV file, mono, 16 bits.
fn header(rate_hz: u32, bytes: u32) -> [u8; HEADER] {
    let mut header = *b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\x02\0\x10\0data\0\0\0\0";
    header[4..8].copy_from_slice(&(bytes + HEADER as u32 - 8).to_le_bytes());
    header[24..28].copy_from_slice(&rate_hz.to_le_bytes());
    header[28..32].copy_from_slice(&(2 * rate_hz).to_le_bytes());
    header[40..44].copy_from_slice(&bytes.to_le_bytes());
    header
}

/// Opens both files and starts the chip's clock, unless it runs.
///
/// # Panics
/// If a file can't be opened, or what is said isn't a WAV file of this rate.
pub(crate) fn start(rate_hz: u32, &Arguments { said, heard, loud, drift, .. }: &Arguments<'_>) {
    if critical_section::with(|cs| CHIP.borrow(cs).borrow().is_some()) {
        return;
    }
    let mut file = File::open(said, Mode::Read).unwrap_or_else(|| panic!("cannot read {said}"));
    let mut begin = [0; 256];
    file.read(&mut begin);
    let rate = u32::from_le_bytes([begin[24], begin[25], begin[26], begin[27]]);
    assert!(begin.starts_with(b"RIFF") && rate == rate_hz, "{said} has {rate} Hz, and the call {rate_hz}");
    let data = begin.windows(4).position(|window| window == b"data").expect("a WAV file has data");
    file.seek(data + 8);
    let create = |name: &str| {
        let mut out = File::open(name, Mode::Write).unwrap_or_else(|| panic!("cannot write {name}"));
        out.write(&header(rate_hz, 0));
        out
    };
    let slower = drift.unwrap_or_default() / PPM_A_MICROSECOND;
    let frame = Duration::from_micros(FRAME.as_micros().saturating_add_signed(slower.into()));
    let chip = Chip {
        rate_hz,
        said: file,
        said_from: data + 8,
        heard: create(heard),
        loud: loud.map(create),
        speaker: false,
        written: 0,
        due: clock::now() + frame,
        frame,
    };
    critical_section::with(|cs| CHIP.borrow(cs).replace(Some(chip)));
    wait_until(clock::now() + FRAME);
    write(TIMER1, timer::CONTROL, timer::ENABLE | timer::INTERRUPTS);
    // SAFETY: all that the interrupt uses is there now, and nobody masks by priority.
    unsafe { NVIC::unmask(Line(TIMER1_INTERRUPT)) };
}

/// Stops the clock and closes the files.
pub(crate) fn stop() {
    write(TIMER1, timer::CONTROL, 0);
    NVIC::mask(Line(TIMER1_INTERRUPT));
    if let Some(mut chip) = critical_section::with(|cs| CHIP.borrow(cs).take()) {
        let header = header(chip.rate_hz, chip.written);
        for file in [Some(&mut chip.heard), chip.loud.as_mut()].into_iter().flatten() {
            file.seek(0);
            file.write(&header);
        }
    }
}

/// Where sound goes from now on.
pub(crate) fn set_path(path: AudioPath) {
    critical_section::with(|cs| {
        if let Some(chip) = CHIP.borrow(cs).borrow_mut().as_mut() {
            chip.speaker = path == AudioPath::Speaker;
        }
    });
}

fn wait_until(due: Instant) {
    let ticks = due.since(clock::now()).as_micros() as u32 * (CLOCK_HZ / 1_000_000);
    write(TIMER1, timer::RELOAD, ticks);
    write(TIMER1, timer::VALUE, ticks);
}

/// The interrupt of the chip's clock.
pub(crate) fn interrupt() {
    write(TIMER1, timer::INTERRUPT, 1);
    critical_section::with(|cs| {
        let mut chip = CHIP.borrow(cs).borrow_mut();
        let Some(chip) = chip.as_mut() else { return };
        if chip.rate_hz == 8_000 {
            chip.frame(&NARROW)
        } else {
            chip.frame(&WIDE)
        }
        chip.due += chip.frame;
        wait_until(chip.due.max(clock::now() + CATCH_UP));
    });
}

impl Chip {
    fn frame<const SAMPLES: usize>(&mut self, pump: &Pump<SAMPLES, DEPTH>) {
        let mut bytes = [0; 320];
        let bytes = &mut bytes[..2 * SAMPLES];
        let read = self.said.read(bytes);
        if read < bytes.len() {
            // Once more from the beginning.
            self.said.seek(self.said_from);
            self.said.read(&mut bytes[read..]);
        }
        let mut captured = [0; SAMPLES];
        for (sample, two) in captured.iter_mut().zip(bytes.chunks_exact(2)) {
            *sample = i16::from_le_bytes([two[0], two[1]]);
        }
        let mut playback = [0; SAMPLES];
        pump.half_transfer(&captured, &mut playback);
        for (two, sample) in bytes.chunks_exact_mut(2).zip(playback) {
            two.copy_from_slice(&sample.to_le_bytes());
        }
        match &mut self.loud {
            // What isn't heard here is heard there.
            Some(loud) => {
                let (heard, silent) = if self.speaker { (loud, &mut self.heard) } else { (&mut self.heard, loud) };
                heard.write(bytes);
                bytes.fill(0);
                silent.write(bytes);
            }
            None => drop(self.heard.write(bytes)),
        }
        self.written += bytes.len() as u32;
    }
}
