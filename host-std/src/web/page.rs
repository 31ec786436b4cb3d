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
use serde_json::json;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::{Shared, access};

const HTML: &str = include_str!("page/index.html");
const STYLES: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(include_str!("page/graph.js"), include_str!("page/whip.js"), include_str!("page/page.js"));

struct Page {
    shared: Arc<Shared>,
    text: String,
    policy: HeaderValue,
}

/// The page at `/`, which calls the endpoint at this path.
pub(super) fn router(shared: &Arc<Shared>, endpoint: &str) -> Router {
    let settings = json!({
        "endpoint": endpoint,
        "with": shared.end.words(),
        "room": shared.end.is_room(),
        "token": shared.config.token.is_some(),
        "iceServers": shared.config.stun.iter().map(|server| json!({ "urls": format!("stun:{server}") })).collect::<Vec<_>>(),
    });
    // Within an attribute in quotes.
    let settings = escape(&settings.to_string());
    let text = HTML.replace("/* STYLES */", STYLES).replace("/* SCRIPT */", SCRIPT).replace("SETTINGS", &settings);
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         media-src 'self' mediastream: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLES)
    );
    let policy = HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    Router::new().route("/", any(page)).with_state(Arc::new(Page { shared: shared.clone(), text, policy }))
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
        Method::GET | Method::HEAD => access::check_host(&page.shared.config, &parts).err(),
        _ => Some(Problem::Method("GET, HEAD")),
    };
    if let Some(problem) = refused {
        page.shared.table.refuse(&problem);
        return problem.into_response();
    }
    let mut response = (StatusCode::OK, page.text.clone()).into_response();
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
    headers.insert("permissions-policy", HeaderValue::from_static("microphone=(self), camera=(), geolocation=()"));
    headers.insert(header::CONTENT_SECURITY_POLICY, page.policy.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_page_is_in_it() {
        for place in ["/* STYLES */", "/* SCRIPT */", "SETTINGS"] {
            assert_eq!(HTML.matches(place).count(), 1, "{place}");
        }
        // What is loaded from elsewhere, or would be refused by the policy.
        for odd in ["src=\"http", "href=\"http", "url(", "@import", " style=\"", " onclick=\"", "innerHTML", "eval("] {
            let in_page = [HTML, STYLES, SCRIPT].iter().any(|text| text.contains(odd));
            assert!(!in_page, "{odd}");
        }
        assert!(!SCRIPT.contains("</script") && !STYLES.contains("</style"));
    }

    #[test]
    fn settings_stay_within_their_attribute() {
        assert_eq!(escape("{\"a\":\"<'&>\"}"), "{&quot;a&quot;:&quot;&lt;&#39;&amp;&gt;&quot;}");
    }
}
