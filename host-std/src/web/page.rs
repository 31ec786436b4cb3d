//! The page: HTML, styles and script in one piece, and nothing from elsewhere. Its policy lets only this script and
//! these styles in, by their hashes, so that no text from outside can become either.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::{Shared, access};

const HTML: &str = include_str!("page/index.html");
const STYLES: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(include_str!("page/graph.js"), include_str!("page/whip.js"), include_str!("page/page.js"));

struct Page {
    shared: Arc<Shared>,
    sheet: Sheet,
}

/// Returns the page at `/`, which calls the endpoint at this path.
pub(super) fn router(shared: &Arc<Shared>, endpoint: &str) -> Router {
    let settings = json!({
        "endpoint": endpoint,
        "with": shared.end.words(),
        "room": shared.end.is_room(),
        "token": shared.config.token.is_some(),
        "iceServers": shared.config.stun.iter().map(|server| json!({ "urls": format!("stun:{server}") })).collect::<Vec<_>>(),
    });
    let sheet = Sheet::new(HTML, STYLES, SCRIPT, &settings);
    Router::new().route("/", any(page)).with_state(Arc::new(Page { shared: shared.clone(), sheet }))
}

/// A page in one piece, with the policy that fits it.
pub(super) struct Sheet {
    text: String,
    policy: HeaderValue,
}

impl Sheet {
    /// Creates a page from HTML with a place for each part: `/* STYLES */`, `/* SCRIPT */`, and `SETTINGS` within an attribute in
    /// quotes.
    pub(super) fn new(html: &str, styles: &str, script: &str, settings: &Value) -> Self {
        let settings = escape(&settings.to_string());
        let text = html.replace("/* STYLES */", styles).replace("/* SCRIPT */", script).replace("SETTINGS", &settings);
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             media-src 'self' mediastream: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(script),
            hash(styles)
        );
        let policy = HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
        Self { text, policy }
    }

    /// Returns the page as a response; `permissions` lists the browser features that it may use.
    pub(super) fn respond(&self, permissions: &'static str) -> Response {
        let mut response = (StatusCode::OK, self.text.clone()).into_response();
        let headers = response.headers_mut();
        let fixed = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert("permissions-policy", HeaderValue::from_static(permissions));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn page(State(page): State<Arc<Page>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let refused = match parts.method {
        Method::GET | Method::HEAD => access::check_host(page.shared.config.names.as_deref(), &parts).err(),
        _ => Some(Problem::Method("GET, HEAD")),
    };
    if let Some(problem) = refused {
        page.shared.table.refuse(&problem);
        return problem.into_response();
    }
    page.sheet.respond("microphone=(self), camera=(), geolocation=()")
}

/// Checks a page's parts: each place must occur exactly once, and nothing may be loaded from elsewhere or be refused by the
/// policy.
#[cfg(test)]
pub(super) fn check_parts(html: &str, styles: &str, script: &str) {
    for place in ["/* STYLES */", "/* SCRIPT */", "SETTINGS"] {
        assert_eq!(html.matches(place).count(), 1, "{place}");
    }
    for odd in ["src=\"http", "href=\"http", "url(", "@import", " style=\"", " onclick=\"", "innerHTML", "eval("] {
        let in_page = [html, styles, script].iter().any(|text| text.contains(odd));
        assert!(!in_page, "{odd}");
    }
    assert!(!script.contains("</script") && !styles.contains("</style"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_page_is_in_it() {
        check_parts(HTML, STYLES, SCRIPT);
    }

    #[test]
    fn settings_stay_within_their_attribute() {
        assert_eq!(escape("{\"a\":\"<'&>\"}"), "{&quot;a&quot;:&quot;&lt;&#39;&amp;&gt;&quot;}");
    }
}
