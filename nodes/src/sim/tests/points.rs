//! Armed points.

use super::*;

const N1: NodeId = NodeId(1);
const POINT: Point = Point::RaftElected;

fn quick() -> World<Toy> {
    world(1, Flaw::None, Options { fsync: Span::millis(30, 30), ..Options::calm(2) })
}

fn halts(world: &mut World<Toy>) -> Vec<NodeId> {
    let notices = world.take_notices();
    notices.into_iter().filter(|(_, _, event)| *event == Event::Reached(POINT)).map(|(_, node, _)| node).collect()
}

fn run(world: &mut World<Toy>, millis: u64) {
    world.run_for(Duration::from_millis(millis)).expect("the toy is right");
}

#[test]
fn a_node_halts_exactly_at_its_point_and_goes_on_there() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.request(N1, POINTED);
    run(&mut world, 20);
    assert!(halts(&mut world).is_empty(), "the write before the point is not durable yet");
    assert!(!world.is_paused(N1));
    run(&mut world, 500);
    assert_eq!(halts(&mut world), [N1]);
    assert!(world.is_paused(N1));
    assert_eq!(world.durable(N1), [POINTED], "what was pushed after the point was written");
    assert!(world.replies().is_empty());
    world.resume(N1);
    run(&mut world, 500);
    assert_eq!(world.durable(N1), [POINTED, POINTED + 1]);
    assert_eq!(world.take_replies().len(), 1);
    world.request(N1, POINTED);
    run(&mut world, 500);
    assert!(halts(&mut world).is_empty(), "an arming halts once");
}

#[test]
fn a_crash_at_the_point_loses_what_was_pushed_after_it() {
    for how in [Crash::Kill, Crash::PowerLoss] {
        let mut world = quick();
        world.arm(POINT, Some(N1), 1);
        world.request(N1, POINTED);
        run(&mut world, 500);
        world.crash(N1, how);
        world.restart(N1);
        run(&mut world, 500);
        assert_eq!(world.durable(N1), [POINTED], "{how:?}");
        assert!(world.replies().is_empty());
        assert_eq!(world.replica(N1).map(|toy| toy.log.clone()), Some(vec![POINTED]));
    }
}

#[test]
fn the_nth_time_counts_from_the_arming_and_only_the_node_that_is_meant() {
    let mut world = quick();
    world.request(N1, POINTED);
    run(&mut world, 500);
    world.arm(POINT, Some(N1), 2);
    world.arm(POINT, Some(NodeId(2)), 1);
    world.request(N1, POINTED);
    run(&mut world, 500);
    assert!(halts(&mut world).is_empty());
    world.request(N1, POINTED);
    run(&mut world, 500);
    assert_eq!(halts(&mut world), [N1]);
}

#[test]
fn what_is_disarmed_halts_nobody() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.arm(POINT, Some(N1), 1);
    world.disarm(POINT, None);
    world.disarm(POINT, Some(N1));
    world.request(N1, POINTED);
    run(&mut world, 500);
    assert!(halts(&mut world).is_empty());
    assert_eq!(world.take_replies().len(), 1);
}

#[test]
fn a_point_that_is_disarmed_while_it_waits_for_the_disk_halts_nobody() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.request(N1, POINTED);
    assert!(world.take_replies().is_empty(), "the point waits behind a write");
    world.disarm(POINT, None);
    run(&mut world, 500);
    assert!(halts(&mut world).is_empty());
    assert_eq!(world.durable(N1), [POINTED, POINTED + 1]);
    assert_eq!(world.take_replies().len(), 1);
}

#[test]
fn two_requests_in_a_row_halt_twice_and_end_in_order() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.arm(POINT, None, 2);
    world.request(N1, POINTED);
    world.request(N1, POINTED);
    for _ in 0..2 {
        run(&mut world, 500);
        assert_eq!(halts(&mut world), [N1]);
        world.resume(N1);
    }
    run(&mut world, 500);
    assert_eq!(world.durable(N1), [POINTED, POINTED + 1, POINTED, POINTED + 1]);
    assert_eq!(world.take_replies().len(), 2);
}

#[test]
fn a_pause_before_the_point_does_not_skip_it() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.request(N1, POINTED);
    world.pause(N1);
    run(&mut world, 500);
    assert!(halts(&mut world).is_empty(), "it is stopped before the point");
    assert_eq!(world.durable(N1), [POINTED], "a fsync does not stop with its process");
    world.resume(N1);
    assert_eq!(halts(&mut world), [N1]);
    assert!(world.is_paused(N1));
}

#[test]
fn a_node_that_dies_on_the_way_leaves_the_point_armed() {
    let mut world = quick();
    world.arm(POINT, None, 1);
    world.request(N1, POINTED);
    world.crash(N1, Crash::PowerLoss);
    world.restart(N1);
    world.request(N1, POINTED);
    run(&mut world, 500);
    assert_eq!(halts(&mut world), [N1]);
}
