//! The only calls to libopus: states in borrowed memory, with slices for arguments.
//!
//! Each wrapper takes lengths from its slices alone, so that no caller can make the library read or write outside
//! them. What the library puts on the stack grows with the length of a frame: 120 ms is the most it is asked for.
#![allow(unsafe_code, reason = "libopus is C; every call to it is in this file")]

use core::ffi::{c_char, c_int};

use opusic_sys as sys;

pub(crate) use sys::{
    OPUS_APPLICATION_VOIP, OPUS_BAD_ARG, OPUS_BANDWIDTH_WIDEBAND, OPUS_SET_BITRATE_REQUEST,
    OPUS_SET_COMPLEXITY_REQUEST, OPUS_SET_MAX_BANDWIDTH_REQUEST, OPUS_SET_SIGNAL_REQUEST, OPUS_SIGNAL_VOICE,
};

/// The requests that set one integer: any other would read a wrong argument list.
const SETS: [c_int; 4] =
    [OPUS_SET_BITRATE_REQUEST, OPUS_SET_COMPLEXITY_REQUEST, OPUS_SET_MAX_BANDWIDTH_REQUEST, OPUS_SET_SIGNAL_REQUEST];

/// Why memory is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Less memory than the state takes.
    Memory {
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        got: usize,
    },
    /// The library's own error number.
    Library(i32),
}

/// Bytes of a mono encoder's and a mono decoder's state.
pub fn state_bytes() -> [usize; 2] {
    // SAFETY: both functions only compute a size from the number of channels.
    let sizes = unsafe { [sys::opus_encoder_get_size(1), sys::opus_decoder_get_size(1)] };
    sizes.map(|bytes| usize::try_from(bytes).unwrap_or(0))
}

/// Enough for `need` bytes? Words, because the states want to be aligned to 8.
fn check(memory: &[u64], need: usize) -> Result<(), StateError> {
    let got = size_of_val(memory);
    if need == 0 || got < need { Err(StateError::Memory { need, got }) } else { Ok(()) }
}

fn library(code: c_int) -> Result<(), StateError> {
    if code == sys::OPUS_OK { Ok(()) } else { Err(StateError::Library(code)) }
}

/// A mono encoder's state.
pub(crate) struct RawEncoder<'a>(&'a mut [u64]);

impl<'a> RawEncoder<'a> {
    pub(crate) fn new(memory: &'a mut [u64], sample_rate_hz: u32, application: c_int) -> Result<Self, StateError> {
        check(memory, state_bytes()[0])?;
        // SAFETY: the memory is exclusively ours, aligned, and as long as the library asks for; the library checks rate
        // and application itself.
        library(unsafe { sys::opus_encoder_init(memory.as_mut_ptr().cast(), sample_rate_hz as i32, 1, application) })?;
        Ok(Self(memory))
    }

    fn state(&mut self) -> *mut sys::OpusEncoder {
        self.0.as_mut_ptr().cast()
    }

    pub(crate) fn set(&mut self, request: c_int, value: c_int) -> Result<(), StateError> {
        if !SETS.contains(&request) {
            return Err(StateError::Library(sys::OPUS_UNIMPLEMENTED));
        }
        // SAFETY: `new` has made the state; each request in `SETS` takes exactly one opus_int32 by value.
        library(unsafe { sys::opus_encoder_ctl(self.state(), request, value) })
    }

    /// Encodes `pcm` and returns the payload's length or the library's error.
    pub(crate) fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, i32> {
        let samples = c_int::try_from(pcm.len()).map_err(|_| OPUS_BAD_ARG)?;
        let room = i32::try_from(payload.len()).unwrap_or(i32::MAX);
        // SAFETY: `new` has made the state; the library reads `samples` samples of its one channel and writes at most
        // `room` bytes.
        let n = unsafe { sys::opus_encode(self.state(), pcm.as_ptr(), samples, payload.as_mut_ptr(), room) };
        usize::try_from(n).map_err(|_| n)
    }

    pub(crate) fn reset(&mut self) {
        // SAFETY: `new` has made the state; the request takes no argument and keeps the settings.
        unsafe { sys::opus_encoder_ctl(self.state(), sys::OPUS_RESET_STATE) };
    }
}

/// A mono decoder's state.
pub(crate) struct RawDecoder<'a> {
    memory: &'a mut [u64],
    /// 120 ms.
    max_samples: usize,
}

impl<'a> RawDecoder<'a> {
    pub(crate) fn new(memory: &'a mut [u64], sample_rate_hz: u32) -> Result<Self, StateError> {
        check(memory, state_bytes()[1])?;
        // SAFETY: as for the encoder.
        library(unsafe { sys::opus_decoder_init(memory.as_mut_ptr().cast(), sample_rate_hz as i32, 1) })?;
        Ok(Self { memory, max_samples: sample_rate_hz as usize * 3 / 25 })
    }

    fn state(&mut self) -> *mut sys::OpusDecoder {
        self.memory.as_mut_ptr().cast()
    }

    /// Decodes `packet`, or with `None` conceals exactly `pcm`. Returns the samples or the library's error.
    pub(crate) fn decode(&mut self, packet: Option<&[u8]>, pcm: &mut [i16]) -> Result<usize, i32> {
        let (start, len) = packet.map_or((core::ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        let len = i32::try_from(len).map_err(|_| sys::OPUS_INVALID_PACKET)?;
        let samples = pcm.len().min(self.max_samples) as c_int;
        // SAFETY: `new` has made the state; the library reads `len` bytes, or none where there is no packet, and writes
        // at most `samples <= pcm.len()` samples of its one channel.
        let n = unsafe { sys::opus_decode(self.state(), start, len, pcm.as_mut_ptr(), samples, 0) };
        usize::try_from(n).map_err(|_| n)
    }

    pub(crate) fn reset(&mut self) {
        // SAFETY: `new` has made the state; the request takes no argument.
        unsafe { sys::opus_decoder_ctl(self.state(), sys::OPUS_RESET_STATE) };
    }
}

/// Samples of `packet` at `sample_rate_hz`, or the library's error.
pub(crate) fn packet_samples(packet: &[u8], sample_rate_hz: u32) -> Result<usize, i32> {
    let len = i32::try_from(packet.len()).map_err(|_| sys::OPUS_INVALID_PACKET)?;
    // SAFETY: the library reads at most `len` bytes.
    let n = unsafe { sys::opus_packet_get_nb_samples(packet.as_ptr(), len, sample_rate_hz as i32) };
    usize::try_from(n).map_err(|_| n)
}

/// What the library calls where one of its own assertions fails (OVERRIDE_celt_fatal). It is all that libopus wants of
/// a C library and Rust's runtime for bare metal hasn't: memory functions and 64-bit division are there, and what calls
/// malloc and free is not linked.
// SAFETY: libopus declares it with these arguments and defines none itself.
#[unsafe(no_mangle)]
extern "C" fn celt_fatal(_what: *const c_char, _file: *const c_char, line: c_int) -> ! {
    panic!("libopus: an assertion failed in line {line}");
}
