//! The access control: tokens (RFC 6750), pages of other sites (CORS), and the names by which this server is addressed.
//!
//! A page of another site may be open in the browser of a permitted caller. Its requests carry its `Origin`, and are refused
//! unless that site is allowed. A site that points its own name to this machine (DNS rebinding) would be the same site to a
//! browser; so requests are only accepted for addresses, `localhost`, and names that were configured.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use ctutils::CtEq;

use super::problem::Problem;

/// Headers that a page of another site may read.
const EXPOSED: &str = "Location, ETag, Link, Retry-After";
/// Headers that it may send.
const ALLOWED: &str = "Authorization, Content-Type, If-Match";

/// Refuses requests without the token, in a time that reveals nothing about the token but its length.
pub(super) fn check_token(token: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else { return Ok(()) };
    let sent = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let (scheme, sent) = sent.split_at_checked(7).unwrap_or_default();
    // The scheme is no secret.
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    if is_bearer && bool::from(sent.ct_eq(token.as_bytes())) { Ok(()) } else { Err(Problem::Unauthorized) }
}

/// Returns the site of the requesting page, if it isn't ours.
///
/// # Errors
/// The site isn't allowed to call.
pub(super) fn check_origin<'a>(origins: &[String], parts: &'a Parts) -> Result<Option<&'a HeaderValue>, Problem> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    let allowed = |allowed: &String| text.eq_ignore_ascii_case(allowed.trim_end_matches('/'));
    if origins.iter().any(allowed) {
        return Ok(Some(origin));
    }
    // The request is from the same site if the origin is the name that it addresses.
    let own = text.split_once("://").map(|(_, own)| own);
    if own.is_some_and(|own| Some(own) == host(parts)) {
        return Ok(None);
    }
    // The header may hold anything, so it is reported without control characters.
    Err(Problem::Origin(text.chars().filter(|sign| !sign.is_control()).take(100).collect()))
}

/// Lets a page of an allowed site read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: Option<&'static str>) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if let Some(methods) = preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// Refuses requests for names that we weren't given.
pub(super) fn check_host(names: Option<&[String]>, parts: &Parts) -> Result<(), Problem> {
    let Some(names) = names else { return Ok(()) };
    let host = host(parts).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    let known = |known: &String| known.eq_ignore_ascii_case(name);
    let is_address = name.parse::<IpAddr>().is_ok();
    if is_address || name.eq_ignore_ascii_case("localhost") || names.iter().any(known) {
        Ok(())
    } else {
        Err(Problem::Host)
    }
}

/// Returns the name and port that a request is for.
fn host(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_the_token_itself_is_one() {
        let check = |value: &str| check_token(Some("secret"), &parts(&[("authorization", value)]).headers);
        assert_eq!(check("Bearer secret"), Ok(()));
        assert_eq!(check("bearer secret"), Ok(()));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "Basic secret", "secret"]
        {
            assert_eq!(check(wrong), Err(Problem::Unauthorized), "{wrong}");
        }
        assert_eq!(check_token(Some("secret"), &HeaderMap::new()), Err(Problem::Unauthorized));
        assert_eq!(check_token(None, &HeaderMap::new()), Ok(()));
    }

    #[test]
    fn another_site_is_one_by_its_name_its_port_or_its_scheme() {
        let origins = ["https://good.example/".to_owned()];
        let check = |origin: &str| {
            let parts = parts(&[("host", "localhost:8080"), ("origin", origin)]);
            check_origin(&origins, &parts).map(|origin| origin.is_some())
        };
        assert_eq!(check("http://localhost:8080"), Ok(false));
        assert_eq!(check("https://good.example"), Ok(true));
        for foreign in
            ["http://localhost:8081", "http://good.example", "https://evil.example", "null", "", "localhost:8080"]
        {
            assert!(matches!(check(foreign), Err(Problem::Origin(_))), "{foreign}");
        }
        assert_eq!(check_origin(&origins, &parts(&[("host", "localhost:8080")])), Ok(None));
    }

    #[test]
    fn a_name_that_was_not_given_is_refused() {
        let names = ["calls.example".to_owned()];
        let check = |host: &str| check_host(Some(&names), &parts(&[("host", host)]));
        for known in
            ["127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost", "localhost:1", "CALLS.example:443", "calls.example."]
        {
            assert_eq!(check(known), Ok(()), "{known}");
        }
        for foreign in ["evil.example:8080", "", "localhost.evil.example", "127.0.0.1.evil.example", "[evil]"] {
            assert_eq!(check(foreign), Err(Problem::Host), "{foreign}");
        }
        let foreign = parts(&[("host", "any.example")]);
        assert_eq!(check_host(None, &foreign), Ok(()));
        assert_eq!(check_host(Some(&[]), &foreign), Err(Problem::Host));
    }
}
