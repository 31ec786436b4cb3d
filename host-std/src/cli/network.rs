//! The addresses of a call's sockets and their SDP: the same options for `offer` and `answer`.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::ops::RangeInclusive;

use clap::Args as ClapArgs;
use host_std::sockets::{Dscp, Ports, SocketConfig, Sockets};

use super::tell;

// The heading is each option's own: that of a group would go on to what follows the group.
#[derive(ClapArgs)]
pub(super) struct NetworkArgs {
    /// The address of this machine that we bind, and that the SDP says unless --advertise does [default: that of the
    /// interface which leads out]
    #[arg(help_heading = "Network", long)]
    address: Option<IpAddr>,
    /// The address that the SDP says where it's another one, as behind a one-to-one NAT; what we bind may be 0.0.0.0 or ::
    /// then [default: what we bind]
    #[arg(help_heading = "Network", long, value_name = "ADDRESS")]
    advertise: Option<IpAddr>,
    /// Our RTP port; RTCP is on the next one unless both sides multiplex [default: a free one]
    #[arg(help_heading = "Network", long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// The ports that we may have, as 20000-20999; one that is free is drawn from them, even and with the next one for RTCP
    #[arg(help_heading = "Network", long, value_parser = ports, value_name = "FIRST-LAST", conflicts_with = "port")]
    ports: Option<RangeInclusive<u16>>,
    /// What our packets are marked with for the routers: EF for voice, another name, or 0 to 63 [default: the system's]
    #[arg(help_heading = "Network", long, value_name = "DSCP")]
    dscp: Option<Dscp>,
    /// Bytes that the system holds for us of what comes and of what goes, for each socket [default: the system's]
    #[arg(help_heading = "Network", long, value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)), value_name = "BYTES")]
    socket_buffer: Option<u32>,
}

/// Our sockets and addresses.
pub(super) struct LocalEndpoint {
    /// The address of our sockets.
    pub(super) bound: IpAddr,
    /// The address that is given to the other side.
    pub(super) advertised: IpAddr,
    pub(super) sockets: Sockets,
}

impl NetworkArgs {
    /// Opens the sockets; with `of_ipv6` at an address of IPv6, unless the options say otherwise.
    ///
    /// # Errors
    /// The error for addresses that can't be given to the other side or don't go together, and the reason why there are no
    /// sockets.
    pub(super) fn open(&self, of_ipv6: bool) -> Result<LocalEndpoint, Box<dyn Error>> {
        let (bound, advertised) = self.addresses(of_ipv6)?;
        let config = SocketConfig {
            address: bound,
            ports: match &self.ports {
                Some(range) => Ports::Range(range.clone()),
                None if self.port != 0 => Ports::At(self.port),
                None => Ports::Any,
            },
            dscp: self.dscp,
            receive_buffer: self.socket_buffer.map(|bytes| bytes as usize),
            send_buffer: self.socket_buffer.map(|bytes| bytes as usize),
        };
        // Whether RTCP needs a port of its own, only the answer says.
        let sockets = Sockets::open(&config, true)?;
        for warning in &sockets.warnings {
            tell(&format!("media-core: mind: {warning}\n"));
        }
        Ok(LocalEndpoint { bound, advertised, sockets })
    }

    /// Returns the address to bind, and the one in the SDP.
    fn addresses(&self, of_ipv6: bool) -> Result<(IpAddr, IpAddr), String> {
        let (address, advertise) = (self.address.map(canonical), self.advertise.map(canonical));
        // In SDP this address means hold (RFC 3264, 8.4).
        if let Some(advertise) = advertise.filter(IpAddr::is_unspecified) {
            return Err(format!("--advertise {advertise}: the other side can't send there"));
        }
        if let (Some(address), None) = (address.filter(IpAddr::is_unspecified), advertise) {
            return Err(format!(
                "--address {address}: the other side can't send there; name one of this machine's, or --advertise one"
            ));
        }
        let bound = address.unwrap_or_else(|| own_address(advertise.map_or(of_ipv6, |advertise| advertise.is_ipv6())));
        let advertised = advertise.unwrap_or(bound);
        // A socket at all addresses of IPv6 has IPv4 too.
        if advertised.is_ipv4() != bound.is_ipv4() && bound != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            return Err(format!(
                "--advertise {advertised}: our sockets are at {bound}, and what comes to the one can't come to the other"
            ));
        }
        Ok((bound, advertised))
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// First and last port of a range.
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err("must be the first and the last port, each from 1 to 65535, as 20000-20999".into());
    };
    if first > last { Err(format!("{first} is above {last}")) } else { Ok(first..=last) }
}

/// The address of the interface that the default route leads over: of IPv6 if that's wanted, and of the other family where
/// there is none of the one. No packet is sent: connecting a UDP socket only asks the routing table.
pub(super) fn own_address(of_ipv6: bool) -> IpAddr {
    let find = |here: IpAddr, there: IpAddr| -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((here, 0))?;
        socket.connect((there, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    // Addresses that documents may use (RFC 5737, RFC 3849), so nobody's.
    let ipv4 = || find(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
    let ipv6 = || find(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let found = if of_ipv6 {
        // On a machine without a network the offer may still come from the machine itself.
        ipv6().or_else(|_| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).map(|_| Ipv6Addr::LOCALHOST.into()))
    } else {
        ipv4().or_else(|_| ipv6())
    };
    found.unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(address: Option<&str>, advertise: Option<&str>) -> Result<(String, String), String> {
        let [address, advertise] = [address, advertise].map(|text| text.map(|text| text.parse().unwrap()));
        let args = NetworkArgs { address, advertise, port: 0, ports: None, dscp: None, socket_buffer: None };
        args.addresses(false).map(|(bound, advertised)| (bound.to_string(), advertised.to_string()))
    }

    #[test]
    fn the_sdp_says_the_bound_address_or_the_advertised_one() {
        let both = |bound: &str, advertised: &str| Ok((bound.to_owned(), advertised.to_owned()));
        assert_eq!(addresses(Some("10.0.0.5"), None), both("10.0.0.5", "10.0.0.5"));
        assert_eq!(addresses(Some("10.0.0.5"), Some("203.0.113.7")), both("10.0.0.5", "203.0.113.7"));
        assert_eq!(addresses(Some("0.0.0.0"), Some("203.0.113.7")), both("0.0.0.0", "203.0.113.7"));
        assert_eq!(addresses(Some("::ffff:10.0.0.5"), None), both("10.0.0.5", "10.0.0.5"));
        assert_eq!(addresses(Some("::"), Some("203.0.113.7")), both("::", "203.0.113.7"));
        assert_eq!(addresses(None, Some("203.0.113.7")).unwrap().1, "203.0.113.7");
    }

    #[test]
    fn addresses_that_nobody_could_send_to_are_refused() {
        for (address, advertise, why) in [
            (Some("0.0.0.0"), None, "--address 0.0.0.0: "),
            (Some("::"), None, "--address ::: "),
            (Some("10.0.0.5"), Some("0.0.0.0"), "--advertise 0.0.0.0: "),
            (Some("10.0.0.5"), Some("2001:db8::7"), "--advertise 2001:db8::7: our sockets are at 10.0.0.5"),
            (Some("0.0.0.0"), Some("2001:db8::7"), "--advertise 2001:db8::7: our sockets are at 0.0.0.0"),
            (Some("::1"), Some("203.0.113.7"), "--advertise 203.0.113.7: our sockets are at ::1"),
        ] {
            let error = addresses(address, advertise).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_range_has_a_first_and_a_last_port() {
        assert_eq!(ports("20000-20999"), Ok(20_000..=20_999));
        assert_eq!(ports("1-65535"), Ok(1..=65_535));
        assert_eq!(ports("5000"), Ok(5_000..=5_000));
        assert_eq!(ports("6-5"), Err("6 is above 5".into()));
        for wrong in ["0-5", "5-65536", "", "-", "a-b", "5-", "-5", "1-2-3", "5..6"] {
            assert!(ports(wrong).unwrap_err().starts_with("must be the first and the last port"), "{wrong}");
        }
    }
}
