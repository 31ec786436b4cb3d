//! Redundancy that comes when the other side tells of losses, and goes when there are none.

use std::net::SocketAddr;

use dsp_core::time::Instant;
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

/// A call of PCMU over this network; both sides repeat one packet while they are told of losses.
fn pair(network: NetworkConfig) -> VirtualTime {
    let call = |port: u16| {
        let config = CallConfig {
            codecs: vec![CodecFormat::pcmu()],
            redundancy: 1,
            redundancy_on_loss: true,
            ..CallConfig::with_identity(port, Identity::seeded(port.into()))
        };
        Call::new(config).unwrap()
    };
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut pair = VirtualTime::connect([call(4_000), call(5_000)], addresses, network, 0.0, 1).unwrap();
    pair.ends.iter_mut().for_each(|end| end.speech = (0..8_000i16).map(|n| (n % 80 - 40) * 100).collect());
    pair
}

/// Samples at the first side that came with a later packet, and that were made up.
fn recovered(pair: &VirtualTime) -> (u64, u64) {
    let stats = pair.ends[0].call.stats().receiver;
    (stats.recovered_samples, stats.concealed_samples)
}

#[test]
fn packets_are_repeated_once_losses_are_told() {
    let mut pair = pair(NetworkConfig { loss_percent: 5.0, ..NetworkConfig::default() });
    pair.run_until(Instant::from_millis(2_000));
    let (early, made_up) = recovered(&pair);
    assert!(early == 0 && made_up > 0, "{early} {made_up}: no report has come yet");
    // The first report has come, and the other side repeats.
    pair.run_until(Instant::from_millis(10_000));
    let before = recovered(&pair);
    pair.run_until(Instant::from_millis(70_000));
    let after = recovered(&pair);
    let (recovered, made_up) = (after.0 - before.0, after.1 - before.1);
    // 5 % of a minute is 24,000 samples, and of two in a row 1,200.
    assert!((15_000..33_000).contains(&recovered), "{recovered}");
    assert!(made_up < 4_000, "{made_up}");
}

#[test]
fn nothing_is_repeated_where_nothing_is_lost() {
    let mut pair = pair(NetworkConfig::default());
    pair.run_until(Instant::from_millis(30_000));
    assert_eq!(recovered(&pair), (0, 0));
    // An octet a sample, and not one more for a header of RFC 2198.
    let sent = pair.ends[1].call.stats().sender;
    assert_eq!(sent.octets, sent.packets * 160);
}
