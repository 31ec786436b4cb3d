//! The driver's connections to TURN servers by TCP.

#[cfg(not(feature = "ice"))]
pub(super) use without::TurnConnections;

#[cfg(feature = "ice")]
pub(super) use with::TurnConnections;

#[cfg(feature = "ice")]
mod with {
    use std::io;
    use std::net::SocketAddr;
    use std::task::Poll;

    use tokio::io::Interest;
    use tokio::net::TcpStream;

    use crate::session::TurnConnection;

    /// Datagrams taken in at once: a server that sends faster must not keep a tick waiting.
    const AT_ONCE: usize = 64;

    /// One connection, and the same to wait for; none of the latter when it's over.
    struct Connection {
        own: TurnConnection,
        ready: Option<TcpStream>,
        /// Whether there may be more that has come already.
        more: bool,
    }

    /// All connections of a call.
    pub(crate) struct TurnConnections(Vec<Connection>);

    impl TurnConnections {
        /// Takes the connections; one that can't be waited for counts as closed.
        pub(in crate::session) fn new(connections: Vec<TurnConnection>) -> Self {
            let connection = |own: TurnConnection| {
                let ready = own.stream().try_clone().and_then(TcpStream::from_std).ok();
                Connection { own, ready, more: false }
            };
            Self(connections.into_iter().map(connection).collect())
        }

        /// Waits for one that has something to read.
        pub(crate) async fn readable(&self) -> usize {
            std::future::poll_fn(|context| {
                for (number, connection) in self.0.iter().enumerate() {
                    if let Some(ready) = &connection.ready
                        && (connection.more || ready.poll_read_ready(context).is_ready())
                    {
                        return Poll::Ready(number);
                    }
                }
                Poll::Pending
            })
            .await
        }

        /// Takes in the received data, some of them if there are many; returns the server, if the connection is over.
        pub(in crate::session) fn receive(
            &mut self,
            number: usize,
            mut take: impl FnMut(SocketAddr, &mut [u8]),
        ) -> Option<SocketAddr> {
            let Connection { own, ready, more } = self.0.get_mut(number)?;
            let server = own.server();
            if let Some(ready) = ready {
                // The connection reads without tokio's knowledge, so its readiness is cleared: whatever comes from now on is
                // reported.
                let _ = ready.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
            *more = false;
            for _ in 0..AT_ONCE {
                match own.receive() {
                    Ok(Some(datagram)) => take(server, datagram),
                    Ok(None) => return None,
                    Err(error) => {
                        tracing::warn!(%error, "the connection to the TURN server is over");
                        tracing::trace!(%server, "whose connection is over");
                        *ready = None;
                        return Some(server);
                    }
                }
            }
            *more = true;
            None
        }

        /// Sends to the server with this address; whether there was room. `None` if none has it.
        pub(in crate::session) fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> Option<bool> {
            let connection = self.0.iter_mut().find(|connection| connection.own.server() == to)?;
            Some(connection.ready.is_some() && connection.own.send(datagram).unwrap_or(false))
        }
    }
}

#[cfg(not(feature = "ice"))]
mod without {
    use std::net::SocketAddr;

    /// The connections to TURN servers; without ICE there are none.
    pub(crate) struct TurnConnections;

    impl TurnConnections {
        /// Waits for ever, since there are no connections.
        pub(crate) async fn readable(&self) -> usize {
            std::future::pending().await
        }

        /// Does nothing, since there are no connections.
        pub(in crate::session) fn receive(
            &mut self,
            _: usize,
            _: impl FnMut(SocketAddr, &mut [u8]),
        ) -> Option<SocketAddr> {
            None
        }

        /// No server has this address.
        pub(in crate::session) fn send(&mut self, _: SocketAddr, _: &[u8]) -> Option<bool> {
            None
        }
    }
}
