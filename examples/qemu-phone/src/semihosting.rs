//! Files, the command line, random numbers and the end of the program by semihosting. The files stand for the sound of
//! a codec chip and for a signalling stack.

use core::fmt::{self, Write};

use cortex_m_semihosting::{debug, nr, syscall};

/// How a file is opened, as `fopen` has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `rb`
    Read = 1,
    /// `wb`
    Write = 5,
}

/// An open file.
pub(crate) struct File(usize);

/// A name of at most 127 bytes with the zero that semihosting wants behind it.
fn terminated(name: &str) -> Option<[u8; 128]> {
    let mut bytes = [0; 128];
    bytes.split_last_mut()?.1.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(bytes)
}

impl File {
    /// `None` if it can't be opened.
    pub(crate) fn open(name: &str, mode: Mode) -> Option<Self> {
        let bytes = terminated(name)?;
        // SAFETY: the name ends with a zero and lives until the call has returned.
        let handle = unsafe { syscall!(OPEN, bytes.as_ptr(), mode as usize, name.len()) };
        (handle as isize >= 0).then_some(Self(handle))
    }

    /// Fills `bytes` as far as there is something; how many were read.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> usize {
        // SAFETY: the host writes so many bytes there at most.
        let missing = unsafe { syscall!(READ, self.0, bytes.as_mut_ptr(), bytes.len()) };
        bytes.len().saturating_sub(missing)
    }

    /// Whether all was written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        // SAFETY: the host reads so many bytes from there.
        unsafe { syscall!(WRITE, self.0, bytes.as_ptr(), bytes.len()) == 0 }
    }

    pub(crate) fn seek(&mut self, to: usize) {
        // SAFETY: two numbers are passed on.
        let _moved = unsafe { syscall!(SEEK, self.0, to) };
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the handle is that of an open file, and nobody uses it afterwards.
        let _closed = unsafe { syscall!(CLOSE, self.0) };
    }
}

/// Writes a file in one piece: whoever reads it finds all of it or none.
pub(crate) fn replace(name: &str, text: &str) -> bool {
    const MADE: &str = "phone.part";
    let Some(mut file) = File::open(MADE, Mode::Write) else { return false };
    let written = file.write(text.as_bytes());
    drop(file);
    let (Some(from), Some(to)) = (terminated(MADE), terminated(name)) else { return false };
    // SAFETY: both names end with a zero and live until the call has returned.
    written && unsafe { syscall!(RENAME, from.as_ptr(), MADE.len(), to.as_ptr(), name.len()) == 0 }
}

/// What QEMU was given as `arg=`, with blanks between.
pub(crate) fn command_line(room: &mut [u8]) -> &str {
    let mut block = [room.as_mut_ptr() as usize, room.len()];
    // SAFETY: the host writes at most so many bytes there, and their number into the block.
    let failed = unsafe { cortex_m_semihosting::syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) } != 0;
    let len = if failed { 0 } else { block[1].min(room.len()) };
    core::str::from_utf8(&room[..len]).unwrap_or_default().trim_end_matches('\0')
}

/// Fills `bytes` with what the host has of randomness; silicon has a generator of its own.
pub(crate) fn random(bytes: &mut [u8]) {
    let read = File::open("/dev/urandom", Mode::Read).map_or(0, |mut file| file.read(bytes));
    assert!(read == bytes.len(), "there is no randomness");
}

/// Writes a line to QEMU's own output.
pub(crate) fn print(line: fmt::Arguments<'_>) {
    if let Ok(mut out) = cortex_m_semihosting::hio::hstdout() {
        let _ = out.write_fmt(line);
        let _ = out.write_str("\n");
    }
}

/// One line of QEMU's output, a remark to whoever runs it.
macro_rules! say {
    ($($arguments:tt)*) => { $crate::semihosting::print(format_args!($($arguments)*)) };
}
pub(crate) use say;

/// Ends QEMU.
pub(crate) fn exit(success: bool) -> ! {
    debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}
