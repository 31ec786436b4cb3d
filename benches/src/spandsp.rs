//! spandsp's codecs and its DTMF receiver (Debian's libspandsp2), as far as the benchmarks need them.

use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};

#[allow(non_camel_case_types, reason = "as the library spells it")]
mod sys {
    use super::{c_int, c_void};

    unsafe extern "C" {
        pub(super) fn g722_encode_init(state: *mut c_void, rate: c_int, options: c_int) -> *mut c_void;
        pub(super) fn g722_encode_free(state: *mut c_void) -> c_int;
        pub(super) fn g722_encode(state: *mut c_void, data: *mut u8, amp: *const i16, len: c_int) -> c_int;
        pub(super) fn g722_decode_init(state: *mut c_void, rate: c_int, options: c_int) -> *mut c_void;
        pub(super) fn g722_decode_free(state: *mut c_void) -> c_int;
        pub(super) fn g722_decode(state: *mut c_void, amp: *mut i16, data: *const u8, len: c_int) -> c_int;
        pub(super) fn dtmf_rx_init(state: *mut c_void, callback: *mut c_void, data: *mut c_void) -> *mut c_void;
        pub(super) fn dtmf_rx_free(state: *mut c_void) -> c_int;
        pub(super) fn dtmf_rx(state: *mut c_void, amp: *const i16, len: c_int) -> c_int;
        pub(super) fn dtmf_rx_get(state: *mut c_void, digits: *mut u8, max: c_int) -> usize;
        pub(super) fn g711_init(state: *mut c_void, mode: c_int) -> *mut c_void;
        pub(super) fn g711_free(state: *mut c_void) -> c_int;
        pub(super) fn g711_encode(state: *mut c_void, data: *mut u8, amp: *const i16, len: c_int) -> c_int;
        pub(super) fn g711_decode(state: *mut c_void, amp: *mut i16, data: *const u8, len: c_int) -> c_int;
    }
}

type Init = unsafe extern "C" fn(*mut c_void, c_int, c_int) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;

/// One of spandsp's states.
struct State {
    pointer: NonNull<c_void>,
    free: Free,
}

impl State {
    fn new(pointer: *mut c_void, free: Free) -> Self {
        Self { pointer: NonNull::new(pointer).expect("spandsp allocates"), free }
    }

    fn g722(init: Init, free: Free) -> Self {
        // SAFETY: with a null state the library allocates one; 64,000 bit/s without options is a mode it has.
        Self::new(unsafe { init(null_mut(), 64_000, 0) }, free)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: the state came from the library's init and is freed once.
        unsafe { (self.free)(self.pointer.as_ptr()) };
    }
}

/// G.722 encoder at 64 kbit/s.
pub struct G722Encoder(State);

impl Default for G722Encoder {
    fn default() -> Self {
        Self(State::g722(sys::g722_encode_init, sys::g722_encode_free))
    }
}

impl G722Encoder {
    /// Encodes `pcm` at 16 kHz; two samples a byte.
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        assert!(pcm.len().is_multiple_of(2) && payload.len() >= pcm.len() / 2);
        // SAFETY: the state is live; the library reads `len` samples, two at a time, and writes half as many bytes.
        unsafe { sys::g722_encode(self.0.pointer.as_ptr(), payload.as_mut_ptr(), pcm.as_ptr(), pcm.len() as c_int) };
    }
}

/// G.722 decoder at 64 kbit/s.
pub struct G722Decoder(State);

impl Default for G722Decoder {
    fn default() -> Self {
        Self(State::g722(sys::g722_decode_init, sys::g722_decode_free))
    }
}

impl G722Decoder {
    /// Decodes `payload`; two samples a byte.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        assert!(pcm.len() >= payload.len() * 2);
        // SAFETY: the state is live; the library reads `len` bytes and writes twice as many samples.
        unsafe {
            sys::g722_decode(self.0.pointer.as_ptr(), pcm.as_mut_ptr(), payload.as_ptr(), payload.len() as c_int)
        };
    }
}

/// G.711 in both directions.
pub struct G711(State);

impl G711 {
    /// A-law or mu-law.
    pub fn new(alaw: bool) -> Self {
        // SAFETY: with a null state the library allocates one; 0 is A-law and 1 mu-law.
        Self(State::new(unsafe { sys::g711_init(null_mut(), c_int::from(!alaw)) }, sys::g711_free))
    }

    /// Encodes a byte a sample.
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) {
        assert!(payload.len() >= pcm.len());
        // SAFETY: the state is live; the library reads and writes `len` elements.
        unsafe { sys::g711_encode(self.0.pointer.as_ptr(), payload.as_mut_ptr(), pcm.as_ptr(), pcm.len() as c_int) };
    }

    /// Decodes a sample a byte.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) {
        assert!(pcm.len() >= payload.len());
        // SAFETY: the state is live; the library reads and writes `len` elements.
        unsafe {
            sys::g711_decode(self.0.pointer.as_ptr(), pcm.as_mut_ptr(), payload.as_ptr(), payload.len() as c_int)
        };
    }
}

/// DTMF receiver at 8 kHz.
pub struct DtmfReceiver(State);

impl Default for DtmfReceiver {
    fn default() -> Self {
        // SAFETY: with a null state the library allocates one; digits are kept where there is no callback.
        Self(State::new(unsafe { sys::dtmf_rx_init(null_mut(), null_mut(), null_mut()) }, sys::dtmf_rx_free))
    }
}

impl DtmfReceiver {
    /// Hears the next samples; how many digits were found in them.
    pub fn hear(&mut self, pcm: &[i16]) -> usize {
        let mut digits = [0; 128];
        // SAFETY: the state is live; the library reads `len` samples and writes at most 127 digits and a zero.
        unsafe {
            sys::dtmf_rx(self.0.pointer.as_ptr(), pcm.as_ptr(), pcm.len() as c_int);
            sys::dtmf_rx_get(self.0.pointer.as_ptr(), digits.as_mut_ptr(), 127)
        }
    }
}
