//! Numbers about a call: RFC 3550 statistics and the RTCP reporter.

pub mod jitter;
pub mod loss;
pub mod reporter;
