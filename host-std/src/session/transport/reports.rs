//! RTCP of one stream: when its reports leave and what is in them (RFC 3550, 6; RFC 3611).

use dsp_core::quality::ReceptionStats;
use dsp_core::rtcp::{Cname, PeerReport, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::rtcp::{Compound, VoipMetrics, WriteError};

use crate::session::config::Identity;
use crate::session::outcome::CallError;
use crate::session::stream::MAX_SOURCES;

/// What a stream has to report.
pub(in crate::session) struct Account {
    /// What is received of each source; the first so many count.
    pub(in crate::session) reception: ([ReceptionStats; MAX_SOURCES], usize),
    /// What was sent.
    pub(in crate::session) sent: SendInfo,
    /// How the other side is heard, if it wants to be told.
    pub(in crate::session) voip: Option<VoipMetrics>,
}

/// The reports of one stream.
pub(in crate::session) struct Report {
    reporter: Box<RtcpReporter<MAX_SOURCES>>,
    /// The goodbye is what leaves next.
    leaving: bool,
}

impl Report {
    /// With the name and the seed of `identity`, as the source `ssrc`. `index`: of the stream, so that not all of a call
    /// report at once.
    ///
    /// # Errors
    /// [`CallError::Rtcp`] for an unusable canonical name.
    pub(in crate::session) fn new(
        now: Instant,
        index: usize,
        identity: &Identity,
        ssrc: Ssrc,
    ) -> Result<Self, CallError> {
        let config = ReporterConfig {
            ssrc,
            cname: Cname::new(&identity.cname),
            seed: identity.seed.wrapping_add((index as u32).wrapping_mul(0x9e37_79b9)),
            ..ReporterConfig::default()
        };
        let reporter = RtcpReporter::new(config, now).map_err(|_| CallError::Rtcp)?;
        Ok(Self { reporter: Box::new(reporter), leaving: false })
    }

    /// Round-trip time of the last report that told it.
    pub(in crate::session) fn round_trip(&self) -> Option<Duration> {
        self.reporter.round_trip()
    }

    /// How the other side hears us, as it last said.
    pub(in crate::session) fn peer_voip(&self) -> Option<VoipMetrics> {
        self.reporter.peer_voip()
    }

    pub(super) fn take_in(&mut self, now: Instant, compound: &Compound<'_>) -> PeerReport {
        self.reporter.receive_compound(now, compound)
    }

    pub(super) fn change_source(&mut self, now: Instant, ssrc: Ssrc, packets: u32) {
        self.reporter.change_source(now, ssrc, packets);
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Goes on as another source before the goodbye of this one has left.
    pub(super) fn replaced_by(mut self, now: Instant, next: Self, packets: u32) -> Self {
        self.leaving = false;
        self.reporter.change_source(now, next.reporter.ssrc(), packets);
        self
    }

    /// When something is due; the end of time after a goodbye.
    pub(super) fn next_deadline(&self) -> Instant {
        if self.leaving { Instant::ZERO } else { self.reporter.next_deadline() }
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        account: &Account,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        let (reception, sources) = &account.reception;
        self.reporter.set_voip(account.voip);
        if std::mem::take(&mut self.leaving) {
            return self.reporter.bye(now, &reception[..*sources], Some(&account.sent), None, buffer);
        }
        self.reporter.poll(now, &reception[..*sources], Some(&account.sent), buffer)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.reporter)
    }
}
