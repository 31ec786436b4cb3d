//! The errors of a request as problem details (RFC 9457), each with the headers that HTTP requires beside it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The formats that a session accepts with `PATCH` (RFC 5789), including one that this server accepts beyond RFC 9725: a later
/// offer.
pub(super) const ACCEPT_PATCH: &str = "application/trickle-ice-sdpfrag, application/sdp";

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Its content can't be read; the text gives the reason.
    Malformed(String),
    /// It has no token, or another one.
    Unauthorized,
    /// Another site's page sent it.
    Origin(String),
    /// It asks for a host that we don't know to be us.
    Host,
    /// It comes from elsewhere, and only programs of this machine may ask for this.
    Elsewhere,
    /// There is no such call.
    Unknown,
    /// The call has ended.
    Gone,
    /// Another method: those that there are.
    Method(&'static str),
    /// An answer of this type isn't wanted.
    NotAcceptable,
    /// The body did not come in time.
    Slow,
    /// The description is of another state of the call.
    Changed,
    /// `If-Match` is wanted.
    Unconditional,
    /// More bytes than this.
    TooLarge(usize),
    /// A body of another type: those that are taken, and in which header that is said.
    Type(HeaderName, &'static str),
    /// It can be read, but no call is possible; the text gives the reason.
    Impossible(String),
    /// The call isn't made for a reason of ours: why.
    Failed(String),
    /// There is no room for another call, or the sound is in use: why, and after how many seconds to ask again.
    Busy(String, u32),
    /// This many calls of one address have not connected yet.
    TooMany(usize),
}

impl Problem {
    /// Names of the counters, in the order of [`number`](Self::number).
    pub(super) const NAMES: [&'static str; 18] = [
        "malformed",
        "unauthorized",
        "foreign_origin",
        "foreign_host",
        "unknown_call",
        "ended_call",
        "method",
        "not_acceptable",
        "slow_body",
        "changed",
        "unconditional",
        "too_large",
        "media_type",
        "impossible",
        "failed",
        "busy",
        "too_many",
        "from_elsewhere",
    ];

    /// Its name, of [`NAMES`](Self::NAMES).
    pub(super) fn name(&self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// Returns the index of its counter.
    pub(super) fn number(&self) -> usize {
        match self {
            Self::Malformed(_) => 0,
            Self::Unauthorized => 1,
            Self::Origin(_) => 2,
            Self::Host => 3,
            Self::Unknown => 4,
            Self::Gone => 5,
            Self::Method(_) => 6,
            Self::NotAcceptable => 7,
            Self::Slow => 8,
            Self::Changed => 9,
            Self::Unconditional => 10,
            Self::TooLarge(_) => 11,
            Self::Type(..) => 12,
            Self::Impossible(_) => 13,
            Self::Failed(_) => 14,
            Self::Busy(..) => 15,
            Self::TooMany(_) => 16,
            Self::Elsewhere => 17,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Origin(_) | Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Gone => StatusCode::GONE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Unconditional => StatusCode::PRECONDITION_REQUIRED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Type(..) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Impossible(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "the request can't be read",
            Self::Unauthorized => "a token is wanted",
            Self::Origin(_) => "pages of other sites may not call here",
            Self::Host => "this server has another name",
            Self::Elsewhere => "only this machine may see the calls",
            Self::Unknown => "there is no such call",
            Self::Gone => "the call has ended",
            Self::Method(_) => "this can't be done here",
            Self::NotAcceptable => "the answer would be of another type",
            Self::Slow => "the body did not come in time",
            Self::Changed => "the call has changed meanwhile",
            Self::Unconditional => "If-Match is wanted",
            Self::TooLarge(_) => "the body is too large",
            Self::Type(..) => "the body is of another type",
            Self::Impossible(_) => "no call comes of this description",
            Self::Failed(_) => "the call could not be made",
            Self::Busy(..) => "no more calls now",
            Self::TooMany(_) => "too many calls of one address",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Malformed(why) | Self::Impossible(why) | Self::Failed(why) | Self::Busy(why, _) => why.clone(),
            Self::Unauthorized => "send it as `Authorization: Bearer TOKEN`".into(),
            Self::Origin(origin) => format!("{origin} is not among the origins that this server allows"),
            Self::Host => "ask for it by its address, or by a name that it was given".into(),
            Self::Elsewhere => "a server with a token shows them to whoever has that".into(),
            Self::Unknown => "its address is wrong, or it ended long ago".into(),
            Self::Gone => "its report is still there".into(),
            Self::Method(allowed) => format!("possible are {allowed}"),
            Self::NotAcceptable => "descriptions are application/sdp".into(),
            Self::Slow => "send it again, all at once".into(),
            Self::Changed => "its entity tag is another one now".into(),
            Self::Unconditional => "send the entity tag that came with the answer, or * for a restart".into(),
            Self::TooLarge(most) => format!("{most} bytes are taken at most"),
            Self::Type(_, taken) => format!("taken are {taken}"),
            Self::TooMany(most) => format!("{most} that have not connected yet are the most at once"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body =
            json!({ "type": "about:blank", "title": self.title(), "status": status.as_u16(), "detail": self.detail() });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method(allowed) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Type(name, taken) => {
                headers.insert(name, HeaderValue::from_static(taken));
            }
            Self::Busy(_, seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::TooMany(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            // The rest of the body isn't read.
            Self::TooLarge(_) | Self::Slow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
