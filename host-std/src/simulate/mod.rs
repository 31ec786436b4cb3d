//! Bad networks without a network: what one does to a datagram ([`netsim`]), two calls over it in virtual time
//! ([`virtual_time`]), and the same between real sockets ([`proxy`]). And a room without a room: what a microphone hears of
//! a loudspeaker ([`room`]), and of what is around it ([`ambience`]). And the callers of a conference ([`callers`]).

pub mod ambience;
pub mod bottleneck;
pub mod callers;
mod in_flight;
pub mod netsim;
#[cfg(feature = "tokio")]
pub mod proxy;
pub mod room;
pub mod virtual_time;
