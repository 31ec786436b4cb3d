//! The reasons why there are no sockets, and the requests that were granted only in part: in one line each for the operator.

use std::error::Error;
use std::net::IpAddr;
use std::{fmt, io};

use super::Dscp;

/// The reason why the sockets of a call can't be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketError {
    /// All ports of the range are in use.
    Full {
        /// The address to which they were to be bound.
        address: IpAddr,
        /// The range's first port.
        first: u16,
        /// Its last.
        last: u16,
        /// The number of ports for RTP, each of which was tried once.
        tried: usize,
        /// The system's error for the last port that was tried.
        source: io::Error,
    },
    /// The range has no port, or none that is even and has the next one in the range for RTCP.
    NoPort {
        /// The range's first port.
        first: u16,
        /// Its last.
        last: u16,
        /// Whether there has to be a port for RTCP.
        with_rtcp: bool,
    },
    /// The system gives no port at this address.
    Bind {
        /// The address to which it was to be bound.
        address: IpAddr,
        /// The port for RTP, 0 for any.
        port: u16,
        /// Whether the next one was to be bound too.
        with_rtcp: bool,
        /// The system's error.
        source: io::Error,
    },
    /// This process, or the whole system, has as many files and sockets open as it may.
    Descriptors {
        /// The system's error.
        source: io::Error,
    },
    /// Packets can't be marked.
    Dscp {
        /// The DSCP with which they were to be marked.
        dscp: Dscp,
        /// The system's error.
        source: io::Error,
    },
    /// The system takes no such buffer size.
    Buffer {
        /// "receive" or "send".
        which: &'static str,
        /// The bytes asked for.
        bytes: usize,
        /// The system's error.
        source: io::Error,
    },
    /// There is no randomness to draw a port with.
    Randomness(getrandom::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { address, first, last, tried, .. } => {
                write!(f, "all ports from {first} to {last} at {address} are in use ({tried} tried)")
            }
            Self::NoPort { first, last, with_rtcp: false } => write!(f, "there is no port from {first} to {last}"),
            Self::NoPort { first, last, with_rtcp: true } => {
                write!(f, "from {first} to {last} there is no even port for RTP with the next one for RTCP")
            }
            Self::Bind { address, port: 0, .. } => write!(f, "no free ports at {address}"),
            Self::Bind { address, port, with_rtcp: true, .. } => {
                write!(f, "ports {port} and {} at {address}", u32::from(*port) + 1)
            }
            Self::Bind { address, port, with_rtcp: false, .. } => write!(f, "port {port} at {address}"),
            Self::Descriptors { .. } => f.write_str(
                "as many files and sockets are open as may be (`ulimit -n` of this process, or the system's)",
            ),
            Self::Dscp { dscp, .. } => write!(f, "packets can't be marked with DSCP {dscp}"),
            Self::Buffer { which, bytes, .. } => write!(f, "the sockets' {which} buffers can't have {bytes} bytes"),
            Self::Randomness(_) => f.write_str("no randomness from the operating system"),
        }
    }
}

impl Error for SocketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full { source, .. }
            | Self::Bind { source, .. }
            | Self::Descriptors { source }
            | Self::Dscp { source, .. }
            | Self::Buffer { source, .. } => Some(source),
            Self::NoPort { .. } => None,
            Self::Randomness(source) => Some(source),
        }
    }
}

/// A request that the system granted only in part, without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketWarning {
    /// The buffer for incoming datagrams is smaller, in bytes.
    ReceiveBuffer {
        /// Asked for.
        asked: usize,
        /// Granted.
        granted: usize,
    },
    /// The buffer of what goes out is smaller, in bytes.
    SendBuffer {
        /// Asked for.
        asked: usize,
        /// Granted.
        granted: usize,
    },
    /// Packets have another mark.
    Dscp {
        /// Asked for.
        asked: Dscp,
        /// Granted.
        granted: Dscp,
    },
}

impl fmt::Display for SocketWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = |which, setting, asked, granted| {
            write!(f, "the system gives the sockets' {which} buffers {granted} bytes, not {asked}")?;
            if cfg!(target_os = "linux") { write!(f, " (sysctl {setting} is the most)") } else { Ok(()) }
        };
        match *self {
            Self::ReceiveBuffer { asked, granted } => buffer("receive", "net.core.rmem_max", asked, granted),
            Self::SendBuffer { asked, granted } => buffer("send", "net.core.wmem_max", asked, granted),
            Self::Dscp { asked, granted } => {
                write!(f, "the system marks packets with DSCP {granted}, not {asked}")
            }
        }
    }
}
