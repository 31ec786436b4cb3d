//! An offer of ours that is on its way: said again, taken back, answered by several.
//!
//! All settings and descriptions of a call are in one place (`LocalMedia`). Before the first change after an agreement a copy of
//! it is kept; an agreement drops the copy, and [`Call::withdraw`] returns to it. The running state (streams, keys and addresses)
//! is only ever changed by an agreement, so that there is nothing else to take back.

use std::net::{IpAddr, SocketAddr};

use super::Call;
use crate::sdp::{Direction, LocalMedia};
use crate::session::Identity;
use crate::session::outcome::CallError;
#[cfg(all(feature = "ice", feature = "manager"))]
use crate::session::transport::stun_attribute;

/// The settings and descriptions of a call when it was agreed on last.
pub(super) struct Before {
    local: LocalMedia,
    /// The address and port for which our keys were made.
    keys: (IpAddr, u16),
    /// Our candidates, and whether they were to be gathered again.
    #[cfg(feature = "ice")]
    ice: Option<((IpAddr, u16), bool)>,
}

impl Call {
    /// Returns a copy of the call's present settings and descriptions.
    pub(super) fn present(&self) -> Box<Before> {
        Box::new(Before {
            local: self.local.clone(),
            keys: self.keys.place(),
            #[cfg(feature = "ice")]
            ice: self.ice.as_ref().map(|ice| (ice.place(), ice.restart)),
        })
    }

    /// Returns to the earlier settings and descriptions. A version number that was sent is not used again for another
    /// description.
    pub(super) fn return_to(&mut self, before: Before) {
        let said = self.local.previous.as_deref().and_then(crate::sdp::version);
        let Before { local, keys, .. } = before;
        self.streams.truncate(local.streams.len());
        if self.settings.metering {
            self.meters.truncate(local.streams.len());
        }
        self.local = local;
        if let Some(said) = said {
            let least = &mut self.local.session.version;
            *least = said.saturating_add(1).max(*least);
        }
        self.keys.set_place(keys);
        #[cfg(feature = "ice")]
        if let (Some(ice), Some((place, restart))) = (&mut self.ice, before.ice) {
            ice.return_to(place, restart, self.transport.is_some());
        }
    }

    /// Keeps a copy of the agreement, before the first change since.
    pub(super) fn remember(&mut self) {
        if self.transport.is_some() && self.before.is_none() {
            self.before = Some(self.present());
        }
    }

    /// Returns whether an offer of ours waits for its answer.
    pub fn is_offering(&self) -> bool {
        self.offered.is_some()
    }

    /// The direction that we want for the stream with this number, whatever the other side allows; `None` if there is none.
    pub fn wanted_direction(&self, stream: usize) -> Option<Direction> {
        self.local.streams.get(stream).map(|stream| stream.direction)
    }

    /// Takes back our offer, which the other side refused (488, 491) or never answered, and with it everything that was set since
    /// both sides last agreed: direction, codecs, streams, address, keys. Sound continues unchanged, since only an answer changes
    /// it, and the next description repeats the agreement. Before the first agreement only the offer itself is taken back.
    /// Returns whether there was anything to take back.
    ///
    /// ```
    /// # use dsp_core::time::Instant;
    /// # use host_std::session::{Call, CallConfig};
    /// # let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
    /// # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
    /// # anna.accept(Instant::ZERO, &answer)?;
    /// use host_std::sdp::Direction;
    ///
    /// // In a running call an offer to hold is refused with 488: the call goes on as it was.
    /// anna.set_direction(Direction::SendOnly);
    /// anna.offer()?;
    /// assert!(anna.withdraw());
    /// assert_eq!(anna.wanted_direction(0), Some(Direction::SendRecv));
    /// assert!(!anna.is_offering());
    /// # Ok::<(), host_std::session::CallError>(())
    /// ```
    pub fn withdraw(&mut self) -> bool {
        let offered = self.offered.take().is_some();
        let before = self.before.take();
        let changed = before.is_some();
        if let Some(before) = before {
            self.return_to(*before);
        }
        offered || changed
    }

    /// Returns the description that we sent last, word for word, as the offer of a session refresh (RFC 4028, 7.4).
    /// [Accept](Self::accept) its answer as any other; if that repeats the other side's last description, nothing changes in the
    /// running call. An [`offer`](Self::offer) would name all of our codecs again, even to a side whose offer we answered.
    ///
    /// # Errors
    /// [`CallError::NoOffer`] before the call is agreed on.
    pub fn refresh(&mut self) -> Result<String, CallError> {
        if self.transport.is_none() {
            return Err(CallError::NoOffer);
        }
        let said = match (&self.before, &self.local.previous) {
            (Some(before), _) => before.local.previous.clone(),
            (None, said) => said.clone(),
        };
        let said = said.ok_or(CallError::NoOffer)?;
        self.remember();
        self.offered = Some(said.clone());
        Ok(said)
    }

    /// Makes the first offer wait for an answer again, although it has had one: some networks answer it in a 183, and once more
    /// with another description in the 200, which RFC 6337, 3.1.1 forbids. Call this only while nothing else was offered or
    /// answered since.
    ///
    /// # Errors
    /// [`CallError::NoOffer`] if the call has made no offer.
    pub fn expect_another_answer(&mut self) -> Result<(), CallError> {
        let offer = self.offered.take().or_else(|| self.local.previous.clone()).ok_or(CallError::NoOffer)?;
        self.offered = Some(offer);
        Ok(())
    }

    /// Makes a second call with the same first offer, for one more answer to it: a SIP request may reach several phones, each of
    /// which answers for itself (forking: RFC 3261, 13.2.2.4). The calls share the content of the offer: our address and port,
    /// our key, our certificate and our ICE credentials. Each is another source, since the packets of one source under one key
    /// must be one stream (RFC 4568, 9.2; RFC 3711, 9.1).
    ///
    /// The calls share sockets, so you must decide to which of them a datagram belongs; a [`Session`](crate::manager::Session)
    /// does. Relayed addresses (TURN) stay with the first call, since a server knows one user for each port. Candidates that
    /// servers have reported so far are those of both.
    ///
    /// # Errors
    /// [`CallError::NoOffer`] unless a first offer waits for its answer, [`CallError::Randomness`] when the operating system has
    /// no randomness to give.
    pub fn fork(&mut self) -> Result<Self, CallError> {
        let offered = self.offered.clone().filter(|_| self.transport.is_none()).ok_or(CallError::NoOffer)?;
        let source = loop {
            let source = self.spare.draw();
            if source.ssrc != self.identity.ssrc {
                break source;
            }
        };
        let identity = Identity {
            ssrc: source.ssrc,
            first_seq: source.seq,
            first_timestamp: source.timestamp,
            seed: self.spare.draw().ssrc.0,
            ..self.identity.clone()
        };
        let count = self.streams.len();
        let mut fork = Self {
            transport: None,
            streams: (0..count).map(|_| None).collect(),
            tap: None,
            stats: super::CallStats::default(),
            network: super::CongestionControl::new(self.settings.adaptation, self.settings.circuit_breaker),
            meters: if self.settings.metering { (0..count).map(|_| Default::default()).collect() } else { Vec::new() },
            #[cfg(feature = "record")]
            announcement: None,
            local: self.local.clone(),
            settings: self.settings.clone(),
            keys: self.keys.clone(),
            #[cfg(feature = "ice")]
            ice: self.ice.as_ref().map(|ice| Box::new(ice.fork())),
            offered: Some(offered),
            before: None,
            refused: Vec::new(),
            spare: identity.spare()?,
            identity,
            digits: super::BoundedQueue::new(super::digits::WAITING),
            tones: super::BoundedQueue::new(self.tones.places()),
        };
        fork.local.previous.clone_from(&self.local.previous);
        Ok(fork)
    }

    /// Returns whether a datagram is a connectivity check of this call's other side: both user names are in it (RFC 8445, 7.2.2).
    #[cfg(all(feature = "ice", feature = "manager"))]
    pub(crate) fn is_checked_by(&self, datagram: &[u8]) -> bool {
        const USERNAME: u16 = 6;
        let agreed = self.transport.as_ref().and_then(|transport| transport.agreed().ice.as_ref().ok());
        agreed.zip(stun_attribute(datagram, USERNAME)).is_some_and(|(agreed, user)| {
            let (ours, theirs) = (agreed.local.ufrag.as_bytes(), agreed.remote.credentials.ufrag.as_bytes());
            user.strip_prefix(ours).and_then(|rest| rest.strip_prefix(b":")) == Some(theirs)
        })
    }

    /// Returns whether packets may take relayed addresses alone, and those are another call's ([`fork`](Self::fork)).
    #[cfg(all(feature = "ice", feature = "manager"))]
    pub(crate) fn has_no_candidates(&self) -> bool {
        let gatherer = self.ice.as_ref().and_then(|ice| ice.gatherer.as_ref());
        gatherer.is_some_and(|gatherer| gatherer.is_relay_only() && gatherer.hears_nowhere())
    }

    /// Returns the address at which we receive RTP, as descriptions state it from now on.
    pub fn receives_at(&self) -> SocketAddr {
        SocketAddr::new(self.local.address, self.local.rtp_port)
    }
}
