//! The only `unsafe` of this crate: libopus states as owned values with slices for arguments.
//!
//! Each wrapper takes lengths from its slices alone, so that no caller can make the library read or write outside
//! them. Calls that would let libopus take a caller's length for a stack allocation are bounded at 120 ms.
#![allow(unsafe_code, reason = "libopus is C; every call to it is in this file")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use opusic_sys as sys;

use super::OpusError;

pub(super) use sys::{
    OPUS_APPLICATION_AUDIO, OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_APPLICATION_VOIP, OPUS_AUTO,
    OPUS_BANDWIDTH_FULLBAND, OPUS_BANDWIDTH_MEDIUMBAND, OPUS_BANDWIDTH_NARROWBAND, OPUS_BANDWIDTH_SUPERWIDEBAND,
    OPUS_BANDWIDTH_WIDEBAND, OPUS_BUFFER_TOO_SMALL, OPUS_SET_BANDWIDTH_REQUEST, OPUS_SET_BITRATE_REQUEST,
    OPUS_SET_COMPLEXITY_REQUEST, OPUS_SET_DRED_DURATION_REQUEST, OPUS_SET_DTX_REQUEST, OPUS_SET_FORCE_CHANNELS_REQUEST,
    OPUS_SET_INBAND_FEC_REQUEST, OPUS_SET_MAX_BANDWIDTH_REQUEST, OPUS_SET_PACKET_LOSS_PERC_REQUEST,
    OPUS_SET_SIGNAL_REQUEST, OPUS_SET_VBR_CONSTRAINT_REQUEST, OPUS_SET_VBR_REQUEST, OPUS_SIGNAL_MUSIC,
    OPUS_SIGNAL_VOICE,
};
pub(super) use sys::{OPUS_GET_IN_DTX_REQUEST, OPUS_GET_LOOKAHEAD_REQUEST};

/// The requests that set one integer: any other would read a wrong argument list.
const SETS: [c_int; 12] = [
    OPUS_SET_BANDWIDTH_REQUEST,
    OPUS_SET_BITRATE_REQUEST,
    OPUS_SET_COMPLEXITY_REQUEST,
    OPUS_SET_DRED_DURATION_REQUEST,
    OPUS_SET_DTX_REQUEST,
    OPUS_SET_FORCE_CHANNELS_REQUEST,
    OPUS_SET_INBAND_FEC_REQUEST,
    OPUS_SET_MAX_BANDWIDTH_REQUEST,
    OPUS_SET_PACKET_LOSS_PERC_REQUEST,
    OPUS_SET_SIGNAL_REQUEST,
    OPUS_SET_VBR_CONSTRAINT_REQUEST,
    OPUS_SET_VBR_REQUEST,
];

pub(super) fn version() -> &'static str {
    // SAFETY: the function has no arguments and returns a pointer to a static, NUL-terminated string.
    unsafe { CStr::from_ptr(sys::opus_get_version_string()) }.to_str().unwrap_or("libopus")
}

/// Bytes of an encoder's and a decoder's state.
pub(super) fn state_bytes(channels: u8) -> [usize; 2] {
    let channels = c_int::from(channels);
    // SAFETY: both functions only compute a size from the number of channels, 0 for a wrong one.
    let sizes = unsafe { [sys::opus_encoder_get_size(channels), sys::opus_decoder_get_size(channels)] };
    sizes.map(|bytes| usize::try_from(bytes).unwrap_or(0))
}

/// One encoder state. Channels and rate are those it was made with.
#[derive(Debug)]
pub(super) struct RawEncoder {
    state: NonNull<sys::OpusEncoder>,
    channels: usize,
}

// SAFETY: a libopus state is plain memory without thread affinity; it is owned by this value alone.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    pub(super) fn new(sample_rate_hz: u32, channels: u8, application: c_int) -> Result<Self, OpusError> {
        let mut error: c_int = 0;
        // SAFETY: `error` outlives the call; the library checks rate, channels and application itself.
        let state =
            unsafe { sys::opus_encoder_create(sample_rate_hz as i32, c_int::from(channels), application, &mut error) };
        match NonNull::new(state) {
            Some(state) if error == sys::OPUS_OK => Ok(Self { state, channels: usize::from(channels) }),
            _ => Err(OpusError::Library(error)),
        }
    }

    /// Encodes `pcm` (whole frames of the state's channels) and returns the payload's length or the library's error.
    pub(super) fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, i32> {
        let samples = c_int::try_from(pcm.len() / self.channels).map_err(|_| sys::OPUS_BAD_ARG)?;
        let room = i32::try_from(payload.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is live and ours; the library reads `samples * channels <= pcm.len()` samples and writes
        // at most `room <= payload.len()` bytes.
        let n = unsafe { sys::opus_encode(self.state.as_ptr(), pcm.as_ptr(), samples, payload.as_mut_ptr(), room) };
        usize::try_from(n).map_err(|_| n)
    }

    pub(super) fn set(&mut self, request: c_int, value: c_int) -> Result<(), i32> {
        if !SETS.contains(&request) {
            return Err(sys::OPUS_UNIMPLEMENTED);
        }
        // SAFETY: each request in `SETS` takes exactly one opus_int32 by value.
        let code = unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, value) };
        if code == sys::OPUS_OK { Ok(()) } else { Err(code) }
    }

    pub(super) fn get(&self, request: c_int) -> i32 {
        let mut value: i32 = 0;
        if ![OPUS_GET_LOOKAHEAD_REQUEST, OPUS_GET_IN_DTX_REQUEST].contains(&request) {
            return value;
        }
        // SAFETY: both requests take one pointer to an opus_int32, which outlives the call, and only read the state.
        unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, std::ptr::from_mut(&mut value)) };
        value
    }

    pub(super) fn final_range(&self) -> u32 {
        let mut value: u32 = 0;
        // SAFETY: this request takes one pointer to an opus_uint32, which outlives the call.
        unsafe {
            sys::opus_encoder_ctl(
                self.state.as_ptr(),
                sys::OPUS_GET_FINAL_RANGE_REQUEST,
                std::ptr::from_mut(&mut value),
            )
        };
        value
    }

    pub(super) fn reset(&mut self) {
        // SAFETY: the request takes no argument and keeps the settings.
        unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), sys::OPUS_RESET_STATE) };
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the state came from opus_encoder_create and is destroyed once.
        unsafe { sys::opus_encoder_destroy(self.state.as_ptr()) };
    }
}

/// One decoder state.
#[derive(Debug)]
pub(super) struct RawDecoder {
    state: NonNull<sys::OpusDecoder>,
    channels: usize,
    /// 120 ms, the most that one call may fill: libopus puts that many samples on its stack.
    max_samples: usize,
}

// SAFETY: as for the encoder.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    pub(super) fn new(sample_rate_hz: u32, channels: u8) -> Result<Self, OpusError> {
        let mut error: c_int = 0;
        // SAFETY: `error` outlives the call; the library checks rate and channels itself.
        let state = unsafe { sys::opus_decoder_create(sample_rate_hz as i32, c_int::from(channels), &mut error) };
        match NonNull::new(state) {
            Some(state) if error == sys::OPUS_OK => {
                Ok(Self { state, channels: usize::from(channels), max_samples: sample_rate_hz as usize * 3 / 25 })
            }
            _ => Err(OpusError::Library(error)),
        }
    }

    /// Decodes `packet` into `pcm`, or with `fec` the stretch of exactly `pcm` before it. Returns the samples a
    /// channel or the library's error.
    pub(super) fn decode(&mut self, packet: &[u8], pcm: &mut [i16], fec: bool) -> Result<usize, i32> {
        let len = i32::try_from(packet.len()).map_err(|_| sys::OPUS_INVALID_PACKET)?;
        let samples = (pcm.len() / self.channels).min(self.max_samples);
        // SAFETY: the state is live and ours; the library reads `len` bytes of `packet` and writes at most
        // `samples * channels <= pcm.len()` samples. `samples` fits: it is bounded by 120 ms.
        let n = unsafe {
            sys::opus_decode(
                self.state.as_ptr(),
                packet.as_ptr(),
                len,
                pcm.as_mut_ptr(),
                samples as c_int,
                c_int::from(fec),
            )
        };
        usize::try_from(n).map_err(|_| n)
    }

    pub(super) fn set(&mut self, request: c_int, value: c_int) -> Result<(), i32> {
        if !SETS.contains(&request) {
            return Err(sys::OPUS_UNIMPLEMENTED);
        }
        // SAFETY: each request in `SETS` takes exactly one opus_int32 by value; a decoder refuses those it doesn't know.
        let code = unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), request, value) };
        if code == sys::OPUS_OK { Ok(()) } else { Err(code) }
    }

    /// Conceals exactly `pcm`, which lasts at most 120 ms and a multiple of 10 ms, from the redundancy read last. `pcm`
    /// begins `back` samples before the packet of the redundancy.
    #[cfg(feature = "opus-dred")]
    pub(super) fn decode_dred(&mut self, dred: &RawDred, back: u32, pcm: &mut [i16]) -> Result<usize, i32> {
        let samples = (pcm.len() / self.channels).min(self.max_samples);
        let back = i32::try_from(back).map_err(|_| sys::OPUS_BAD_ARG)?;
        // SAFETY: both states are live and ours, `new` has given the redundancy a value; the library
        // writes `samples * channels <= pcm.len()` samples.
        let n = unsafe {
            sys::opus_decoder_dred_decode(
                self.state.as_ptr(),
                dred.redundancy.as_ptr(),
                back,
                pcm.as_mut_ptr(),
                samples as i32,
            )
        };
        usize::try_from(n).map_err(|_| n)
    }

    /// Conceals exactly `pcm`, which lasts at most 120 ms and a multiple of 2.5 ms.
    pub(super) fn conceal(&mut self, pcm: &mut [i16]) -> Result<usize, i32> {
        let samples = (pcm.len() / self.channels).min(self.max_samples);
        // SAFETY: a null packet of length 0 is the library's sign for a loss; it writes `samples * channels` samples.
        let n = unsafe {
            sys::opus_decode(self.state.as_ptr(), std::ptr::null(), 0, pcm.as_mut_ptr(), samples as c_int, 0)
        };
        usize::try_from(n).map_err(|_| n)
    }

    pub(super) fn final_range(&self) -> u32 {
        let mut value: u32 = 0;
        // SAFETY: this request takes one pointer to an opus_uint32, which outlives the call.
        unsafe {
            sys::opus_decoder_ctl(
                self.state.as_ptr(),
                sys::OPUS_GET_FINAL_RANGE_REQUEST,
                std::ptr::from_mut(&mut value),
            )
        };
        value
    }

    pub(super) fn reset(&mut self) {
        // SAFETY: the request takes no argument.
        unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), sys::OPUS_RESET_STATE) };
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: the state came from opus_decoder_create and is destroyed once.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) };
    }
}

/// Reader of Deep Redundancy, and the redundancy that it read last.
#[cfg(feature = "opus-dred")]
#[derive(Debug)]
pub(super) struct RawDred {
    reader: NonNull<sys::OpusDREDDecoder>,
    redundancy: NonNull<sys::OpusDRED>,
}

// SAFETY: as for the encoder.
#[cfg(feature = "opus-dred")]
unsafe impl Send for RawDred {}

#[cfg(feature = "opus-dred")]
impl RawDred {
    pub(super) fn new() -> Result<Self, OpusError> {
        let mut error: c_int = 0;
        // SAFETY: `error` outlives the call.
        let reader = NonNull::new(unsafe { sys::opus_dred_decoder_create(&mut error) });
        let reader = reader.filter(|_| error == sys::OPUS_OK).ok_or(OpusError::Library(error))?;
        // SAFETY: as above.
        let Some(redundancy) = NonNull::new(unsafe { sys::opus_dred_alloc(&mut error) }) else {
            // SAFETY: the reader came from opus_dred_decoder_create and is destroyed once.
            unsafe { sys::opus_dred_decoder_destroy(reader.as_ptr()) };
            return Err(OpusError::Library(error));
        };
        let mut dred = Self { reader, redundancy };
        // The library allocates the redundancy without a value: reading a packet that has none gives it one.
        dred.read(&[0], 0).map_err(OpusError::Library)?;
        Ok(dred)
    }

    /// Reads the redundancy of `packet`, at most `ticks` of 48 kHz, without making features of it. Returns where it
    /// begins and where it ends, in ticks before the packet.
    pub(super) fn read(&mut self, packet: &[u8], ticks: u32) -> Result<(u32, u32), i32> {
        let len = i32::try_from(packet.len()).map_err(|_| sys::OPUS_INVALID_PACKET)?;
        let mut end: c_int = 0;
        // SAFETY: both states are live and ours; the library reads `len` bytes and writes `end`, which outlives the call.
        // A second is all there can be, and more would overflow the library's arithmetic.
        let begin = unsafe {
            sys::opus_dred_parse(
                self.reader.as_ptr(),
                self.redundancy.as_ptr(),
                packet.as_ptr(),
                len,
                ticks.min(2 * 48_000) as i32,
                48_000,
                &mut end,
                1,
            )
        };
        let begin = u32::try_from(begin).map_err(|_| begin)?;
        Ok((begin, u32::try_from(end).unwrap_or(0)))
    }

    /// Makes features of the packet that was read last: the costly part.
    pub(super) fn process(&mut self) -> Result<(), i32> {
        let redundancy = self.redundancy.as_ptr();
        // SAFETY: both states are live and ours; the library allows source and destination to be one, and refuses a
        // redundancy that holds nothing.
        let code = unsafe { sys::opus_dred_process(self.reader.as_ptr(), redundancy, redundancy) };
        if code == sys::OPUS_OK { Ok(()) } else { Err(code) }
    }
}

#[cfg(feature = "opus-dred")]
impl Drop for RawDred {
    fn drop(&mut self) {
        // SAFETY: both came from the library's own constructors and are freed once.
        unsafe {
            sys::opus_dred_free(self.redundancy.as_ptr());
            sys::opus_dred_decoder_destroy(self.reader.as_ptr());
        }
    }
}

/// Returns whether the packet has low bit-rate redundancy for the stretch before it. `packet` has sound framing.
pub(super) fn has_lbrr(packet: &[u8]) -> bool {
    let Ok(len) = i32::try_from(packet.len()) else { return false };
    if len == 0 {
        return false;
    }
    // SAFETY: the library reads only `len` bytes (at least the one of the TOC) and parses the framing again itself.
    unsafe { sys::opus_packet_has_lbrr(packet.as_ptr(), len) == 1 }
}

#[cfg(test)]
mod tests {
    use super::super::OpusPacket;
    use super::*;

    /// The library's own reading of the framing: ticks of 48 kHz, or `None`.
    fn library_ticks(packet: &[u8]) -> Option<u32> {
        let mut sizes = [0_i16; 48];
        let mut toc = 0;
        let mut offset = 0;
        // SAFETY: the library reads `len` bytes and writes up to 48 sizes; null is allowed for the frames' addresses.
        let frames = unsafe {
            sys::opus_packet_parse(
                packet.as_ptr(),
                packet.len() as i32,
                &mut toc,
                std::ptr::null_mut(),
                sizes.as_mut_ptr(),
                &mut offset,
            )
        };
        if frames <= 0 {
            return None;
        }
        let parsed = OpusPacket::parse(packet).expect("sound to the library");
        assert_eq!(parsed.first_frame_bytes, sizes[0] as usize);
        // SAFETY: as above.
        Some(unsafe { sys::opus_packet_get_nb_samples(packet.as_ptr(), packet.len() as i32, 48_000) } as u32)
    }

    #[test]
    fn our_reading_of_the_framing_agrees_with_the_library() {
        let mut seed = 1_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        let (mut sound, mut broken) = (0, 0);
        for round in 0..200_000 {
            let len = if round % 50 == 0 { random() % 4000 } else { random() % 12 } as usize;
            let mut packet: Vec<u8> = (0..len).map(|_| (random() % 256) as u8).collect();
            // Counts and lengths near the truth, or nearly every packet would be broken in the same way.
            for b in packet.iter_mut().skip(1).take(3) {
                if random() % 2 == 0 {
                    *b = (*b & 0xc0) | (*b % 6);
                }
            }
            let ours = OpusPacket::parse(&packet).ok().map(|p| p.ticks());
            let theirs = if packet.is_empty() { None } else { library_ticks(&packet) };
            assert_eq!(ours, theirs, "{packet:x?}");
            *if ours.is_some() { &mut sound } else { &mut broken } += 1;
        }
        assert!(sound > 50_000 && broken > 50_000, "{sound} sound, {broken} broken");
    }

    #[test]
    fn version_is_the_bundled_one() {
        assert!(version().starts_with("libopus 1."), "{}", version());
    }
}
