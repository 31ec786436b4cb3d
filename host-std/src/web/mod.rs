//! Calls of browsers: an endpoint that they call by HTTP (WHIP, RFC 9725), and a page that does. Cargo feature `web`.
//!
//! A browser sends its offer and gets our answer; sound goes over DTLS-SRTP between addresses that ICE finds. Each call
//! is a [`Call`](crate::session::Call) with a [`Driver`](crate::session::driver::Driver) of its own, and a [`SoundEnd`]
//! says what it talks to: an [`Echo`], a [`Recording`], the sound card ([`Card`]), everybody else
//! ([`RoomEnd`]), or what you write. WHIP is for one way; here sound goes both ways, and a later offer (hold) is a
//! `PATCH` with `application/sdp`. Lines for video and data are refused, and the call goes on without them.
//!
//! In a router of your own:
//!
//! ```no_run
//! use host_std::web::{Echo, Web, WebConfig};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let web = Web::new(WebConfig::default(), Echo);
//! let app = axum::Router::new().nest("/calls", web.endpoint()).merge(web.page("/calls"));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`serve`] does the same with bounds on connections and headers, and with TLS: a browser gives its microphone to pages of
//! this machine, and of others only over TLS.
//!
//! | bound | what happens beyond it |
//! |---|---|
//! | [`max_calls`](WebConfig::max_calls) | 503 with `Retry-After`, before a byte of the body is read |
//! | [`max_unconnected`](WebConfig::max_unconnected) | 429 with `Retry-After`, likewise |
//! | [`body_bytes`](WebConfig::body_bytes), [`body_time`](WebConfig::body_time) | 413, 408 |
//! | [`call_time`](WebConfig::call_time), [`setup_time`](WebConfig::setup_time) | the call ends, and says why |
//! | [`kept_time`](WebConfig::kept_time), [`kept_bytes`](WebConfig::kept_bytes) | what is left of a call is forgotten |
//!
//! For its report a call that runs keeps its first ten minutes: some 20 KB a second, 16 MB at most.
//!
//! Who may call: whoever has the [`token`](WebConfig::token), from pages of this site and of
//! [`origins`](WebConfig::origins). A call's URL has 128 random bits, so nobody asks for another's. What is refused is
//! told in words (RFC 9457) and counted ([`Web::stats`]). Who may see how all calls go: [`DashboardAccess`].

mod access;
mod dashboard;
mod ends;
mod fragment;
mod kept;
mod page;
mod patience;
mod problem;
mod rooms;
mod running;
mod serve;
mod table;
mod told;
mod whip;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::monitoring::Monitor;
use crate::session::AdaptationConfig;
use crate::sockets::Ports;

pub use dashboard::{Dashboard, DashboardAccess};
#[cfg(feature = "device")]
pub use ends::Card;
pub use ends::{Caller, Echo, EndError, Follow, Opened, People, Recording, SoundEnd};
pub use rooms::{Person, RoomEnd};
pub use serve::{ServeConfig, serve};
#[cfg(feature = "web-tls")]
pub use serve::{Tls, TlsError};
#[doc(hidden)]
pub use whip::fuzz_texts;

/// Reports that are made at once; who asks for more of them waits.
const REPORTS: usize = 2;

/// How calls are taken.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where calls' packets come in. `0.0.0.0` or `::`: at the address on the way to whoever asks, which needs axum's
    /// `ConnectInfo<SocketAddr>` ([`serve`] has it).
    pub address: IpAddr,
    /// Their ports.
    pub ports: Ports,
    /// What whoever calls must have, as `Authorization: Bearer TOKEN`.
    pub token: Option<String>,
    /// Sites, as `https://example.com`, whose pages may call besides those of this one.
    pub origins: Vec<String>,
    /// Names that we may be asked for by, besides addresses and `localhost`; `None`: any. With any, a site that lets
    /// its name point to this machine is the same site to a browser.
    pub names: Option<Vec<String>>,
    /// Calls at once.
    pub max_calls: usize,
    /// Calls of one address at once that no packet of the browser has come of yet; of IPv6 a network of 64 bits counts as
    /// one. It needs axum's `ConnectInfo<SocketAddr>`, as [`serve`] has it; behind a proxy all calls are of its address.
    pub max_unconnected: usize,
    /// How long a call may take.
    pub call_time: Duration,
    /// How long it may take until the first packet of the browser.
    pub setup_time: Duration,
    /// Bytes of a description.
    pub body_bytes: usize,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long numbers and report of a call are kept after it, of 32 calls at most.
    pub kept_time: Duration,
    /// Bytes that these take together: what ended longest ago goes first.
    pub kept_bytes: usize,
    /// Servers by which both sides learn how they are seen from outside (STUN).
    pub stun: Vec<SocketAddr>,
    /// What is sent follows the network that the browser's feedback shows, with at most one payload repeated in a packet; `None`: bit
    /// rate and packet length stay.
    pub adaptation: Option<AdaptationConfig>,
}

impl Default for WebConfig {
    /// On 127.0.0.1, without a token, for pages of the same site, asked for by address or as `localhost`: 64 calls of an hour, of which
    /// one address may begin 32 at once.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: Ports::Any,
            token: None,
            origins: Vec::new(),
            names: Some(Vec::new()),
            max_calls: 64,
            max_unconnected: 32,
            call_time: Duration::from_secs(3_600),
            setup_time: Duration::from_secs(20),
            body_bytes: 64 * 1_024,
            body_time: Duration::from_secs(10),
            kept_time: Duration::from_secs(600),
            kept_bytes: 128 << 20,
            stun: Vec::new(),
            adaptation: None,
        }
    }
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebStats {
    /// Calls that run now.
    pub running: usize,
    /// Calls that began.
    pub begun: u32,
    /// Calls that ended and of which numbers and report are kept.
    pub kept: usize,
    /// Requests that were refused, by why.
    pub refused: Vec<(&'static str, u32)>,
}

/// A server of browsers' calls. Clones are the same one.
#[derive(Clone)]
pub struct Web {
    shared: Arc<Shared>,
}

struct Shared {
    config: WebConfig,
    end: Arc<dyn SoundEnd>,
    table: table::Table,
    /// Reports that may be made at once: each takes tens of megabytes meanwhile.
    reports: tokio::sync::Semaphore,
    monitor: Monitor,
    #[cfg(feature = "metrics")]
    has_metrics: std::sync::atomic::AtomicBool,
}

impl Web {
    /// Calls as `config` has them, each to an end of `end`.
    pub fn new(config: WebConfig, end: impl SoundEnd + 'static) -> Self {
        Self::shared(config, Arc::new(end))
    }

    /// The same with an end that somebody else has too.
    pub fn shared(config: WebConfig, end: Arc<dyn SoundEnd>) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                end,
                table: table::Table::default(),
                reports: tokio::sync::Semaphore::new(REPORTS),
                monitor: Monitor::new(),
                #[cfg(feature = "metrics")]
                has_metrics: false.into(),
            }),
        }
    }

    /// The endpoint, to be nested where you like. It has neither timeouts nor bounds on connections: whoever listens
    /// has them.
    pub fn endpoint(&self) -> Router {
        whip::router(self.shared.clone())
    }

    /// The page at `/`, which calls the endpoint at this path.
    pub fn page(&self, endpoint: &str) -> Router {
        page::router(&self.shared, endpoint)
    }

    /// A page at this path that shows how all calls go: to whoever has the token, and without one to programs of this
    /// machine ([`Dashboard`]). It names no caller and no address.
    pub fn dashboard(&self, path: &str) -> Router {
        let WebConfig { token, names, .. } = &self.shared.config;
        let access = DashboardAccess { token: token.clone(), names: names.clone() };
        Dashboard::new(self.monitor().clone(), access).router(path)
    }

    /// From now on the numbers of each call that begins are published as metrics
    /// ([`CallMetrics`](crate::monitoring::CallMetrics)), of all calls together.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.shared.has_metrics.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// The calls that run, as the dashboard has them.
    pub fn monitor(&self) -> &Monitor {
        &self.shared.monitor
    }

    /// Endpoint at `/whip`, page at `/`, and the dashboard at `/calls`.
    pub fn router(&self) -> Router {
        Router::new().nest("/whip", self.endpoint()).merge(self.page("/whip")).merge(self.dashboard("/calls"))
    }

    /// What happened so far.
    pub fn stats(&self) -> WebStats {
        let (running, begun) = self.shared.table.counts();
        WebStats { running, begun, kept: self.shared.table.kept(), refused: self.shared.table.refused().collect() }
    }

    /// Hangs all calls up, and waits until they are over, but for two seconds.
    pub async fn close(&self) {
        for call in self.shared.table.running() {
            call.hang_up("the server ends").await;
        }
        for _ in 0..200 {
            if self.shared.table.counts().0 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
