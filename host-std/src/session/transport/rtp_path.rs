//! The path that a call's RTP takes: by the checks of ICE where both sides agreed on that, else latching or the user's own.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use dsp_core::time::Instant;

use super::Path;
#[cfg(feature = "ice")]
use super::gather::Gatherer;
#[cfg(feature = "ice")]
use super::ice::IcePath;
use crate::sdp::NegotiatedTransport;

/// One of both kinds of path.
pub(super) enum RtpPath {
    /// Latching, or the user's own.
    Plain(Box<dyn Path>),
    /// ICE.
    #[cfg(feature = "ice")]
    Ice(Box<IcePath>),
}

/// The parts of a path by ICE besides the agreement. It is empty without ICE.
#[derive(Default)]
pub(in crate::session) struct Gathered {
    /// Our candidates, if they are new.
    #[cfg(feature = "ice")]
    pub(in crate::session) gatherer: Option<Gatherer>,
    /// The seed of the random waits between two checks.
    #[cfg(feature = "ice")]
    pub(in crate::session) seed: u32,
}

impl RtpPath {
    /// Creates the path of a new call. `plain` makes one without ICE.
    pub(super) fn new(
        now: Instant,
        agreed: &NegotiatedTransport,
        gathered: &mut Gathered,
        plain: impl FnOnce(SocketAddr) -> Box<dyn Path>,
    ) -> Self {
        #[cfg(feature = "ice")]
        if let (Ok(ice), Some(gatherer)) = (&agreed.ice, gathered.gatherer.take()) {
            return Self::Ice(Box::new(IcePath::new(now, agreed.remote_rtp, ice, gatherer, gathered.seed)));
        }
        #[cfg(not(feature = "ice"))]
        let _ = (now, gathered);
        Self::Plain(plain(agreed.remote_rtp))
    }

    /// Takes the result of a later offer and answer.
    pub(super) fn renew(
        &mut self,
        now: Instant,
        agreed: &NegotiatedTransport,
        gathered: &mut Gathered,
        plain: impl FnOnce(SocketAddr) -> Box<dyn Path>,
    ) {
        #[cfg(feature = "ice")]
        match (&mut *self, &agreed.ice) {
            (Self::Ice(path), Ok(ice)) => {
                if let Some(gatherer) = gathered.gatherer.take() {
                    *path.gatherer() = gatherer;
                }
                path.renew(now, ice);
            }
            (Self::Ice(_), Err(_)) | (Self::Plain(_), Ok(_)) => *self = Self::new(now, agreed, gathered, plain),
            (Self::Plain(_), Err(_)) => {}
        }
        #[cfg(not(feature = "ice"))]
        let _ = (gathered, plain);
        self.renegotiated(now, agreed.remote_rtp);
    }

    /// Prepares a packet of `len` bytes in `buffer` for this address, as it is sent: its length, and its destination. `None`
    /// where it can't be sent.
    pub(super) fn route(
        &mut self,
        now: Instant,
        to: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, SocketAddr)> {
        #[cfg(feature = "ice")]
        if let Self::Ice(path) = self {
            return path.route(now, to, buffer, len);
        }
        let _ = (now, buffer);
        Some((len, to))
    }

    /// Returns the bytes that are added to packets on the way.
    pub(super) fn overhead(&self) -> usize {
        #[cfg(feature = "ice")]
        if let Self::Ice(path) = self {
            return path.overhead();
        }
        0
    }

    /// Returns the path by ICE, if it is one.
    #[cfg(feature = "ice")]
    pub(super) fn ice(&self) -> Option<&IcePath> {
        if let Self::Ice(path) = self { Some(path) } else { None }
    }

    /// The path by ICE, if it is one.
    #[cfg(feature = "ice")]
    pub(super) fn ice_mut(&mut self) -> Option<&mut IcePath> {
        if let Self::Ice(path) = self { Some(path) } else { None }
    }
}

impl Deref for RtpPath {
    type Target = dyn Path;

    fn deref(&self) -> &(dyn Path + 'static) {
        match self {
            Self::Plain(path) => &**path,
            #[cfg(feature = "ice")]
            Self::Ice(path) => &**path,
        }
    }
}

impl DerefMut for RtpPath {
    fn deref_mut(&mut self) -> &mut (dyn Path + 'static) {
        match self {
            Self::Plain(path) => &mut **path,
            #[cfg(feature = "ice")]
            Self::Ice(path) => &mut **path,
        }
    }
}
