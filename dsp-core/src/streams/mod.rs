//! Several streams at once: who has a receiver ([`sources`]), and how many bytes of packets all may hold together
//! ([`budget`]). Streams of one sender are kept in step by [`sync`](crate::sync).

pub mod budget;
pub mod sources;
