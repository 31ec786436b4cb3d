//! A browser calls: open the address that is printed, press *Call*, and hear yourself. The calls' endpoint (WHIP, RFC
//! 9725) and the page that uses it stand in an axum router beside whatever else is there.
//!
//! One learns to add calls of browsers to a web server of one's own, and who is at the other end of them.

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
