//! Calls of browsers: the endpoint under good and bad requests, and Chromium's real calls. What of the latter takes
//! long is asked for by `.ci/long` (`MEDIA_CORE_PEERS=1`).

mod bounds;
#[cfg(unix)]
mod browser;
#[cfg(unix)]
mod chromium;
#[cfg(unix)]
mod dashboard;
#[cfg(unix)]
mod firefox;
mod http;
mod server;
