//! Browsers that join a conversation: whoever opens the page has a handset of his own at this desk. He hears everybody
//! who talks, and everybody hears him, so a browser's call and a SIP call are one conversation.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use host_std::session::Certificate;
use host_std::web::{Caller, EndError, Opened, ServeConfig, SoundEnd, Tls, Web, WebConfig, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config;
use crate::phone::say;
use crate::sound::Plugs;

/// Browsers at once.
pub(crate) const MOST: usize = 4;

/// The page, and the calls that it makes.
pub(crate) struct Browsers {
    web: Web,
    serving: JoinHandle<()>,
}

impl Browsers {
    /// Begins to listen, if the config says where.
    ///
    /// # Errors
    /// In words.
    pub(crate) async fn start(config: &config::Web, plugs: Plugs) -> Result<Option<Self>, String> {
        let Some(listen) = config.listen else { return Ok(None) };
        let tls = tls(listen)?;
        let listener = TcpListener::bind(listen).await.map_err(|error| format!("web.listen {listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| format!("web.listen {listen}: {error}"))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let settings = WebConfig {
            address: listen.ip(),
            token: config.token.as_ref().map(|token| token.reveal().into()),
            max_calls: MOST,
            ..WebConfig::default()
        };
        let web = Web::new(settings, Handsets { plugs, next: AtomicU64::new(u64::MAX) });
        let pages = web.router();
        let serving = tokio::spawn(async move {
            let error = serve(listener, pages, ServeConfig { tls, ..ServeConfig::default() }).await;
            say!("no browser is answered any more: {error}");
        });
        say!("browsers: {scheme}://{address}");
        Ok(Some(Self { web, serving }))
    }

    /// Takes no more calls, and ends those that there are.
    pub(crate) async fn close(&self) {
        self.serving.abort();
        self.web.close().await;
    }
}

/// A browser gives its microphone to pages of its own machine, and of others only over TLS.
fn tls(listen: SocketAddr) -> Result<Option<Tls>, String> {
    if listen.ip().is_loopback() {
        return Ok(None);
    }
    let certificate = Certificate::for_names(&[listen.ip().to_string()]).map_err(|error| error.to_string())?.to_pem();
    Tls::from_pem(&certificate, &certificate).map(Some).map_err(|error| format!("web.listen {listen}: {error}"))
}

/// A place at the desk for each browser.
struct Handsets {
    plugs: Plugs,
    /// The key of the next one: those of SIP calls count up.
    next: AtomicU64,
}

impl SoundEnd for Handsets {
    fn open(&self, caller: &Caller) -> Result<Opened, EndError> {
        let key = self.next.fetch_sub(1, Ordering::Relaxed);
        let end = self.plugs.plug(key).ok_or_else(|| EndError::Busy("the phone is being closed".into()))?;
        let name = caller.name.clone().unwrap_or_else(|| "a browser".into());
        say!("{name} talks along");
        let mut opened = Opened::from(end);
        opened.place = Some(Box::new(Leaves(name)));
        Ok(opened)
    }

    fn words(&self) -> String {
        "whoever is on the phone".into()
    }

    fn is_room(&self) -> bool {
        true
    }
}

/// Tells when a browser is gone.
struct Leaves(String);

impl Drop for Leaves {
    fn drop(&mut self) {
        say!("{} has left", self.0);
    }
}
