//! The network side of a driver: sockets and connections, and their traffic to and from a call.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
#[cfg(feature = "ice")]
use std::time::Duration as StdDuration;

use dsp_core::front::Step;
use dsp_core::wire::DatagramKind;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
#[cfg(feature = "ice")]
use tokio::time::Instant as TokioInstant;

use super::Clock;
use super::device::close;
use super::driven::Driven;
use super::sound::{AttachedDevice, beyond};
use crate::device::{AudioIo, Gaps};
use crate::session::turn_connections::TurnConnections;
use crate::session::{CallDigit, CallError, CallTone, CaptureConfig, Channel, Missed, Transmit, front_end, stream};

/// The longest UDP datagram.
const DATAGRAM_BYTES: usize = 65_535;
/// Datagrams that are thrown away at once: more than a socket holds.
const STALE_DATAGRAMS: u32 = 10_000;
/// The time for which TURN servers are awaited at the end, until their allocations are released.
#[cfg(feature = "ice")]
const LEAVING: StdDuration = StdDuration::from_millis(500);

/// Room for the longest datagram. A thread keeps one for all its calls: a call has it while it takes in a datagram or goes
/// through a tick, and none while it waits. Where a tick waits until the system takes a datagram, another call of the thread
/// makes one of its own.
struct Datagram(Vec<u8>);

thread_local! {
    static IDLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Datagram {
    fn take() -> Self {
        let mut bytes = IDLE.take();
        bytes.resize(DATAGRAM_BYTES, 0);
        Self(bytes)
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        // On a thread that ends the buffer isn't kept.
        let _ = IDLE.try_with(|idle| idle.set(std::mem::take(&mut self.0)));
    }
}

/// A call with its sockets.
pub(crate) struct Running<C> {
    pub(crate) call: C,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: Option<UdpSocket>,
    pub(crate) clock: Clock,
    pub(crate) send_error: Option<io::Error>,
    pub(crate) digits: Option<mpsc::Sender<CallDigit>>,
    pub(crate) tones: Option<mpsc::Sender<CallTone>>,
    pub(crate) turn: TurnConnections,
}

impl<C: Driven> Running<C> {
    /// Creates the running call with these sockets.
    #[cfg(feature = "manager")]
    pub(crate) fn new(call: C, rtp: UdpSocket, rtcp: Option<UdpSocket>, clock: Clock) -> Self {
        #[cfg(feature = "ice")]
        let turn = TurnConnections::new(Vec::new());
        #[cfg(not(feature = "ice"))]
        let turn = TurnConnections;
        Self { call, rtp, rtcp, clock, send_error: None, digits: None, tones: None, turn }
    }

    /// Adds these connections to TURN servers.
    #[cfg(all(feature = "manager", feature = "ice"))]
    pub(crate) fn with_turn(self, turn: Vec<crate::session::TurnConnection>) -> Self {
        Self { turn: TurnConnections::new(turn), ..self }
    }

    /// Attaches another device from now on, of any rate and channels, with a capture chain of these settings; the old one is
    /// closed.
    ///
    /// # Errors
    /// Why the call can't have its sound: nothing changes then, and the device is closed.
    pub(crate) fn change_device(
        &mut self,
        sound: &mut AttachedDevice,
        audio: Box<dyn AudioIo>,
        capture: &CaptureConfig,
    ) -> Result<(), CallError> {
        let own = (audio.sample_rate_hz(), audio.channels());
        let mut front = None;
        if own != sound.device.sound() {
            let made = stream::Sound::checked(own)
                .and_then(|_| front_end(own.0, own.1, capture).map_err(CallError::Front))
                .and_then(|made| self.call.set_sound(own).map(|()| made));
            match made {
                Ok(made) => front = Some(made),
                Err(error) => {
                    close(audio);
                    return Err(error);
                }
            }
        }
        sound.change(audio, front);
        self.call.break_off();
        Ok(())
    }

    /// Takes in a datagram, if there is one, of a socket other than the call's own. Errors of that socket are ignored.
    #[cfg(feature = "manager")]
    pub(crate) fn receive_beside(&mut self, socket: &UdpSocket, channel: Channel) {
        let mut datagram = Datagram::take();
        if let Ok((len, from)) = socket.try_recv_from(&mut datagram.0) {
            self.arrive(channel, from, &mut datagram.0[..len]);
        }
    }

    fn arrive(&mut self, channel: Channel, from: SocketAddr, datagram: &mut [u8]) {
        self.call.receive(self.clock.now(), channel, from, datagram);
        self.tell_signals();
    }

    /// Passes digits and tones on, as far as there is room.
    pub(crate) fn tell_signals(&mut self) {
        while let Some(Ok(place)) = self.digits.as_ref().map(mpsc::Sender::try_reserve) {
            let Some(digit) = self.call.next_digit() else { break };
            place.send(digit);
        }
        while let Some(Ok(place)) = self.tones.as_ref().map(mpsc::Sender::try_reserve) {
            let Some(tone) = self.call.next_tone() else { break };
            place.send(tone);
        }
    }

    fn socket(&self, channel: Channel) -> Option<&UdpSocket> {
        if channel == Channel::Rtp { Some(&self.rtp) } else { self.rtcp.as_ref() }
    }

    /// Takes in a datagram, if one is there.
    ///
    /// # Errors
    /// The error of the socket.
    pub(crate) fn receive(&mut self, channel: Channel) -> io::Result<()> {
        let mut datagram = Datagram::take();
        let Some(received) = self.socket(channel).map(|socket| socket.try_recv_from(&mut datagram.0)) else {
            return Ok(());
        };
        match received {
            Ok((len, from)) => self.arrive(channel, from, &mut datagram.0[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // An ICMP answer to something we sent: the other side may not be there yet.
            Err(error) if unreachable(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Empties the sockets of datagrams of unknown age: sound is discarded and counted, reports are read.
    pub(crate) fn drain(&mut self, missed: Missed) {
        let mut datagram = Datagram::take();
        let buffer = &mut datagram.0[..];
        let mut thrown = 0;
        for channel in [Channel::Rtp, Channel::Rtcp] {
            // An error of a socket is reported by the loop.
            let Some(Ok(socket)) = self.socket(channel).map(at_once) else { continue };
            for _ in 0..STALE_DATAGRAMS {
                match socket.recv_from(buffer) {
                    Ok((len, from)) if DatagramKind::of(&buffer[..len]) == DatagramKind::Rtcp => {
                        self.arrive(channel, from, &mut buffer[..len]);
                    }
                    Ok(_) => thrown += 1,
                    Err(error) if unreachable(&error) => {}
                    Err(_) => break,
                }
            }
        }
        self.call.count(missed, thrown);
    }

    /// Runs a tick. `capture`: whether to capture the sound until now; there is none at the first tick.
    pub(crate) async fn tick(&mut self, samples: usize, capture: bool, sound: &mut AttachedDevice) {
        let now = self.clock.now();
        let gaps = sound.gaps();
        let AttachedDevice { device, front, skipped, .. } = sound;
        front.set_latency(device.latency());
        if front.begin(now, samples, capture).is_err() {
            // There is room for every tick of a call.
            return;
        }
        let mut datagram = Datagram::take();
        while let Some(step) = front.step(&mut self.call, &mut datagram.0) {
            match step {
                Step::Loudspeaker { pcm, .. } => {
                    device.write(pcm);
                    front.underrun(gaps.played as usize);
                }
                Step::Microphone(microphone) => {
                    device.read(microphone.pcm);
                    // Samples that it dropped for this read were lost before it.
                    let late = beyond(skipped, device.gaps());
                    *microphone.lost = microphone.lost.saturating_add(gaps.captured).saturating_add(late.captured);
                    front.underrun(late.played as usize);
                }
                Step::Transmit(transmit) => self.send(transmit, &datagram.0).await,
            }
        }
        drop(datagram);
        self.tell_signals();
        self.call.tell_echo(now, front);
        *skipped = Gaps::default();
        device.recover().await;
    }

    /// Sends all datagrams that are due now.
    pub(crate) async fn drain_call(&mut self) {
        let now = self.clock.now();
        let mut datagram = Datagram::take();
        while let Some(transmit) = self.call.transmit(now, &mut datagram.0) {
            self.send(transmit, &datagram.0).await;
        }
    }

    /// Takes in the data that have come from a TURN server by TCP.
    pub(crate) fn receive_from_server(&mut self, connection: usize) {
        let (now, call) = (self.clock.now(), &mut self.call);
        let over = self.turn.receive(connection, |server, datagram| {
            call.receive(now, Channel::Rtp, server, datagram);
        });
        #[cfg(feature = "ice")]
        if let Some(server) = over {
            call.lose_server(server);
        }
        #[cfg(not(feature = "ice"))]
        let _ = over;
        self.tell_signals();
    }

    /// Releases the allocations of TURN servers, if they answer soon.
    #[cfg(feature = "ice")]
    pub(crate) async fn leave_servers(&mut self) {
        let until = TokioInstant::now() + LEAVING;
        while self.call.is_leaving() && TokioInstant::now() < until {
            tokio::select! {
                _ = self.rtp.readable() => drop(self.receive(Channel::Rtp)),
                connection = self.turn.readable() => self.receive_from_server(connection),
                () = tokio::time::sleep(StdDuration::from_millis(super::TICK_MS.into())) => {}
            }
            self.drain_call().await;
        }
    }

    #[cfg(not(feature = "ice"))]
    pub(crate) async fn leave_servers(&mut self) {}

    async fn send(&mut self, transmit: Transmit, datagram: &[u8]) {
        let bytes = &datagram[..transmit.len];
        if let Some(sent) = self.turn.send(transmit.to, bytes) {
            if !sent {
                self.call.count(Missed::Unsent, 1);
            }
            return;
        }
        let socket = match (transmit.channel, &self.rtcp) {
            (Channel::Rtcp, Some(rtcp)) => rtcp,
            _ => &self.rtp,
        };
        let to = as_sent(socket, transmit.to);
        if let Err(error) = socket.send_to(bytes, to).await {
            self.call.count(Missed::Unsent, 1);
            if self.send_error.is_none() {
                tracing::warn!(%error, "datagram not sent");
                tracing::trace!(to = %transmit.to, "whither it was not sent");
                self.send_error = Some(error);
            }
        }
    }
}

/// Returns whether an error says only that a datagram of ours was undeliverable: Windows calls that a reset.
pub(crate) fn unreachable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// Returns the address as the socket takes it: one of IPv6 sends to IPv4 only under an address that is mapped.
fn as_sent(socket: &UdpSocket, to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) if socket.local_addr().is_ok_and(|own| own.is_ipv6()) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

/// Returns the same socket, to ask the system itself for waiting datagrams: tokio knows them only after its reactor has run.
fn at_once(socket: &UdpSocket) -> io::Result<std::net::UdpSocket> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(socket).try_clone_to_owned()?;
    #[cfg(windows)]
    let own = std::os::windows::io::AsSocket::as_socket(socket).try_clone_to_owned()?;
    Ok(own.into())
}

pub(crate) async fn readable(socket: Option<&UdpSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_thread_share_one_buffer_and_two_that_have_one_at_once_do_not() {
        let place = |datagram: &Datagram| datagram.0.as_ptr();
        let first = Datagram::take();
        let at = place(&first);
        assert_eq!(first.0.len(), DATAGRAM_BYTES);
        assert_ne!(place(&Datagram::take()), at);
        drop(first);
        assert_eq!(place(&Datagram::take()), at);
        assert_eq!(place(&Datagram::take()), at);
    }
}
