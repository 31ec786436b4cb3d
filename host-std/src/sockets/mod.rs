//! The UDP sockets of a call, as the operator of a machine wants them: where they are bound, in which range of ports,
//! how their packets are marked, how much the system buffers.
//!
//! Use it before a [`Driver`](crate::session::driver::Driver), or for calls that you drive yourself. A `manager` opens the sockets of its
//! sessions by itself, from the same [`SocketConfig`].
//!
//! RTP has an even port and RTCP the next one (RFC 3550, 11), unless both share a port (RFC 5761), which may be any. In a
//! range the ports are tried in random order, each once, so that calls one after the other don't get the same ports. The sockets
//! don't share their ports with others and don't block.
//!
//! ```
//! use host_std::sockets::{Dscp, Ports, SocketConfig, Sockets};
//!
//! let config = SocketConfig { ports: Ports::Range(20_000..=20_999), dscp: Some(Dscp::EF), ..SocketConfig::default() };
//! let sockets = Sockets::open(&config, true)?;
//! for warning in &sockets.warnings {
//!     eprintln!("{warning}");
//! }
//! let (rtp, rtcp) = (sockets.rtp.local_addr()?.port(), sockets.rtcp.ok_or("asked for")?.local_addr()?.port());
//! assert!((20_000..=20_998).contains(&rtp) && rtp % 2 == 0 && rtcp == rtp + 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Limits.** Windows marks packets only where its settings allow it. Where the system doesn't grant a request, the sockets are
//! opened all the same, and [`Sockets::warnings`] lists the differences.
//!
//! **Standards.** Ports: RFC 3550, 11 and RFC 5761. Marks (DSCP): RFC 2474, and RFC 4594 for which to choose.

mod dscp;
mod error;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub use dscp::{Dscp, DscpError};
pub use error::{SocketError, SocketWarning};

/// The number of times that the system is asked for a free port whose next one is free too.
const DRAWS: usize = 50;

/// The UDP ports that may be bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Any ports that the system has free.
    #[default]
    Any,
    /// This port for RTP, even or odd, and the next one for RTCP.
    At(u16),
    /// An even port in this range for RTP, and the next one, also in it, for RTCP.
    Range(RangeInclusive<u16>),
}

/// Settings of the sockets of a call. By default they are on 127.0.0.1, with any port and the system's own marks and buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// The address to which they are bound: one of this machine, or `0.0.0.0` or `::` for all of them. `::` is IPv6 and IPv4
    /// on systems that have it so, such as Linux.
    pub address: IpAddr,
    /// The ports that may be bound.
    pub ports: Ports,
    /// The mark of packets (differentiated services); `None` leaves it to the system. Windows marks IPv4 only where its
    /// settings allow it, and IPv6 not at all.
    pub dscp: Option<Dscp>,
    /// The bytes of datagrams that can wait to be read from each socket; `None` is the system's default. Systems count their own
    /// overhead too.
    pub receive_buffer: Option<usize>,
    /// The bytes of datagrams that can wait to be sent from each socket, likewise.
    pub send_buffer: Option<usize>,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: Ports::Any,
            dscp: None,
            receive_buffer: None,
            send_buffer: None,
        }
    }
}

/// The bound sockets of a call. They don't block, as `tokio::net::UdpSocket::from_std` wants them.
#[derive(Debug)]
pub struct Sockets {
    /// The socket for RTP, and for RTCP where it has none of its own.
    pub rtp: UdpSocket,
    /// The socket of RTCP, on the next port; `None` if it shares the port of RTP.
    pub rtcp: Option<UdpSocket>,
    /// The requests that were granted only in part.
    pub warnings: Vec<SocketWarning>,
}

impl Sockets {
    /// Opens them: both, or only the one for RTP.
    ///
    /// # Errors
    /// [`SocketError::Full`] for a range without a free port, [`SocketError::NoPort`] for one that can't have one,
    /// [`SocketError::Bind`] for an address that is not of this machine or a port in use, [`SocketError::Descriptors`] where no
    /// more files can be open, and the error of an option that the system can't set.
    pub fn open(config: &SocketConfig, with_rtcp: bool) -> Result<Self, SocketError> {
        let (rtp, rtcp) = match &config.ports {
            Ports::Any | Ports::At(0) => any(config.address, with_rtcp)?,
            Ports::At(u16::MAX) if with_rtcp => {
                return Err(SocketError::NoPort { first: u16::MAX, last: u16::MAX, with_rtcp });
            }
            Ports::At(port) => bind(config.address, *port, with_rtcp).map_err(|source| {
                let (address, port) = (config.address, *port);
                descriptors(source, |source| SocketError::Bind { address, port, with_rtcp, source })
            })?,
            Ports::Range(range) => within(config.address, range, with_rtcp)?,
        };
        let mut warnings = Vec::new();
        for socket in [Some(&rtp), rtcp.as_ref()].into_iter().flatten() {
            for warning in set_up(SockRef::from(socket), config)? {
                // Both sockets have the same one.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(Self { rtp, rtcp, warnings })
    }
}

/// Returns the error for missing descriptors, if the system reported that; else the error for this port.
fn descriptors(source: io::Error, otherwise: impl FnOnce(io::Error) -> SocketError) -> SocketError {
    if is_out_of_descriptors(&source) { SocketError::Descriptors { source } } else { otherwise(source) }
}

/// Returns whether the limit of the process (`EMFILE`) or of the system (`ENFILE`) is reached. The standard library has no kind
/// for it.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(code) if cfg!(windows) => code == 10_024,
        Some(code) => code == 23 || code == 24,
        None => false,
    }
}

type Bound = (UdpSocket, Option<UdpSocket>);

/// RTP at this port and RTCP, if it has its own, at the next.
fn bind(address: IpAddr, port: u16, with_rtcp: bool) -> io::Result<Bound> {
    let one = |port| -> io::Result<UdpSocket> {
        let place = SocketAddr::new(address, port);
        let socket = Socket::new(Domain::for_address(place), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&place.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    let rtp = one(port)?;
    if !with_rtcp {
        return Ok((rtp, None));
    }
    let next = rtp.local_addr()?.port().checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((rtp, Some(one(next)?)))
}

/// Returns a port that the system chooses, an even one if RTCP has its own.
fn any(address: IpAddr, with_rtcp: bool) -> Result<Bound, SocketError> {
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..DRAWS {
        match bind(address, 0, with_rtcp) {
            Ok((rtp, rtcp)) if rtcp.is_none() || rtp.local_addr().is_ok_and(|own| own.port().is_multiple_of(2)) => {
                return Ok((rtp, rtcp));
            }
            Ok(_) => {}
            // No other port would help.
            Err(error) if is_out_of_descriptors(&error) => return Err(SocketError::Descriptors { source: error }),
            Err(error) => last = error,
        }
    }
    Err(SocketError::Bind { address, port: 0, with_rtcp, source: last })
}

/// Returns a port of the range, and the one after it for RTCP, in random order until one is free.
fn within(address: IpAddr, range: &RangeInclusive<u16>, with_rtcp: bool) -> Result<Bound, SocketError> {
    let (first, last) = (*range.start(), *range.end());
    let fits = |port: &u16| *port != 0 && (!with_rtcp || (port.is_multiple_of(2) && *port < last));
    let mut ports: Vec<u16> = range.clone().filter(fits).collect();
    let mut refused = None;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SocketError::Randomness)?;
    let mut random = Xoshiro256PlusPlus::from_seed(seed);
    let tried = ports.len();
    while !ports.is_empty() {
        let drawn = random.next_u32() as usize % ports.len();
        let port = ports.swap_remove(drawn);
        match bind(address, port, with_rtcp) {
            Ok(bound) => return Ok(bound),
            // The port is in use, or reserved by the system.
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                refused = Some(error);
            }
            Err(source) => {
                return Err(descriptors(source, |source| SocketError::Bind { address, port, with_rtcp, source }));
            }
        }
    }
    Err(match refused {
        Some(source) => SocketError::Full { address, first, last, tried, source },
        None => SocketError::NoPort { first, last, with_rtcp },
    })
}

/// Marks and sizes one socket, and returns the requests that were granted only in part.
fn set_up(socket: SockRef<'_>, config: &SocketConfig) -> Result<Vec<SocketWarning>, SocketError> {
    let mut warnings = Vec::new();
    if let Some(asked) = config.dscp {
        let granted =
            mark(&socket, config.address, asked).map_err(|source| SocketError::Dscp { dscp: asked, source })?;
        if granted != asked {
            warnings.push(SocketWarning::Dscp { asked, granted });
        }
    }
    if let Some(asked) = config.receive_buffer {
        let error = |source| SocketError::Buffer { which: "receive", bytes: asked, source };
        socket.set_recv_buffer_size(as_option(asked)).map_err(error)?;
        let granted = granted(socket.recv_buffer_size().map_err(error)?);
        if granted < asked {
            warnings.push(SocketWarning::ReceiveBuffer { asked, granted });
        }
    }
    if let Some(asked) = config.send_buffer {
        let error = |source| SocketError::Buffer { which: "send", bytes: asked, source };
        socket.set_send_buffer_size(as_option(asked)).map_err(error)?;
        let granted = granted(socket.send_buffer_size().map_err(error)?);
        if granted < asked {
            warnings.push(SocketWarning::SendBuffer { asked, granted });
        }
    }
    Ok(warnings)
}

/// Converts the size to the option's type, a C `int`.
fn as_option(bytes: usize) -> usize {
    bytes.min(i32::MAX as usize)
}

/// Returns the granted size: Linux adds as much again for its own overhead, and reports the sum (socket(7)).
fn granted(told: usize) -> usize {
    if cfg!(any(target_os = "linux", target_os = "android")) { told / 2 } else { told }
}

/// Marks outgoing packets; returns the mark that they have then.
fn mark(socket: &Socket, address: IpAddr, dscp: Dscp) -> io::Result<Dscp> {
    match address {
        IpAddr::V4(_) => {
            socket.set_tos_v4(dscp.octet())?;
            socket.tos_v4().map(Dscp::of_octet)
        }
        IpAddr::V6(_) => {
            // IPv4 packets from a socket of both families take their mark from this option, where the system has it.
            let _ = socket.set_tos_v4(dscp.octet());
            mark_v6(socket, dscp)
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd"))]
fn mark_v6(socket: &Socket, dscp: Dscp) -> io::Result<Dscp> {
    socket.set_tclass_v6(dscp.octet())?;
    socket.tclass_v6().map(Dscp::of_octet)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd")))]
fn mark_v6(_: &Socket, _: Dscp) -> io::Result<Dscp> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no mark for IPv6"))
}
