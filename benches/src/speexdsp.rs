//! speexdsp's resampler (Debian's libspeexdsp1, which computes in floats), as far as the benchmarks need it.

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
