//! How a call with the phone sounds, beside the same call between two desktops.

use host_std::simulate::netsim::NetworkConfig;

use crate::harness::{AN386, Plan, Side, firmware};

/// Mean of these, and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// How many pairs of calls are compared, for each codec: `MEDIA_CORE_PHONE_PAIRS`, or as many as tell a tenth.
fn pairs() -> u64 {
    std::env::var("MEDIA_CORE_PHONE_PAIRS").map_or(12, |pairs| pairs.parse().expect("a number of pairs"))
}

/// What both sides hear of 30 s over a bad network, by PESQ, beside the same call between two desktops: no more than 0.1 worse.
///
/// Both calls of a pair run at the same time, and the same packets of the same speech are lost and late in both. What is compared is the
/// difference within the pairs: from pair to pair the scores differ by some tenths, by what of the speech is lost.
#[test]
#[ignore = "24 pairs of calls of 30 s in real time, and PESQ: .ci/long"]
fn phone_call_sounds_as_between_two_desktops() {
    let Some(image) = firmware(AN386) else { return };
    let bad = NetworkConfig { loss_percent: 3.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    for codec in ["pcmu", "g722"] {
        let call = |side: Side, seed: u64| {
            let who = if side == Side::Phone { "phone" } else { "desktop" };
            let network = Some((bad, seed));
            let plan = Plan { codec, srtp: true, seconds: 30, first: side, network, ..Plan::default() };
            let outcome = plan.call(&format!("phone-pesq-{codec}-{who}-{seed}"), Some(&image));
            let heard = outcome.pesq();
            outcome.end();
            heard
        };
        let pair = |seed: u64| {
            std::thread::scope(|scope| {
                let phone = scope.spawn(|| call(Side::Phone, seed));
                let desktops = call(Side::Desktop, seed);
                [phone.join().unwrap(), desktops]
            })
        };
        let seeds: Vec<u64> = (11..11 + pairs()).collect();
        let mut all = Vec::new();
        // Two pairs at once: more would be a test of this machine.
        for seeds in seeds.chunks(2) {
            let pairs: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = seeds.iter().map(|seed| scope.spawn(|| pair(*seed))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (seed, pair) in seeds.iter().zip(pairs) {
                println!("phone-pair | {codec} | {seed} | {pair:.2?} |");
                all.push(pair);
            }
        }
        // What the other side hears of the phone, what the phone hears, and both.
        let differences = |side: usize| all.iter().map(move |[phone, desktops]| phone[side] - desktops[side]);
        let [there, here] = [0, 1].map(|side| mean(&differences(side).collect::<Vec<_>>()));
        let (difference, error) =
            mean(&differences(0).zip(differences(1)).map(|(a, b)| (a + b) / 2.0).collect::<Vec<_>>());
        let [phone, desktops] =
            [0, 1].map(|which| mean(all.iter().flat_map(|pair| pair[which]).collect::<Vec<_>>().as_slice()).0);
        println!(
            "phone-row | {codec} | {} | {phone:.2} | {desktops:.2} | {difference:+.2} ({error:.2}) | {:+.2} ({:.2}) | {:+.2} ({:.2}) |",
            all.len(),
            there.0,
            there.1,
            here.0,
            here.1
        );
        assert!(difference + 2.0 * error > -0.1, "{codec}: {difference:.3}, standard error {error:.3}");
    }
}
