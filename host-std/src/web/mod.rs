//! Calls of browsers: an endpoint that they call by HTTP (WHIP, RFC 9725), and a page that calls it. Cargo feature `web`.
//!
//! Use it to let people talk by a browser, to a machine or to each other. Phones call by SIP, for which
//! [`manager`](crate::manager) is; the calls of both meet in a [`Room`](crate::room::Room).
//!
//! A browser sends its offer and gets our answer. Sound goes over DTLS-SRTP between addresses that ICE finds. Each call is a
//! [`Call`](crate::session::Call) with a [`Driver`](crate::session::driver::Driver) of its own. A [`SoundEnd`] decides who its
//! peer is: itself ([`Echo`]), a file ([`Recording`]), the user of this machine ([`Card`]), all other callers ([`RoomEnd`]), or
//! one that you write. WHIP itself is for sound in one direction; here it goes in both, and a later offer (hold) is a `PATCH`
//! with `application/sdp`. Lines for video and data are rejected, and the call continues without them.
//!
//! The routes can be part of your own router:
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
//! [`serve`] listens with bounds on connections and headers, and with TLS. A browser gives its microphone to pages of its own machine, and
//! to pages of other machines only over TLS.
//!
//! | limit | what happens beyond it |
//! |---|---|
//! | [`max_calls`](WebConfig::max_calls) | 503 with `Retry-After`, before a byte of the body is read |
//! | [`max_unconnected`](WebConfig::max_unconnected) | 429 with `Retry-After`, likewise |
//! | [`body_bytes`](WebConfig::body_bytes), [`body_time`](WebConfig::body_time) | 413, 408 |
//! | [`call_time`](WebConfig::call_time), [`setup_time`](WebConfig::setup_time) | the call ends, and says why |
//! | [`kept_time`](WebConfig::kept_time), [`kept_bytes`](WebConfig::kept_bytes) | the numbers and the report of a finished call are deleted |
//!
//! **Cost.** For its report a running call keeps its first ten minutes: some 20 KB a second, 16 MB at most.
//!
//! **Who may call.** Anyone who has the [`token`](WebConfig::token), from pages of this site and of
//! [`origins`](WebConfig::origins). The URL of a call has 128 random bits, so that another one's can't be guessed. Refusals are
//! explained in the response (RFC 9457) and counted ([`Web::stats`]). [`DashboardAccess`] says who may see the quality of all
//! calls.
//!
//! **Standards.** WHIP: RFC 9725. DTLS-SRTP: RFC 5763. ICE: RFC 8445. Opus: RFC 7587.

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

/// The number of reports that are made at once; further requests wait.
const REPORTS: usize = 2;

/// Settings of a [`Web`]: who may call, how long, and how many at once.
///
/// A server for pages of another site, on one UDP port range:
///
/// ```
/// use host_std::sockets::Ports;
/// use host_std::web::{Echo, Web, WebConfig};
///
/// let config = WebConfig {
///     address: "192.0.2.1".parse()?,
///     ports: Ports::Range(20_000..=20_999),
///     token: Some("a long random word".into()),
///     origins: vec!["https://example.com".into()],
///     names: Some(vec!["calls.example.com".into()]),
///     ..WebConfig::default()
/// };
/// let web = Web::new(config, Echo);
/// assert_eq!(web.stats().running, 0);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// The address at which packets of calls come in. With `0.0.0.0` or `::` it is the address that routes to the caller, which
    /// needs axum's `ConnectInfo<SocketAddr>` ([`serve`] has it).
    pub address: IpAddr,
    /// The UDP ports of calls.
    pub ports: Ports,
    /// The token that a caller must send, as `Authorization: Bearer TOKEN`; `None` asks for none.
    pub token: Option<String>,
    /// Further sites whose pages may call, as `https://example.com`, besides this one.
    pub origins: Vec<String>,
    /// The host names by which this server may be addressed, in addition to addresses and `localhost`; `None` allows any name.
    /// Any name is dangerous: a foreign site can let its own name point to this machine, and is then the same site to a browser.
    pub names: Option<Vec<String>>,
    /// The most calls at once.
    pub max_calls: usize,
    /// The most calls at once from one address for which no packet of the browser has come yet; a network of 64 bits of IPv6
    /// counts as one address. This needs axum's `ConnectInfo<SocketAddr>`, as [`serve`] has it. Behind a proxy all calls have its
    /// address.
    pub max_unconnected: usize,
    /// The longest duration of a call.
    pub call_time: Duration,
    /// The time within which the first packet of the browser must come.
    pub setup_time: Duration,
    /// The most bytes of a request's body, a description.
    pub body_bytes: usize,
    /// The time within which a request's body must arrive.
    pub body_time: Duration,
    /// The time for which the numbers and the report of a finished call are kept, for 32 calls at most.
    pub kept_time: Duration,
    /// The most bytes that these take together. Those of the call that ended first are deleted first.
    pub kept_bytes: usize,
    /// STUN servers, by which both sides learn their addresses as seen from outside.
    pub stun: Vec<SocketAddr>,
    /// The adaptation of our sending to the network that the browser's feedback shows, with at most one payload repeated in a
    /// packet; `None`: bit rate and packet length stay.
    pub adaptation: Option<AdaptationConfig>,
}

impl Default for WebConfig {
    /// The default listens on 127.0.0.1, without a token, for pages of the same site, addressed by address or as `localhost`: at
    /// most 64 calls of an hour each, of which one address may begin 32 at once.
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

/// The counts of a [`Web`] so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebStats {
    /// The number of calls that are running.
    pub running: usize,
    /// The number of calls that have begun.
    pub begun: u32,
    /// The number of finished calls whose numbers and report are kept.
    pub kept: usize,
    /// The number of requests that were refused, for each reason.
    pub refused: Vec<(&'static str, u32)>,
}

/// A server for calls of browsers, as routers for axum. Clones are the same server.
///
/// The [module's page](self) has an example.
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
    /// Creates a server with these settings, which connects each call with an end that `end` makes.
    pub fn new(config: WebConfig, end: impl SoundEnd + 'static) -> Self {
        Self::shared(config, Arc::new(end))
    }

    /// Does the same as [`new`](Self::new), with a [`SoundEnd`] that is shared with other parts of the program.
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

    /// Returns the endpoint, to be nested in your router where you like. It has neither timeouts nor limits on connections, so
    /// whatever listens must have them, as [`serve`] does.
    pub fn endpoint(&self) -> Router {
        whip::router(self.shared.clone())
    }

    /// A page at `/`, which calls the endpoint at this path.
    pub fn page(&self, endpoint: &str) -> Router {
        page::router(&self.shared, endpoint)
    }

    /// Returns a page at this path that shows the quality of all calls: to anyone who has the token, and without one to programs
    /// of this machine ([`Dashboard`]). It names no caller and no address.
    pub fn dashboard(&self, path: &str) -> Router {
        let WebConfig { token, names, .. } = &self.shared.config;
        let access = DashboardAccess { token: token.clone(), names: names.clone() };
        Dashboard::new(self.monitor().clone(), access).router(path)
    }

    /// Publishes the numbers of each call that begins from now on as metrics ([`CallMetrics`](crate::monitoring::CallMetrics)),
    /// of all calls together.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.shared.has_metrics.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Returns the running calls, as the dashboard shows them.
    pub fn monitor(&self) -> &Monitor {
        &self.shared.monitor
    }

    /// Endpoint at `/whip`, page at `/`, and the dashboard at `/calls`.
    pub fn router(&self) -> Router {
        Router::new().nest("/whip", self.endpoint()).merge(self.page("/whip")).merge(self.dashboard("/calls"))
    }

    /// Returns the numbers so far.
    pub fn stats(&self) -> WebStats {
        let (running, begun) = self.shared.table.counts();
        WebStats { running, begun, kept: self.shared.table.kept(), refused: self.shared.table.refused().collect() }
    }

    /// Hangs all calls up, and waits until they are over, for at most two seconds.
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
