//! Answers calls of browsers: open the address that is printed, press *Call*, and hear yourself. The endpoint for the
//! calls (WHIP, RFC 9725), and the page that uses it, are part of an axum router beside other routes.
//!
//! You learn how to add calls of browsers to a web server of your own, and how to choose what they talk to.

use axum::Router;
use axum::routing::get;
use host_std::web::{Echo, Web, WebConfig};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let web = Web::new(WebConfig::default(), Echo);
    let app = Router::new()
        .route("/hello", get(async || "This is my own page.\n"))
        .nest("/calls", web.endpoint())
        .merge(web.page("/calls"));
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
