//! The creation of sessions: sockets, calls and tasks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(feature = "ice")]
use std::time::Duration as StdDuration;
use std::time::{SystemTime, UNIX_EPOCH};

use dsp_core::time::{Instant, NtpTime};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::dialog::InviteId;
use super::table::{Handle, MediaManager, SessionPlace, lock};
use super::task::Task;
use super::{DialogId, ManagerError, Session};
use crate::session::driver::Running;
use crate::session::{Call, CallConfig, CallError, Identity};
use crate::sockets::Sockets;

/// Requests that wait for one session.
const WAITING: usize = 16;
/// The time that a TURN server may take to accept a connection.
#[cfg(feature = "ice")]
const CONNECTING: StdDuration = StdDuration::from_secs(3);

impl MediaManager {
    /// A session for this INVITE, which has said nothing yet.
    pub(super) async fn open(&self, dialog: &DialogId, template: CallConfig) -> Result<Arc<Handle>, ManagerError> {
        self.has_room(dialog)?;
        let inner = &self.inner;
        let sockets = Sockets::open(&inner.config.sockets, true)?;
        for warning in &sockets.warnings {
            tracing::warn!("{warning}");
        }
        let (rtp, rtcp) = on_tokio(sockets)?;
        let bound = rtp.local_addr().map_err(cannot_bind(inner.config.sockets.address))?;
        #[cfg(feature = "ice")]
        let turn = connections(&template).await;
        let call = Call::new(self.config_of(template.clone(), bound)?)?;
        let session = Session::new(dialog, call, inner.config.watching);
        let running = Running::new(session, rtp, rtcp, inner.clock);
        #[cfg(feature = "ice")]
        let running = running.with_turn(turn);
        let (commands, asked) = mpsc::channel(WAITING);
        let task = Task::new(running, asked, inner.events.clone(), inner.dropped.clone(), template.capture);
        let mut sessions = lock(&inner.sessions);
        self.may_open(&sessions, dialog)?;
        let place = SessionPlace { inner: Arc::downgrade(inner), invite: dialog.invite.clone() };
        let run = async move {
            // Freed with the task, also if that is cut off.
            let _place = place;
            task.run().await;
        };
        let task = inner.runtime.spawn(run).abort_handle();
        let handle = Arc::new(Handle { commands, task });
        if let Entry::Vacant(vacant) = sessions.entry(dialog.invite.clone()) {
            vacant.insert(handle.clone());
        }
        Ok(handle)
    }

    fn has_room(&self, dialog: &DialogId) -> Result<(), ManagerError> {
        self.may_open(&lock(&self.inner.sessions), dialog)
    }

    fn may_open(&self, sessions: &HashMap<InviteId, Arc<Handle>>, dialog: &DialogId) -> Result<(), ManagerError> {
        let most = self.inner.config.most_sessions;
        if self.inner.closing.load(Ordering::Acquire) {
            Err(ManagerError::Closing)
        } else if sessions.contains_key(&dialog.invite) {
            Err(ManagerError::Exists)
        } else if sessions.len() >= most {
            Err(ManagerError::Full { most })
        } else {
            Ok(())
        }
    }

    /// Returns the address that descriptions name for sockets that are bound to `bound`.
    pub(super) fn told(&self, bound: IpAddr) -> IpAddr {
        let own = bound == self.inner.config.sockets.address;
        self.inner.config.address.filter(|_| own).unwrap_or(bound)
    }

    fn config_of(&self, template: CallConfig, bound: SocketAddr) -> Result<CallConfig, CallError> {
        let address = self.told(bound.ip());
        // The call's clock began with the manager's.
        let unix_micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
        let began = unix_micros.saturating_sub(self.inner.clock.now().since(Instant::ZERO).as_micros());
        Ok(CallConfig {
            address,
            bind: Some(bound.ip()).filter(|bound| *bound != address),
            rtp_port: bound.port(),
            rtcp_port: None,
            identity: Identity::random()?,
            wall_clock: NtpTime::from_unix_micros(began),
            ..template
        })
    }
}

pub(super) fn on_tokio(sockets: Sockets) -> Result<(UdpSocket, Option<UdpSocket>), ManagerError> {
    let address = sockets.rtp.local_addr().map_or(IpAddr::from([0; 4]), |own| own.ip());
    let rtp = UdpSocket::from_std(sockets.rtp).map_err(cannot_bind(address))?;
    let rtcp = sockets.rtcp.map(UdpSocket::from_std).transpose().map_err(cannot_bind(address))?;
    Ok((rtp, rtcp))
}

pub(super) fn cannot_bind(address: IpAddr) -> impl FnOnce(std::io::Error) -> ManagerError {
    move |source| crate::sockets::SocketError::Bind { address, port: 0, with_rtcp: true, source }.into()
}

/// Connections to those TURN servers that are reached by TCP; one that can't be reached has none, and its call says so.
#[cfg(feature = "ice")]
async fn connections(config: &CallConfig) -> Vec<crate::session::TurnConnection> {
    let by_tcp = |server: &&crate::session::TurnServer| server.transport == crate::session::TurnTransport::Tcp;
    let mut connections = Vec::new();
    for server in config.ice.turn.iter().filter(by_tcp) {
        let address = server.address;
        let connect = move || crate::session::TurnConnection::connect(address, CONNECTING);
        match tokio::task::spawn_blocking(connect).await {
            Ok(Ok(connection)) => connections.push(connection),
            Ok(Err(error)) => tracing::warn!(%error, %address, "no connection to the TURN server"),
            Err(_) => {}
        }
    }
    connections
}
