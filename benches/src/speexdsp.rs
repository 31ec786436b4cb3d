//! speexdsp's resampler and echo canceller (Debian's libspeexdsp1, which computes in floats), as far as the benchmarks need them.

use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};

#[allow(non_camel_case_types, reason = "as the library spells it")]
mod sys {
    use super::{c_int, c_void};

    unsafe extern "C" {
        pub(super) fn speex_resampler_init(
            channels: u32,
            from_hz: u32,
            to_hz: u32,
            quality: c_int,
            error: *mut c_int,
        ) -> *mut c_void;
        pub(super) fn speex_resampler_destroy(state: *mut c_void);
        pub(super) fn speex_resampler_process_float(
            state: *mut c_void,
            channel: u32,
            input: *const f32,
            input_len: *mut u32,
            output: *mut f32,
            output_len: *mut u32,
        ) -> c_int;
        pub(super) fn speex_resampler_process_int(
            state: *mut c_void,
            channel: u32,
            input: *const i16,
            input_len: *mut u32,
            output: *mut i16,
            output_len: *mut u32,
        ) -> c_int;
        pub(super) fn speex_echo_state_init(frame: c_int, tail: c_int) -> *mut c_void;
        pub(super) fn speex_echo_state_destroy(state: *mut c_void);
        pub(super) fn speex_echo_ctl(state: *mut c_void, request: c_int, value: *mut c_void) -> c_int;
        pub(super) fn speex_echo_cancellation(state: *mut c_void, near: *const i16, far: *const i16, out: *mut i16);
        pub(super) fn speex_preprocess_state_init(frame: c_int, rate_hz: c_int) -> *mut c_void;
        pub(super) fn speex_preprocess_state_destroy(state: *mut c_void);
        pub(super) fn speex_preprocess_ctl(state: *mut c_void, request: c_int, value: *mut c_void) -> c_int;
        pub(super) fn speex_preprocess_run(state: *mut c_void, frame: *mut i16) -> c_int;
    }

    pub(super) const ECHO_SET_SAMPLING_RATE: c_int = 24;
    pub(super) const PREPROCESS_SET_ECHO_STATE: c_int = 24;
}

/// The canceller (MDF) with its preprocessor, which takes the rest of the echo away, in frames of `FRAME` samples.
pub struct EchoCanceller<const FRAME: usize> {
    echo: NonNull<c_void>,
    preprocessor: NonNull<c_void>,
}

impl<const FRAME: usize> EchoCanceller<FRAME> {
    /// For a tail of so many samples, with settings as they come.
    pub fn new(tail: usize, rate_hz: u32) -> Self {
        let mut rate_hz = rate_hz as c_int;
        // SAFETY: plain numbers; the rate is read in the call, and the preprocessor keeps a pointer to the canceller's state,
        // which is freed behind it.
        unsafe {
            let echo = sys::speex_echo_state_init(FRAME as c_int, tail as c_int);
            let preprocessor = sys::speex_preprocess_state_init(FRAME as c_int, rate_hz);
            let state = Self {
                echo: NonNull::new(echo).expect("speexdsp allocates"),
                preprocessor: NonNull::new(preprocessor).expect("speexdsp allocates"),
            };
            sys::speex_echo_ctl(echo, sys::ECHO_SET_SAMPLING_RATE, (&raw mut rate_hz).cast());
            sys::speex_preprocess_ctl(preprocessor, sys::PREPROCESS_SET_ECHO_STATE, echo);
            state
        }
    }

    /// A frame of the microphone, in which the loudspeaker's is heard, without it.
    pub fn process(&mut self, near: &[i16; FRAME], far: &[i16; FRAME]) -> [i16; FRAME] {
        let mut out = [0; FRAME];
        // SAFETY: both states are live, and made for frames of this length.
        unsafe {
            sys::speex_echo_cancellation(self.echo.as_ptr(), near.as_ptr(), far.as_ptr(), out.as_mut_ptr());
            sys::speex_preprocess_run(self.preprocessor.as_ptr(), out.as_mut_ptr());
        }
        out
    }
}

impl<const FRAME: usize> Drop for EchoCanceller<FRAME> {
    fn drop(&mut self) {
        // SAFETY: both came from the library's init and are freed once.
        unsafe {
            sys::speex_preprocess_state_destroy(self.preprocessor.as_ptr());
            sys::speex_echo_state_destroy(self.echo.as_ptr());
        }
    }
}

/// A resampler of one channel.
pub struct Resampler(NonNull<c_void>);

impl Resampler {
    /// From one rate to another, of quality 0 to 10.
    pub fn new(from_hz: u32, to_hz: u32, quality: i32) -> Self {
        // SAFETY: plain numbers; no error is asked for.
        let state = unsafe { sys::speex_resampler_init(1, from_hz, to_hz, quality, null_mut()) };
        Self(NonNull::new(state).expect("speexdsp allocates"))
    }

    /// Fills `output` from `input` as far as both reach; how far.
    pub fn process_f32(&mut self, input: &[f32], output: &mut [f32]) -> usize {
        let (mut taken, mut made) = (input.len() as u32, output.len() as u32);
        // SAFETY: the state is live; the library reads and writes as many elements as it is told there are.
        unsafe {
            let state = self.0.as_ptr();
            let output = output.as_mut_ptr();
            sys::speex_resampler_process_float(state, 0, input.as_ptr(), &mut taken, output, &mut made)
        };
        made as usize
    }

    /// The same in 16 bits.
    pub fn process_i16(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let (mut taken, mut made) = (input.len() as u32, output.len() as u32);
        // SAFETY: as above.
        unsafe {
            let state = self.0.as_ptr();
            let output = output.as_mut_ptr();
            sys::speex_resampler_process_int(state, 0, input.as_ptr(), &mut taken, output, &mut made)
        };
        made as usize
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: the state came from the library's init and is freed once.
        unsafe { sys::speex_resampler_destroy(self.0.as_ptr()) };
    }
}
