//! Clients far away.

use super::*;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn slow_lines(seed: u64) -> World<Toy> {
    world(seed, Flaw::None, Options { clients: Span::millis(1, 50), ..Options::calm(2) })
}

/// Everything that arrives within that time.
fn arrivals(world: &mut World<Toy>, time: Duration) -> Vec<Arrival<Toy>> {
    let (end, mut all) = (world.now() + time, Vec::new());
    while world.now() < end {
        world.run_until_news(end).expect("the toy is right");
        all.extend(world.take_arrivals());
        world.take_notices();
    }
    all
}

fn told(arrival: &Arrival<Toy>) -> Option<u64> {
    match arrival.what {
        Heard::Reply(position) => Some(position),
        Heard::Refused | Heard::Closed => None,
    }
}

#[test]
fn a_connection_delays_but_keeps_its_order() {
    for_each_seed(0..20, |seed| {
        let mut world = slow_lines(seed);
        let client = world.connect(N1);
        (1..=30).for_each(|value| world.request_as(client, value * 10));
        let all = arrivals(&mut world, Duration::from_secs(2));
        let positions: Vec<u64> = all.iter().filter_map(told).collect();
        assert_eq!(positions, (1..=30).collect::<Vec<_>>(), "one answer each, in order");
        assert_eq!(world.durable(N1), (1..=30).map(|value| value * 10).collect::<Vec<_>>(), "asked in order");
        assert!(all.iter().all(|arrival| arrival.at >= Duration::from_millis(2)), "bytes travelled in no time");
        assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at), "time went backwards");
        assert!(all.iter().all(|arrival| (arrival.client, arrival.node) == (client, N1)));
        Ok(())
    });
}

#[test]
fn connections_do_not_wait_for_each_other() {
    let mut world = slow_lines(5);
    let clients: Vec<ClientId> = (0..20).map(|_| world.connect(N1)).collect();
    clients.iter().for_each(|&client| world.request_as(client, client.0));
    let order: Vec<ClientId> =
        arrivals(&mut world, Duration::from_secs(1)).iter().map(|arrival| arrival.client).collect();
    assert_eq!(order.len(), 20);
    assert_ne!(order, clients, "all delays are equal");
}

#[test]
fn a_node_that_is_down_refuses_and_one_that_dies_closes() {
    let mut world = slow_lines(1);
    let (early, late) = (world.connect(N1), world.connect(N2));
    world.request_as(early, 1);
    assert_eq!(arrivals(&mut world, Duration::from_millis(300)).len(), 1, "the answer");
    world.crash(N2, Crash::Kill);
    world.crash(N1, Crash::Kill);
    let refused = world.connect(N1);
    world.request_as(refused, 2);
    let heard = arrivals(&mut world, Duration::from_millis(300));
    let closed = |client| heard.iter().filter(|a| a.client == client && matches!(a.what, Heard::Closed)).count();
    assert_eq!((closed(early), closed(late)), (1, 1), "{heard:?}");
    let refusals: Vec<ClientId> =
        heard.iter().filter(|arrival| matches!(arrival.what, Heard::Refused)).map(|arrival| arrival.client).collect();
    assert_eq!(refusals, [refused]);
    world.restart(N1);
    [early, refused].into_iter().for_each(|client| world.request_as(client, 3));
    assert!(arrivals(&mut world, Duration::from_millis(300)).is_empty(), "a connection that is over was used");
    assert_eq!(world.durable(N1), [1]);
}

#[test]
fn answers_that_left_before_the_death_arrive_before_the_news_of_it() {
    for_each_seed(0..20, |seed| {
        let mut world = slow_lines(seed);
        let client = world.connect(N1);
        world.request_as(client, 1);
        world.run_until(Duration::from_secs(1), "an answer leaves", |world| world.durable(N1) == [1])?;
        world.crash(N1, Crash::PowerLoss);
        let heard = arrivals(&mut world, Duration::from_secs(1));
        assert!(matches!(heard[..], [Arrival { what: Heard::Reply(1), .. }, Arrival { what: Heard::Closed, .. }]));
        Ok(())
    });
}

#[test]
fn a_client_that_went_away_is_heard_and_hears_nothing() {
    let mut world = slow_lines(1);
    let client = world.connect(N1);
    world.request_as(client, 1);
    world.disconnect(client);
    world.request_as(client, 2);
    assert!(arrivals(&mut world, Duration::from_secs(1)).is_empty());
    assert_eq!(world.durable(N1), [1]);
    world.crash(N1, Crash::Kill);
    assert!(arrivals(&mut world, Duration::from_secs(1)).is_empty());
}

#[test]
fn a_paused_node_takes_connections_and_answers_when_it_goes_on() {
    let mut world = slow_lines(1);
    world.pause(N1);
    let client = world.connect(N1);
    world.request_as(client, 1);
    assert!(arrivals(&mut world, Duration::from_secs(1)).is_empty());
    world.resume(N1);
    assert_eq!(arrivals(&mut world, Duration::from_secs(1)).iter().filter_map(told).collect::<Vec<_>>(), [1]);
}

#[test]
fn news_end_the_run_and_without_news_the_limit_does() {
    let mut world = slow_lines(1);
    world.run_until_news(Duration::from_secs(1)).expect("the toy is right");
    let notices = world.take_notices();
    assert!(matches!(notices[..], [(at, N1, Event::Leading { epoch: 1 })] if at == world.now()), "{notices:?}");
    world.pause(N1);
    world.run_until_news(Duration::from_secs(1)).expect("the toy is right");
    assert_eq!(world.now(), Duration::from_secs(1));
    let client = world.connect(N2);
    world.crash(N2, Crash::Kill);
    world.run_until_news(Duration::from_secs(9)).expect("the toy is right");
    assert!(matches!(world.take_arrivals()[..], [Arrival { client: c, what: Heard::Refused, .. }] if c == client));
}
