//! ICE of a call: looking for candidates before a description, trickling them after it, and restarts.

use std::fmt::Write;
use std::net::SocketAddr;

use dsp_core::time::Instant;

use super::Call;
use crate::sdp::{CandidateLine, IceCandidate, LocalIce, Negotiated};
use crate::session::ice::RelayStats;
use crate::session::outcome::Channel;
use crate::session::outcome::{CallError, Transmit};
use crate::session::transport::{Gathered, Passed, Relays};

/// The most lines of a fragment that are read.
const MAX_FRAGMENT_LINES: usize = 256;

impl Call {
    /// Returns whether servers may still report candidates that an offer or answer should have: ask before one, and until then
    /// pass datagrams through [`receive`](Self::receive) and [`transmit`](Self::transmit). Gathering ends after 2 s at the
    /// latest, or 13 s where only relayed addresses may be disclosed; candidates that come after that can be trickled
    /// ([`next_candidates`](Self::next_candidates)).
    pub fn is_gathering(&self, now: Instant) -> bool {
        let gatherer = self.ice.as_ref().and_then(|ice| ice.gatherer.as_ref());
        gatherer.is_some_and(|gatherer| gatherer.is_worth_waiting(now))
    }

    /// Makes the next offer restart ICE (RFC 8445, 9): other credentials, new checks. Sound continues over the old addresses
    /// until the new checks have found some. Without ICE nothing happens.
    pub fn restart_ice(&mut self) {
        self.remember();
        if let Some(ice) = &mut self.ice {
            ice.restart = true;
        }
    }

    /// Takes candidates of the other side that come one by one (trickle: RFC 8838, RFC 8840): the body of
    /// `application/trickle-ice-sdpfrag`, or the attribute alone. Those of other credentials than the present ones are not
    /// taken. Before the answer to our offer they are kept for it. How many were new.
    pub fn trickle(&mut self, now: Instant, fragment: &str) -> usize {
        let mut ufrag: Option<&str> = None;
        let mut taken = 0;
        for line in fragment.lines().take(MAX_FRAGMENT_LINES).map(str::trim) {
            let line = line.strip_prefix("a=").unwrap_or(line);
            if let Some(name) = line.strip_prefix("ice-ufrag:") {
                ufrag = Some(name.trim());
            } else if let Some(value) = line.strip_prefix("candidate:")
                && let CandidateLine::Usable(candidate) = IceCandidate::parse(value)
            {
                // Browsers say in the line itself whose it is.
                let mut fields = value.split_whitespace().skip_while(|field| *field != "ufrag").skip(1);
                taken += usize::from(self.take_candidate(now, fields.next().or(ufrag), candidate));
            }
        }
        taken
    }

    fn take_candidate(&mut self, now: Instant, ufrag: Option<&str>, candidate: IceCandidate) -> bool {
        if let Some(transport) = &mut self.transport
            && let Ok(agreed) = &transport.agreed().ice
        {
            let current = ufrag.is_none_or(|ufrag| ufrag == agreed.remote.credentials.ufrag);
            if current {
                return transport.add_candidate(now, &candidate);
            }
        }
        // The candidate belongs to an answer that is on its way.
        let waits = self.offered.is_some();
        self.ice.as_mut().is_some_and(|ice| waits && ice.keep_early(ufrag.map(str::to_owned), candidate))
    }

    /// Candidates of ours that came too late for the last description, as the body of `application/trickle-ice-sdpfrag`
    /// (RFC 8840, 9); `None` if there is none. Only for a side whose description has the option `trickle`.
    pub fn next_candidates(&mut self) -> Option<String> {
        let local = self.local.ice.as_ref()?;
        let transport = self.transport.as_mut();
        let gatherer = match self.ice.as_mut()?.gatherer.as_mut() {
            Some(own) => own,
            None => transport?.gatherer()?,
        };
        // Before the first description no candidate can be late.
        self.local.previous.as_ref()?;
        let late: Vec<_> = std::iter::from_fn(|| gatherer.next_untold()).collect();
        if late.is_empty() {
            return None;
        }
        let mid = self.streams.iter().flatten().find_map(|stream| stream.agreed().mid.clone()).unwrap_or("0".into());
        let (ufrag, pwd) = (&local.credentials.ufrag, &local.credentials.pwd);
        let mut body = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n");
        for candidate in late {
            let _ = write!(body, "a=candidate:{}\r\n", candidate.to_attribute());
        }
        if gatherer.is_complete() {
            body.push_str("a=end-of-candidates\r\n");
        }
        Some(body)
    }

    /// Updates our ICE attributes before a description. `offers`: whether it's an offer, which may restart.
    pub(super) fn describe_ice(&mut self, offers: bool) -> Result<(), CallError> {
        let (Some(ice), Some(mut described)) = (&mut self.ice, self.local.ice.take()) else { return Ok(()) };
        let mut transport = self.transport.as_mut();
        let running = transport.as_ref().and_then(|transport| transport.agreed().ice.as_ref().ok());
        let has_path = running.is_some();
        let settled = running.map(|agreed| agreed.local.clone());
        let moved = ice.has_moved(&self.local);
        if moved || (ice.gatherer.is_none() && !has_path) {
            ice.gather(&self.identity, &self.local)?;
        }
        if offers && (ice.restart || (moved && has_path)) {
            // Elsewhere is a restart (RFC 8839, 4.4.1.1.1).
            ice.restart = true;
            described.credentials = ice.draw(&self.identity)?;
        } else if let Some(settled) = settled {
            described.credentials = settled;
        }
        let selected = transport.as_ref().and_then(|transport| transport.selected_by_us());
        described.selected = selected.filter(|_| offers && !ice.restart);
        let gatherer = match &mut ice.gatherer {
            Some(own) => Some(own),
            None => transport.as_mut().and_then(|transport| transport.gatherer()),
        };
        if let Some(gatherer) = gatherer {
            described.complete = gatherer.is_complete();
            described.candidates = gatherer.candidates();
        }
        self.local.ice = Some(described);
        Ok(())
    }

    /// Returns whether an offer restarts ICE, so that its answer needs credentials of ours that are new too: they are drawn then.
    pub(super) fn follows_restart(&mut self, negotiated: &Negotiated) -> Result<bool, CallError> {
        let (Some(ice), Some(transport), Ok(new)) = (&mut self.ice, &self.transport, &negotiated.transport.ice) else {
            return Ok(false);
        };
        let Ok(old) = &transport.agreed().ice else { return Ok(false) };
        if old.remote.credentials == new.remote.credentials {
            return Ok(false);
        }
        let credentials = ice.draw(&self.identity)?;
        if let Some(LocalIce { credentials: place, .. }) = &mut self.local.ice {
            *place = credentials;
        }
        Ok(true)
    }

    /// Returns the parts of a path by ICE, if one was agreed on.
    pub(super) fn gathered(&mut self, negotiated: bool) -> Gathered {
        let seed = self.identity.seed;
        self.ice.as_mut().filter(|_| negotiated).map(|ice| ice.gathered(seed)).unwrap_or_default()
    }

    /// Candidates that came before the answer.
    pub(super) fn take_early_candidates(&mut self, now: Instant) {
        let early = self.ice.as_mut().map(|ice| std::mem::take(&mut ice.early)).unwrap_or_default();
        for (ufrag, candidate) in early {
            self.take_candidate(now, ufrag.as_deref(), candidate);
        }
    }

    /// Returns the next query to a server for our candidates.
    pub(super) fn next_query(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let from = self.here().rtp;
        let gatherer = self.ice.as_mut()?.gatherer.as_mut()?;
        let next = gatherer.transmit(now, buffer);
        gatherer.take_news();
        let (len, to) = next?;
        Some(Transmit { len, from, to, channel: Channel::Rtp })
    }

    /// Returns whether a datagram was a server's answer to such a query.
    pub(super) fn take_query_answer(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let gatherer = self.ice.as_mut().and_then(|ice| ice.gatherer.as_mut());
        gatherer.is_some_and(|gatherer| {
            // Before a call is agreed on no peer has a permission.
            let handled =
                gatherer.take(from, datagram) || gatherer.relays_mut().take(now, from, datagram) == Passed::Handled;
            gatherer.take_news();
            handled
        })
    }

    /// Unwraps a datagram that came through one of our relayed addresses.
    pub(super) fn decapsulate(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) -> Passed {
        match &mut self.transport {
            Some(transport) if channel == Channel::Rtp => transport.decapsulate(now, from, datagram),
            _ => Passed::Not,
        }
    }

    /// Numbers of the TURN servers, in the order of [`IceConfig::turn`](crate::session::IceConfig::turn).
    pub fn relays(&self) -> Vec<RelayStats> {
        let looking = self.ice.as_ref().and_then(|ice| ice.gatherer.as_ref()).map(|gatherer| gatherer.relays());
        looking.or_else(|| self.transport.as_ref()?.relays()).map(Relays::stats).unwrap_or_default()
    }

    /// Returns, after [`hang_up`](Self::hang_up), whether a TURN server has not confirmed yet that the allocation is released.
    /// While it is true, and not for longer than is convenient, continue with [`receive`](Self::receive) and
    /// [`transmit`](Self::transmit): otherwise the server keeps the address until its lifetime is over.
    pub fn is_leaving(&self) -> bool {
        let looking = self.ice.as_ref().and_then(|ice| ice.gatherer.as_ref()).map(|gatherer| gatherer.relays());
        let running = self.transport.as_ref().and_then(|transport| transport.relays());
        looking.into_iter().chain(running).any(Relays::is_leaving)
    }

    /// The connection to a TURN server is over, and its relayed address with it: for a driver, once it's so.
    pub fn lose_server(&mut self, server: SocketAddr) {
        let looking = self.ice.as_mut().and_then(|ice| ice.gatherer.as_mut());
        let running = self.transport.as_mut().and_then(|transport| transport.gatherer());
        looking.into_iter().chain(running).for_each(|gatherer| gatherer.relays_mut().lose(server));
    }

    /// Releases the allocations that a TURN server made before the call was agreed on.
    pub(super) fn leave_servers(&mut self) {
        if let Some(gatherer) = self.ice.as_mut().and_then(|ice| ice.gatherer.as_mut()) {
            gatherer.relays_mut().leave();
        }
    }
}
