//! A page that shows running calls, and its numbers as JSON: of all calls that a [`Monitor`] watches.
//!
//! Access is decided for each request, by [`DashboardAccess`]. Pages of other sites have no access, in any browser; nor do they
//! under a name that they point to this machine (DNS rebinding).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;

use super::access;
use super::page::Sheet;
use super::problem::Problem;
use crate::monitoring::Monitor;

const HTML: &str = include_str!("page/dashboard.html");
const STYLES: &str = concat!(include_str!("page/page.css"), include_str!("page/dashboard.css"));
const SCRIPT: &str = concat!(include_str!("page/graph.js"), include_str!("page/dashboard.js"));
const METHODS: &str = "GET, HEAD";
/// The headers in which a proxy names the client: if one is present, the connection's address is not the viewer's.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The access to a [`Dashboard`].
///
/// With a token everybody who has it has access, from anywhere. Without a token only programs of this machine have access, and
/// only without a proxy in between. The server must know the connection's address by axum's `ConnectInfo<SocketAddr>`
/// ([`serve`](super::serve) has it); otherwise there is no access without a token. Pages of other sites never have access, not
/// even under a name that they point to this machine (DNS rebinding).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardAccess {
    /// The token that must be sent, as `Authorization: Bearer TOKEN`; the page asks its user for it. `None` allows this machine only.
    pub token: Option<String>,
    /// The host names by which the page may be requested, in addition to addresses and `localhost`; `None` allows any name.
    pub names: Option<Vec<String>>,
}

impl Default for DashboardAccess {
    /// Allows programs of this machine, by address or as `localhost`.
    fn default() -> Self {
        Self { token: None, names: Some(Vec::new()) }
    }
}

/// A page that shows how the calls of a [`Monitor`] go while they run, and its numbers as JSON.
///
/// Use it for any calls that are watched, such as those of drivers; the calls of a [`Web`](super::Web) have one by
/// [`Web::dashboard`](super::Web::dashboard).
///
/// ```no_run
/// use host_std::monitoring::Monitor;
/// use host_std::web::{Dashboard, DashboardAccess, ServeConfig, serve};
///
/// # async fn show() -> Result<(), Box<dyn std::error::Error>> {
/// let monitor = Monitor::new(); // `monitor.watch` for each call
/// let app = Dashboard::new(monitor, DashboardAccess::default()).router("/"); // the numbers are at /data
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// serve(listener, app, ServeConfig::default()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dashboard {
    monitor: Monitor,
    access: DashboardAccess,
}

struct Shown {
    monitor: Monitor,
    access: DashboardAccess,
    sheet: Sheet,
}

impl Dashboard {
    /// Creates a page of this monitor's calls, for clients with access.
    pub fn new(monitor: Monitor, access: DashboardAccess) -> Self {
        Self { monitor, access }
    }

    /// A router with the page at `path`, such as `/`, and its numbers at `data` below that.
    pub fn router(&self, path: &str) -> Router {
        let data = format!("{}/data", path.trim_end_matches('/'));
        let settings = json!({ "data": data, "token": self.access.token.is_some() });
        let Self { monitor, access } = self.clone();
        let sheet = Sheet::new(HTML, STYLES, SCRIPT, &settings);
        let shown = Arc::new(Shown { monitor, access, sheet });
        Router::new().route(path, any(page)).route(&data, any(numbers)).with_state(shown)
    }
}

impl Shown {
    /// Refuses what may not be asked. The page itself has no numbers: with a token it is for everybody, to ask for that.
    fn check(&self, parts: &Parts, of_page: bool) -> Result<(), Problem> {
        access::check_host(self.access.names.as_deref(), parts)?;
        access::check_origin(&[], parts)?;
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(Problem::Method(METHODS));
        }
        match &self.access.token {
            None if is_of_this_machine(parts) => Ok(()),
            None => Err(Problem::Elsewhere),
            Some(_) if of_page => Ok(()),
            Some(token) => access::check_token(Some(token), &parts.headers),
        }
    }
}

/// Returns whether the request is from a program of this machine.
fn is_of_this_machine(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_here = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    is_here && !FORWARDED.iter().any(|name| parts.headers.contains_key(*name))
}

async fn page(State(shown): State<Arc<Shown>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match shown.check(&parts, true) {
        Ok(()) => shown.sheet.respond("microphone=(), camera=(), geolocation=()"),
        Err(problem) => problem.into_response(),
    }
}

/// Returns the calls; with the query `all` with all moments that are kept.
async fn numbers(State(shown): State<Arc<Shown>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut response = match shown.check(&parts, false) {
        Ok(()) => {
            let text = shown.monitor.to_json(parts.uri.query() == Some("all")).to_string();
            (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use axum::http;

    use super::*;

    fn asked(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let request = http::Request::builder().header("host", "127.0.0.1:8080");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Ok(peer) = peer.parse::<SocketAddr>() {
            parts.extensions.insert(ConnectInfo(peer));
        }
        parts
    }

    #[test]
    fn all_of_the_page_is_in_it() {
        super::super::page::check_parts(HTML, STYLES, SCRIPT);
    }

    #[test]
    fn without_a_token_this_machine_alone_may_look() {
        let sheet = || Sheet::new(HTML, STYLES, SCRIPT, &json!({}));
        let shown = Shown { monitor: Monitor::new(), access: DashboardAccess::default(), sheet: sheet() };
        for peer in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(shown.check(&asked(peer, &[]), false), Ok(()), "{peer}");
        }
        for peer in ["192.0.2.1:9", "[2001:db8::1]:9", "nobody knows"] {
            assert_eq!(shown.check(&asked(peer, &[]), false), Err(Problem::Elsewhere), "{peer}");
            assert_eq!(shown.check(&asked(peer, &[]), true), Err(Problem::Elsewhere), "{peer}");
        }
        // A proxy on this machine asks for somebody else.
        for header in FORWARDED {
            let parts = asked("127.0.0.1:9", &[(header, "192.0.2.1")]);
            assert_eq!(shown.check(&parts, false), Err(Problem::Elsewhere), "{header}");
        }
        let other_site = asked("127.0.0.1:9", &[("origin", "https://evil.example")]);
        assert!(matches!(shown.check(&other_site, false), Err(Problem::Origin(_))));
        let access = DashboardAccess { token: Some("secret".into()), ..DashboardAccess::default() };
        let shown = Shown { access, sheet: sheet(), ..shown };
        assert_eq!(shown.check(&asked("192.0.2.1:9", &[]), true), Ok(()));
        assert_eq!(shown.check(&asked("127.0.0.1:9", &[]), false), Err(Problem::Unauthorized));
        let with_token = asked("192.0.2.1:9", &[("authorization", "Bearer secret")]);
        assert_eq!(shown.check(&with_token, false), Ok(()));
    }
}
