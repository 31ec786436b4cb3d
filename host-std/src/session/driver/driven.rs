//! The part that a driver on tokio runs: a call, or several that share their sockets and their device.

use std::net::SocketAddr;

use dsp_core::front::Media;
use dsp_core::time::Instant;

use crate::session::{Call, CallDigit, CallError, CallTone, Channel, HostFront, Missed, Transmit};

/// Something with sockets on one side and a device on the other.
pub(crate) trait Driven: Media<Transmit = Transmit> {
    /// Takes in a datagram, as [`Call::receive`].
    fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]);

    /// Counts datagrams that could not be passed on.
    fn count(&mut self, missed: Missed, datagrams: u32);

    /// Rate in Hz and channels of its device from now on, as [`Call::set_sound`].
    fn set_sound(&mut self, sound: (u32, u8)) -> Result<(), CallError>;

    /// Marks that the next captured sound doesn't follow the last one, so that they are joined without a click.
    fn break_off(&mut self);

    /// Returns the next digit that was heard, if the driver passes them on.
    fn next_digit(&mut self) -> Option<CallDigit>;

    /// Returns the same for tones.
    fn next_tone(&mut self) -> Option<CallTone>;

    /// Passes the echo canceller's current status to the calls.
    fn tell_echo(&mut self, now: Instant, front: &mut HostFront);

    /// The connection to a TURN server is over.
    #[cfg(feature = "ice")]
    fn lose_server(&mut self, server: SocketAddr);

    /// Returns whether a TURN server has not confirmed yet that an allocation is released.
    #[cfg(feature = "ice")]
    fn is_leaving(&self) -> bool;
}

impl Driven for Call {
    fn receive(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &mut [u8]) {
        Call::receive(self, now, channel, from, datagram);
    }

    fn count(&mut self, missed: Missed, datagrams: u32) {
        Call::count(self, missed, datagrams);
    }

    fn set_sound(&mut self, sound: (u32, u8)) -> Result<(), CallError> {
        Call::set_sound(self, Some(sound))
    }

    fn break_off(&mut self) {
        Call::break_off(self);
    }

    fn next_digit(&mut self) -> Option<CallDigit> {
        Call::next_digit(self)
    }

    fn next_tone(&mut self) -> Option<CallTone> {
        Call::next_tone(self)
    }

    fn tell_echo(&mut self, now: Instant, front: &mut HostFront) {
        Call::tell_echo(self, now, front);
    }

    #[cfg(feature = "ice")]
    fn lose_server(&mut self, server: SocketAddr) {
        Call::lose_server(self, server);
    }

    #[cfg(feature = "ice")]
    fn is_leaving(&self) -> bool {
        Call::is_leaving(self)
    }
}
