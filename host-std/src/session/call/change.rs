//! The effect of offer and answer on a call: everything that can fail first, then all of it at once.

use dsp_core::guard::srtp::KeyAge;
use dsp_core::time::{Instant, Seq};

use super::Call;
use crate::sdp::{self, Negotiated};
use crate::session::Identity;
use crate::session::identity::InitialRtpState;
use crate::session::outcome::CallError;
use crate::session::stream::{Stream, StreamChange, StreamSetup};
#[cfg(not(feature = "ice"))]
use crate::session::transport::Gathered;
use crate::session::transport::{CallTransport, Here, Report};

/// The change of one stream.
enum Next {
    /// It is new, or opened again.
    New(Box<Stream>, Report),
    /// The stream continues with changes.
    Changed(Box<StreamChange>),
    /// The stream continues unchanged.
    Same,
    /// It is not there any more.
    Gone,
}

impl Call {
    /// Writes our offer, the first one or a new one in a running call. Give it to the other side and its answer to
    /// [`accept`](Self::accept); if the other side refuses, [`withdraw`](Self::withdraw).
    ///
    /// # Errors
    /// [`CallError::Sdp`] if the settings can't be offered, [`CallError::Randomness`] when the operating system has no randomness
    /// for fresh SRTP keys. The call is then as before.
    pub fn offer(&mut self) -> Result<String, CallError> {
        self.remember();
        let before = self.present();
        let offer = self.make_offer();
        if offer.is_err() {
            self.return_to(*before);
        }
        offer
    }

    fn make_offer(&mut self) -> Result<String, CallError> {
        self.follow_keys()?;
        #[cfg(feature = "ice")]
        self.describe_ice(true)?;
        let offer = sdp::offer(&self.local)?;
        if self.transport.is_some() {
            // The other side may send the offered formats before its answer is here.
            for (index, offered) in sdp::offered(&offer)?.into_iter().enumerate() {
                if let Some(Some(mut stream)) = self.streams.get_mut(index).map(Option::take) {
                    let expected = stream.expect(&self.setup(index), &offered);
                    self.streams[index] = Some(stream);
                    expected?;
                }
            }
        }
        self.offered = Some(offer.clone());
        self.local.previous = Some(offer.clone());
        Ok(offer)
    }

    /// Takes the answer to our offer. From now on there is sound.
    ///
    /// # Errors
    /// [`CallError::NoOffer`] if no offer of ours waits for an answer, [`CallError::Sdp`] if the answer can't be used,
    /// [`CallError::Keys`] if its SRTP keys can't, and other errors if a codec or the sound can't be made. A running call
    /// continues unchanged.
    pub fn accept(&mut self, now: Instant, answer: &str) -> Result<(), CallError> {
        let offer = self.offered.as_ref().ok_or(CallError::NoOffer)?;
        let negotiated = sdp::accept(&self.local, offer, answer)?;
        self.apply(now, negotiated)?;
        #[cfg(feature = "ice")]
        if let Some(ice) = &mut self.ice {
            ice.restart = false;
        }
        #[cfg(feature = "ice")]
        self.take_early_candidates(now);
        (self.offered, self.before) = (None, None);
        Ok(())
    }

    /// Takes an offer of the other side and returns our answer. From now on there is sound. An offer that comes once more without
    /// a change (a session refresh, RFC 4028) gets the same answer again, and changes nothing.
    ///
    /// # Errors
    /// [`CallError::Sdp`] if the offer can't be used, [`CallError::Keys`] if its SRTP keys can't, and other errors if a codec or
    /// the sound can't be made. A running call continues unchanged.
    pub fn answer(&mut self, now: Instant, offer: &str) -> Result<String, CallError> {
        let before = self.present();
        let answer = self.make_answer(now, offer);
        if answer.is_err() {
            self.return_to(*before);
        }
        answer
    }

    fn make_answer(&mut self, now: Instant, offer: &str) -> Result<String, CallError> {
        self.follow_keys()?;
        #[cfg(feature = "ice")]
        self.describe_ice(false)?;
        let (answer, negotiated) = sdp::answer(&self.local, offer)?;
        #[cfg(feature = "ice")]
        let (answer, negotiated) = match self.follows_restart(&negotiated)? {
            true => sdp::answer(&self.local, offer)?,
            false => (answer, negotiated),
        };
        self.apply(now, negotiated)?;
        self.local.previous = Some(answer.clone());
        (self.offered, self.before) = (None, None);
        Ok(answer)
    }

    /// Another address or port of ours in a running call needs other keys (RFC 4568, 7.1.4).
    fn follow_keys(&mut self) -> Result<(), CallError> {
        let Some(transport) = &self.transport else { return Ok(()) };
        self.keys.follow(&mut self.local, transport.key_age() != KeyAge::Fresh)
    }

    /// Builds the transport and the streams of a new call, or changes those of a running one.
    fn apply(&mut self, now: Instant, negotiated: Negotiated) -> Result<(), CallError> {
        let Negotiated { transport: agreed, streams, refused } = negotiated;
        let here = self.here();
        let mut next = Vec::new();
        for (index, agreed) in streams.into_iter().enumerate() {
            let running = self.streams[index].as_ref().filter(|stream| !stream.is_closed());
            next.push(match (agreed, running) {
                (None, _) => Next::Gone,
                // The stream was agreed on again without a change: nothing that runs is replaced.
                (Some(agreed), Some(stream)) if *stream.agreed() == agreed => Next::Same,
                (Some(agreed), Some(stream)) => Next::Changed(Box::new(stream.prepare(&self.setup(index), agreed)?)),
                (Some(agreed), None) => {
                    // The first stream of a call is the source that its identity names.
                    let first = index == 0 && self.streams[0].is_none();
                    let source = if first { self.identity.source() } else { self.draw_source() };
                    let report = Report::new(now, index, &self.identity, source.ssrc, self.settings.sources)?;
                    Next::New(Box::new(Stream::new(&self.setup(index), agreed, source)?), report)
                }
            });
        }
        let old = match &self.transport {
            Some(transport) => {
                transport.check(&agreed).map_err(CallError::Keys)?;
                transport.agreed().srtp.clone()
            }
            None => None,
        };
        let successors = self.keys.successors(&self.local, old.as_ref(), agreed.srtp.as_ref())?;
        #[cfg(feature = "ice")]
        let gathered = self.gathered(agreed.ice.is_ok());
        #[cfg(not(feature = "ice"))]
        let gathered = Gathered::default();
        match &mut self.transport {
            Some(transport) => {
                transport.renew(now, agreed, here, &self.settings, gathered).map_err(CallError::Keys)?;
            }
            None => self.transport = Some(CallTransport::new(now, agreed, here, &self.settings, gathered)),
        }
        successors.put(&mut self.local);
        if let Some(network) = &mut self.network {
            network.agreed();
            self.stats.remote_maximum_bps = None;
        }
        self.refused = refused;
        if let Some(transport) = &self.transport {
            self.local.bundle.clone_from(&transport.agreed().bundle);
            if let Some(dtls) = &mut self.local.dtls {
                dtls.active = transport.agreed().dtls.as_ref().map(|agreed| agreed.active);
            }
        }
        for (index, next) in next.into_iter().enumerate() {
            self.put(now, index, next);
        }
        Ok(())
    }

    fn put(&mut self, now: Instant, index: usize, next: Next) {
        match (next, &mut self.streams[index]) {
            (Next::Changed(change), Some(stream)) => {
                let other_clock = change.other_clock;
                stream.change(*change);
                let feedback = stream.agreed().feedback;
                if let Some(transport) = &mut self.transport {
                    transport.agree_feedback(index, &feedback, Seq(self.identity.seed as u16));
                }
                if other_clock {
                    let source = self.draw_source();
                    self.begin_as(now, index, source);
                }
            }
            (Next::Same, Some(stream)) => stream.goes_on(),
            (Next::New(mut stream, report), place) => {
                let mut packets_before = 0;
                let feedback = stream.agreed().feedback;
                if let Some(before) = place {
                    stream.set_earlier(before.ended(stream.sound().rate_hz));
                    packets_before = before.own().1;
                }
                *place = Some(*stream);
                if let Some(transport) = &mut self.transport {
                    transport.add_report(now, index, report, packets_before);
                    transport.agree_feedback(index, &feedback, Seq(self.identity.seed as u16));
                }
            }
            (Next::Gone, Some(stream)) => {
                if stream.close() {
                    self.leave(index);
                }
            }
            (Next::Gone | Next::Same | Next::Changed(_), None) => {}
        }
    }

    /// Returns the setup of the stream with this number.
    fn setup(&self, stream: usize) -> StreamSetup<'_> {
        let redundancy = self.local.streams.get(stream).map_or(0, |local| local.redundancy);
        StreamSetup { registry: &self.local.registry, settings: &self.settings, redundancy }
    }

    /// Makes the goodbye of this stream the next thing to be sent.
    pub(super) fn leave(&mut self, index: usize) {
        if let Some(transport) = &mut self.transport {
            transport.leave(index);
        }
    }

    pub(super) fn here(&self) -> Here {
        let (address, port) = (self.local.address, self.local.rtp_port);
        let bound = self.settings.bind.unwrap_or(address);
        let rtcp_port = self.local.rtcp_port.unwrap_or(port.wrapping_add(1));
        Here { named: (address, port), rtp: (bound, port).into(), rtcp: (bound, rtcp_port).into() }
    }

    /// Continues as another source (SSRC) in the first stream, for example when a stream is handed over. Sequence numbers and
    /// timestamps start with those of `identity`, and a goodbye for the source before is sent next. After a collision of SSRCs
    /// (RFC 3550, 8.2) the call does this by itself, with random numbers.
    ///
    /// # Errors
    /// [`CallError::SourceTaken`] if the other side or another stream of ours has that SSRC; [`CallError::SourceReturns`] if the
    /// source has already sent under the SRTP key in use, since its packets would be encrypted with the same keystream again
    /// (RFC 3711, 9.1). Nothing changes then.
    pub fn change_source(&mut self, now: Instant, identity: &Identity) -> Result<(), CallError> {
        let others = self.streams.iter().skip(1).flatten();
        let is_other = others.map(|stream| stream.own().0).any(|own| own == identity.ssrc);
        if is_other || self.streams.iter().flatten().any(|stream| stream.hears(identity.ssrc)) {
            return Err(CallError::SourceTaken(identity.ssrc));
        }
        if self.transport.as_ref().is_some_and(|transport| transport.has_sent(identity.ssrc)) {
            return Err(CallError::SourceReturns(identity.ssrc));
        }
        let Identity { ssrc, first_seq, first_timestamp, seed, .. } = *identity;
        self.identity = Identity { ssrc, first_seq, first_timestamp, seed, ..self.identity.clone() };
        self.begin_as(now, 0, identity.source());
        Ok(())
    }

    /// Sends as this source from now on.
    pub(super) fn begin_as(&mut self, now: Instant, index: usize, source: InitialRtpState) {
        let (Some(transport), Some(Some(stream))) = (&mut self.transport, self.streams.get_mut(index)) else { return };
        let (_, packets) = stream.own();
        stream.change_source(now, source);
        transport.change_source(now, index, source.ssrc, packets);
    }

    /// Draws a source that no other participant uses, and that has sent nothing under the key in use.
    pub(super) fn draw_source(&mut self) -> InitialRtpState {
        loop {
            let source = self.spare.draw();
            let is_ours = |stream: &Stream| stream.own().0 == source.ssrc || stream.hears(source.ssrc);
            let has_sent = self.transport.as_ref().is_some_and(|transport| transport.has_sent(source.ssrc));
            if !has_sent && !self.streams.iter().flatten().any(is_ours) {
                return source;
            }
        }
    }
}
