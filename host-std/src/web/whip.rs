//! The endpoint (RFC 9725): `POST` of an offer makes a call, whose own URL takes `PATCH` (candidates, a restart of ICE)
//! and `DELETE`.
//!
//! Beyond that RFC a call goes both ways, `PATCH` accepts a later offer too (`application/sdp`: hold, another codec), and the
//! call's URL has the sub-resources `stats` and `report.html`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use percent_encoding::percent_decode_str;

use super::problem::{ACCEPT_PATCH, Problem};
use super::running::{self, Begun, WebCall};
use super::{Caller, Shared, access, told};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ENDPOINT_METHODS: &str = "POST, OPTIONS";
const CALL_METHODS: &str = "PATCH, DELETE, OPTIONS";
const PART_METHODS: &str = "GET, OPTIONS";
/// The longest name of a caller, in characters.
const MAX_NAME: usize = 40;
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH_NAME: HeaderName = HeaderName::from_static("accept-patch");
/// A report has its script and styles in it; it's none of this site's, so that whatever is in it can't call.
const REPORT_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                             img-src data:; media-src data:";

/// Returns the endpoint at `/`, its calls at `/NAME`, and what belongs to them.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", any(endpoint))
        .route("/{name}", any(call))
        .route("/{name}/stats", any(stats))
        .route("/{name}/report.html", any(report))
        .with_state(shared)
}

async fn endpoint(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(&shared, ENDPOINT_METHODS, request, async |parts, body| match parts.method {
        Method::POST => post(&shared, parts, body).await,
        _ => Err(Problem::Method(ENDPOINT_METHODS)),
    })
    .await
}

async fn call(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    answer(&shared, CALL_METHODS, request, async |parts, body| match parts.method {
        Method::PATCH => patch(&shared, &*find(&shared, &name)?, parts, body).await,
        Method::DELETE => {
            let call = find(&shared, &name)?;
            call.hang_up_wanted().await;
            Ok(StatusCode::OK.into_response())
        }
        _ => Err(Problem::Method(CALL_METHODS)),
    })
    .await
}

async fn stats(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    answer(&shared, PART_METHODS, request, async |parts, _| {
        get(parts)?;
        let text = told::call(&*find(&shared, &name)?).await.to_string();
        Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
    })
    .await
}

async fn report(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    answer(&shared, PART_METHODS, request, async |parts, _| {
        get(parts)?;
        let _turn = shared.reports.acquire().await.map_err(|error| Problem::Failed(error.to_string()))?;
        let report = find(&shared, &name)?.report().await.ok_or(Problem::Gone)?;
        let page = tokio::task::spawn_blocking(move || report.to_html()).await;
        let page = page.map_err(|error| Problem::Failed(error.to_string()))?;
        let headers =
            [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, REPORT_POLICY)];
        Ok((headers, page).into_response())
    })
    .await
}

fn get(parts: &Parts) -> Result<(), Problem> {
    if parts.method == Method::GET { Ok(()) } else { Err(Problem::Method(PART_METHODS)) }
}

fn find(shared: &Shared, name: &str) -> Result<Arc<WebCall>, Problem> {
    shared.table.find(name, &shared.config)
}

/// Lets `handle` answer what may be asked, and counts what may not.
async fn answer(
    shared: &Shared,
    methods: &'static str,
    request: Request,
    handle: impl AsyncFnOnce(&Parts, Body) -> Result<Response, Problem>,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut allowed = None;
    let answer = async {
        access::check_host(shared.config.names.as_deref(), &parts)?;
        let origin = access::check_origin(&shared.config.origins, &parts)?.cloned();
        if parts.method == Method::OPTIONS {
            allowed = origin.map(|origin| (origin, Some(methods)));
            return Ok(options(methods));
        }
        allowed = origin.map(|origin| (origin, None));
        // A link to a report can't have a header; its name is the secret.
        if parts.method != Method::GET {
            access::check_token(shared.config.token.as_deref(), &parts.headers)?;
        }
        handle(&parts, body).await
    };
    let mut response = answer.await.unwrap_or_else(|problem| {
        shared.table.refuse(&problem);
        tracing::debug!(problem = problem.name(), method = %parts.method, "a request was refused");
        tracing::trace!(?problem, "why it was refused");
        problem.into_response()
    });
    let headers = response.headers_mut();
    if let Some((origin, preflight)) = allowed {
        access::allow(headers, origin, preflight);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn options(methods: &'static str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    match methods {
        ENDPOINT_METHODS => headers.insert(ACCEPT_POST, HeaderValue::from_static(SDP)),
        CALL_METHODS => headers.insert(ACCEPT_PATCH_NAME, HeaderValue::from_static(ACCEPT_PATCH)),
        _ => None,
    };
    response
}

async fn post(shared: &Arc<Shared>, parts: &Parts, body: Body) -> Result<Response, Problem> {
    if media_type(&parts.headers) != SDP {
        return Err(Problem::Type(ACCEPT_POST, SDP));
    }
    accepts(&parts.headers, SDP)?;
    let full = || Problem::Busy(format!("{} calls are the most at once", shared.config.max_calls), 10);
    // The limit is checked before anything is read: a flood costs nothing else.
    let place = shared.table.place(shared.config.max_calls).ok_or_else(full)?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let most = shared.config.max_unconnected;
    let unconnected = peer.map(|peer| shared.table.unconnected(peer, most).ok_or(Problem::TooMany(most)));
    let unconnected = unconnected.transpose()?;
    let offer = text(shared, &parts.headers, body).await?;
    let caller = Caller { name: name(parts.uri.query()) };
    let begun = running::begin(shared, caller, peer, offer, place, unconnected).await?;
    let Begun { call, answer, tag } = begun;
    let name = match shared.table.add(call.clone(), &shared.config) {
        Ok(name) => name,
        Err(error) => {
            call.hang_up("there is no randomness").await;
            return Err(Problem::Failed(error.to_string()));
        }
    };
    let (watched, status) = call.watched();
    #[cfg(feature = "metrics")]
    if shared.has_metrics.load(std::sync::atomic::Ordering::Relaxed) {
        tokio::spawn(crate::monitoring::CallMetrics::begin(watched.rate_hz).follow(status.clone()));
    }
    shared.monitor.watch(watched, status);
    let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |OriginalUri(uri)| uri.path());
    let location = format!("{}/{name}", path.trim_end_matches('/'));
    let mut response = sdp(StatusCode::CREATED, SDP, answer, &tag);
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(ACCEPT_PATCH_NAME, HeaderValue::from_static(ACCEPT_PATCH));
    for server in &shared.config.stun {
        if let Ok(link) = HeaderValue::try_from(format!("<stun:{server}>; rel=\"ice-server\"")) {
            headers.append(header::LINK, link);
        }
    }
    Ok(response)
}

async fn patch(shared: &Shared, call: &WebCall, parts: &Parts, body: Body) -> Result<Response, Problem> {
    let kind = media_type(&parts.headers);
    if kind != FRAGMENT && kind != SDP {
        return Err(Problem::Type(ACCEPT_PATCH_NAME, ACCEPT_PATCH));
    }
    let wanted = parts.headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
    let wanted = wanted.ok_or(Problem::Unconditional)?.to_owned();
    let text = text(shared, &parts.headers, body).await?;
    if kind == SDP {
        accepts(&parts.headers, SDP)?;
        let (answer, tag) = call.reoffer(&wanted, text).await?;
        return Ok(sdp(StatusCode::OK, SDP, answer, &tag));
    }
    Ok(match call.patch(&wanted, text).await? {
        Some((answer, tag)) => sdp(StatusCode::OK, FRAGMENT, answer, &tag),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn sdp(status: StatusCode, kind: &'static str, text: String, tag: &str) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, kind)], text).into_response();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Returns the type of the body, without its parameters, in small letters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Checks whether an answer of this type is acceptable; a client that doesn't say accepts any.
fn accepts(headers: &HeaderMap, kind: &str) -> Result<(), Problem> {
    let mut wanted = headers.get_all(header::ACCEPT).iter().peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let group = format!("{}/*", kind.split('/').next().unwrap_or_default());
    let fits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        let refused = parts.any(|part| matches!(part.strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000")));
        !refused && (range == "*/*" || range.eq_ignore_ascii_case(&group) || range.eq_ignore_ascii_case(kind))
    };
    let any = wanted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(fits);
    if any { Ok(()) } else { Err(Problem::NotAcceptable) }
}

/// Returns the body as text, within its bounds of bytes and time.
async fn text(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let most = shared.config.body_bytes;
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > most) {
        return Err(Problem::TooLarge(most));
    }
    let read = tokio::time::timeout(shared.config.body_time, to_bytes(body, most)).await;
    let bytes = read.map_err(|_| Problem::Slow)?.map_err(|error| {
        // A body that breaks off has no limit as its cause.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        if cause.to_string().contains("limit") {
            Problem::TooLarge(most)
        } else {
            Problem::Malformed(format!("the body breaks off: {cause}"))
        }
    })?;
    String::from_utf8(bytes.into()).map_err(|_| Problem::Malformed("the body is not UTF-8".into()))
}

/// Returns the name in a query, `name=Ann%20B`: what can be printed of it.
fn name(query: Option<&str>) -> Option<String> {
    let value = query?.split('&').find_map(|pair| pair.strip_prefix("name="))?;
    let spaced = value.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8_lossy();
    let name: String = text.chars().filter(|sign| !sign.is_control()).take(MAX_NAME).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Reads everything that a client may send as a body, as `POST` and `PATCH` do: for fuzzing.
#[doc(hidden)]
pub fn fuzz_texts(offer: &str, fragment: &str, query: &str) -> Option<String> {
    let _ = name(Some(query));
    let read = super::fragment::read(fragment)?;
    let offer = read.restarts(offer).then(|| read.offer(offer)).flatten()?;
    Some(super::fragment::of_answer(&offer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_can_be_printed() {
        assert_eq!(name(Some("name=Ann%20B")), Some("Ann B".into()));
        assert_eq!(name(Some("a=1&name=J%C3%B6rg+2")), Some("Jörg 2".into()));
        assert_eq!(name(Some("name=%3Cb%3E%0A%00")), Some("<b>".into()));
        assert_eq!(name(Some("name=%")), Some("%".into()));
        assert_eq!(name(Some("name=%zz%f")), Some("%zz%f".into()));
        assert_eq!(name(Some("name=")), None);
        assert_eq!(name(Some("name=%20")), None);
        assert_eq!(name(None), None);
        assert_eq!(name(Some(&format!("name={}", "x".repeat(100)))).unwrap().len(), MAX_NAME);
    }

    #[test]
    fn who_wants_no_description_gets_none() {
        let check = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]);
            accepts(&headers, SDP).is_ok()
        };
        assert!(check("application/sdp") && check("*/*") && check("text/html, application/*;q=0.1"));
        assert!(!check("text/html") && !check("application/sdp;q=0") && !check(""));
        assert!(accepts(&HeaderMap::new(), SDP).is_ok());
    }
}
