//! The core with a virtual clock: what goes in, what comes out, and when.

use proptest::prelude::*;

use super::*;

const A: Link = (0, 1);
const B: Link = (1, 0);

/// A datagram with a number in it.
fn datagram(number: u32) -> Vec<u8> {
    let mut packet = vec![0_u8; 28 + 32];
    packet[0] = 0x45;
    packet[9] = UDP;
    // Throughout, so that a wrong bit does not make one datagram of another.
    packet[28..].chunks_exact_mut(4).for_each(|place| place.copy_from_slice(&number.to_be_bytes()));
    packet
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[28..32].try_into().expect("four bytes"))
}

/// Sends numbered datagrams at these times and answers when what came out.
fn through(core: &mut Core, link: Link, times: &[Duration]) -> Vec<(Duration, Vec<u8>)> {
    let mut out = Vec::new();
    let mut drain = |core: &mut Core, until: Duration| {
        while let Some(due) = core.next_due().filter(|due| *due <= until) {
            let packet = core.due(due).expect("it is due");
            out.push((due, packet));
        }
    };
    for (number, now) in times.iter().enumerate() {
        drain(core, *now);
        core.receive(*now, link, datagram(number as u32));
    }
    drain(core, Duration::MAX);
    out
}

fn treated(treatment: Treatment) -> Core {
    let mut core = Core::new(1);
    core.treat(&BTreeMap::from([(A, treatment)]));
    core
}

fn every(gap: Duration, count: u32) -> Vec<Duration> {
    (0..count).map(|number| gap * number).collect()
}

fn treatment() -> impl Strategy<Value = Treatment> {
    let percent = || prop_oneof![Just(0_u8), 0..=100_u8];
    let rate = prop_oneof![Just(None), (1_u32..100_000).prop_map(Some)];
    (percent(), percent(), percent(), percent(), 0..100_u64, 0..100_u64, rate).prop_map(
        |(loss, duplicate, late, corrupt, delay, jitter, rate)| Treatment {
            loss,
            duplicate,
            late,
            corrupt,
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            rate,
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_invented_and_nothing_vanishes_uncounted(
        treatment in treatment(),
        gaps in prop::collection::vec(0..5_000_u64, 1..400),
    ) {
        let times: Vec<Duration> = gaps
            .iter()
            .scan(Duration::ZERO, |now, gap| { *now += Duration::from_micros(*gap); Some(*now) })
            .collect();
        let mut core = treated(treatment.clone());
        let out = through(&mut core, A, &times);
        let tally = core.tally();
        prop_assert_eq!(tally.seen, times.len() as u64);
        prop_assert_eq!(out.len() as u64, tally.seen - tally.lost - tally.overflowed + tally.doubled);
        let mut wrong_bits = 0;
        let mut last = None;
        for (due, packet) in &out {
            let number = number(packet);
            let original = datagram(number);
            let bits: u32 = packet.iter().zip(&original).map(|(a, b)| (a ^ b).count_ones()).sum();
            if (number as usize) < times.len() && bits == 0 {
                let sent = times[number as usize];
                prop_assert!(*due >= sent + treatment.delay, "{} was early", number);
                if treatment.rate.is_none() {
                    prop_assert!(*due <= sent + treatment.longest(), "{} was too late", number);
                }
                if treatment.late == 0 {
                    prop_assert!(last <= Some(number), "{} was overtaken", number);
                    last = Some(number);
                }
            } else {
                wrong_bits += 1;
            }
        }
        if tally.doubled == 0 {
            prop_assert_eq!(wrong_bits, tally.damaged, "one damaged packet comes out of each");
        }
        prop_assert!(treatment.corrupt > 0 || wrong_bits == 0);
    }

    #[test]
    fn a_rate_is_kept_over_any_stretch(rate in 8_u32..100_000, gaps in prop::collection::vec(0..2_000_u64, 2..200)) {
        let times: Vec<Duration> = gaps
            .iter()
            .scan(Duration::ZERO, |now, gap| { *now += Duration::from_micros(*gap); Some(*now) })
            .collect();
        let out = through(&mut treated(Treatment { rate: Some(rate), ..Treatment::default() }), A, &times);
        for from in 0..out.len() {
            let bytes: u64 = out[from..].iter().map(|(_, packet)| packet.len() as u64).sum();
            let took = out[out.len() - 1].0 - out[from].0;
            let most = u64::from(rate) * u64::try_from(took.as_micros()).expect("short") / 8_000 + BUCKET;
            prop_assert!(bytes <= most + datagram(0).len() as u64 + 1, "{} bytes in {:?}", bytes, took);
        }
    }
}

#[test]
fn shares_are_as_asked() {
    let asked = Treatment { loss: 20, duplicate: 10, late: 5, corrupt: 30, ..Treatment::default() };
    let mut core = treated(asked);
    through(&mut core, A, &every(Duration::from_micros(100), 100_000));
    let Tally { seen, lost, doubled, late, damaged, overflowed } = core.tally();
    assert_eq!((seen, overflowed), (100_000, 0));
    let arrived = seen - lost;
    for (count, of, percent) in [(lost, seen, 20), (doubled, arrived, 10), (late, arrived, 5), (damaged, arrived, 30)] {
        // Five standard deviations of the widest are 0.8 %.
        let share = count as f64 / of as f64 * 100.0;
        assert!((share - f64::from(percent)).abs() < 0.8, "{share} instead of {percent}");
    }
}

#[test]
fn late_packets_are_overtaken() {
    let out = through(
        &mut treated(Treatment { late: 10, ..Treatment::default() }),
        A,
        &every(Duration::from_micros(200), 1_000),
    );
    let overtaken = out.windows(2).filter(|pair| number(&pair[1].1) < number(&pair[0].1)).count();
    assert!(overtaken > 30, "{overtaken} of about 100 late ones");
}

#[test]
fn a_link_in_no_trouble_is_not_touched_and_links_do_not_share_their_fate() {
    let loss = Treatment { loss: 50, ..Treatment::default() };
    let times = every(Duration::from_micros(10), 1_000);
    let alone = through(&mut treated(loss.clone()), A, &times);
    assert_eq!(through(&mut treated(loss.clone()), B, &times).len(), 1_000);
    let mut both = Core::new(1);
    both.treat(&BTreeMap::from([(A, loss.clone()), (B, loss)]));
    let other = through(&mut both, B, &times);
    assert_eq!(through(&mut both, A, &times), alone, "traffic on the other link has changed nothing");
    assert_ne!(other, alone, "and each link draws for itself");
}

#[test]
fn a_full_lane_drops_and_counts() {
    let mut core = treated(Treatment { delay: Duration::from_secs(1), ..Treatment::default() });
    let out = through(&mut core, A, &vec![Duration::ZERO; MOST_HELD + 100]);
    assert_eq!((out.len(), core.tally().overflowed), (MOST_HELD, 100));
}

#[test]
fn a_packet_in_no_trouble_passes_what_is_held_up_and_nothing_else() {
    let mut core = treated(Treatment { delay: Duration::from_secs(1), ..Treatment::default() });
    core.receive(Duration::ZERO, A, datagram(1));
    core.receive(Duration::from_secs(1), B, datagram(2));
    core.pass(Duration::from_secs(1), datagram(3));
    core.receive(Duration::from_secs(1), A, datagram(4));
    let out: Vec<u32> = std::iter::from_fn(|| core.due(Duration::from_secs(1))).map(|packet| number(&packet)).collect();
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn what_was_held_up_goes_on_when_the_trouble_is_over() {
    let mut core = treated(Treatment { delay: Duration::from_secs(9), ..Treatment::default() });
    core.receive(Duration::ZERO, A, datagram(1));
    core.receive(Duration::ZERO, A, datagram(2));
    assert_eq!(core.due(Duration::from_secs(1)), None);
    core.treat(&BTreeMap::new());
    let out: Vec<u32> = std::iter::from_fn(|| core.due(Duration::from_secs(1))).map(|packet| number(&packet)).collect();
    assert_eq!(out, [1, 2], "in their order");
}

#[test]
fn damage_is_one_bit_that_a_checksum_covers() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut segment = vec![0_u8; 40];
    (segment[0], segment[9], segment[32]) = (0x45, TCP, 0x50);
    let mut with_payload = segment.clone();
    with_payload.extend([7; 10]);
    for (packet, covered) in [(&segment, 24..32), (&with_payload, 40..50), (&datagram(1), 28..60)] {
        for _ in 0..200 {
            let mut hit = packet.clone();
            assert!(damage(&mut hit, &mut rng));
            let changed: Vec<usize> = (0..hit.len()).filter(|at| hit[*at] != packet[*at]).collect();
            assert_eq!(changed.len(), 1);
            assert!(covered.contains(&changed[0]), "byte {}", changed[0]);
            assert_eq!((hit[changed[0]] ^ packet[changed[0]]).count_ones(), 1);
        }
    }
    let mut empty = datagram(1)[..28].to_vec();
    assert!(!damage(&mut empty, &mut rng), "a datagram without a payload has nothing to damage");
    for length in 0..60 {
        damage(&mut datagram(1)[..length].to_vec(), &mut rng);
    }
}
