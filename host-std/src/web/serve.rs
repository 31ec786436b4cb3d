//! Listens for browsers: connections within bounds of their number and of the time that headers and answers take, with TLS
//! or without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::patience::Patient;

/// The response to a connection beyond the limit.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// The pause after an error that doesn't concern a single connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's headers.
const HEADER_BYTES: usize = 32 * 1_024;

/// The configuration of [`serve`].
#[derive(Clone)]
pub struct ServeConfig {
    /// The most connections at once. Further ones are answered with an error and closed.
    pub connections: usize,
    /// The time within which the headers of a request must arrive, after the connection or after the request before.
    pub header_time: Duration,
    /// The time within which a TLS handshake must be complete.
    pub handshake_time: Duration,
    /// The time within which a client must read 16 KiB of an answer once the system's buffers are full. A slower client loses the
    /// connection.
    pub write_time: Duration,
    /// The certificate for TLS; `None` is plain HTTP.
    #[cfg(feature = "web-tls")]
    pub tls: Option<Tls>,
}

impl Default for ServeConfig {
    /// 512 connections, 10 s for headers, for handshakes and for 16 KiB of an answer, without TLS.
    fn default() -> Self {
        Self {
            connections: 512,
            header_time: Duration::from_secs(10),
            handshake_time: Duration::from_secs(10),
            write_time: Duration::from_secs(10),
            #[cfg(feature = "web-tls")]
            tls: None,
        }
    }
}

/// Serves `app` until this is dropped or the listener fails for good.
pub async fn serve(listener: TcpListener, app: Router, config: ServeConfig) -> io::Error {
    let places = Arc::new(Semaphore::new(config.connections));
    loop {
        let (mut stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if of_one(&error) => continue,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return error,
            Err(error) => {
                tracing::warn!(%error, "no connection is taken for a moment");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::debug!("one connection too many");
            tracing::trace!(%peer, "whose connection it was");
            // It has room for these few bytes, or isn't worth waiting for.
            let _ = tokio::time::timeout(PAUSE, stream.write_all(FULL)).await;
            continue;
        };
        // Answers are short, and wait for nothing.
        let _ = stream.set_nodelay(true);
        let app = app.clone().layer(axum::Extension(ConnectInfo(peer)));
        let config = config.clone();
        tokio::spawn(async move {
            connection(stream, app, &config).await;
            drop(place);
        });
    }
}

/// Returns whether an error concerns only the connection that was to be accepted.
fn of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, app: Router, config: &ServeConfig) {
    let stream = Patient::new(stream, config.write_time);
    #[cfg(feature = "web-tls")]
    if let Some(tls) = &config.tls {
        match tokio::time::timeout(config.handshake_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => requests(stream, app, config).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS came about"),
            Err(_) => tracing::debug!("TLS took too long"),
        }
        return;
    }
    requests(stream, app, config).await;
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router, config: &ServeConfig) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(config.header_time).max_buf_size(HEADER_BYTES);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)).await {
        tracing::debug!(%error, "a connection has ended");
    }
}

#[cfg(feature = "web-tls")]
mod tls {
    use std::fmt;
    use std::sync::Arc;

    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
    use tokio_rustls::rustls::{self, ServerConfig};

    /// Certificate and key of a server.
    #[derive(Clone)]
    pub struct Tls(Arc<ServerConfig>);

    /// The reason why there is no TLS.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum TlsError {
        /// The certificates can't be read.
        Certificates(pem::Error),
        /// There is no certificate in the text.
        NoCertificate,
        /// The key can't be read.
        Key(pem::Error),
        /// Certificate and key don't belong together, or are of an unknown kind.
        Unusable(rustls::Error),
    }

    impl fmt::Display for TlsError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Certificates(error) => write!(f, "the certificate can't be read: {error}"),
                Self::NoCertificate => write!(f, "there is no certificate in it (-----BEGIN CERTIFICATE-----)"),
                Self::Key(error) => write!(f, "the private key can't be read: {error}"),
                Self::Unusable(error) => write!(f, "certificate and key can't be used: {error}"),
            }
        }
    }

    impl std::error::Error for TlsError {}

    impl Tls {
        /// Reads the texts in PEM: the certificates, the server's first, and its private key. Both may be one text.
        ///
        /// # Errors
        /// A [`TlsError`] that says whether the certificates or the key can't be read, or don't belong together.
        pub fn from_pem(certificates: &str, key: &str) -> Result<Self, TlsError> {
            let chain = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
            let chain = chain.map_err(TlsError::Certificates)?;
            if chain.is_empty() {
                return Err(TlsError::NoCertificate);
            }
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(TlsError::Key)?;
            // A provider of our own, whatever else is in the program.
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
                .map_err(TlsError::Unusable)?;
            Ok(Self(Arc::new(config)))
        }

        pub(super) fn acceptor(&self) -> TlsAcceptor {
            TlsAcceptor::from(self.0.clone())
        }
    }
}
#[cfg(feature = "web-tls")]
pub use tls::{Tls, TlsError};
