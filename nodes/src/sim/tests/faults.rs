//! What each fault does, and what it leaves alone.

use super::*;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const SECOND: Duration = Duration::from_secs(1);

fn calm(nodes: u64) -> World<Toy> {
    let fsync = Span::millis(10, 10);
    world(1, Flaw::None, Options { fsync, tick_late: Span::micros(0, 0), ..Options::calm(nodes) })
}

fn run(world: &mut World<Toy>, time: Duration) {
    world.run_for(time).expect("the toy is right");
}

/// How often the first node ticks: it says each time that it leads.
fn ticks(world: &mut World<Toy>, time: Duration) -> usize {
    world.take_notices();
    run(world, time);
    world.take_notices().len()
}

#[test]
fn a_clock_runs_fast_or_slow() {
    let mut world = calm(1);
    assert_eq!(ticks(&mut world, SECOND), 50);
    world.set_clock_rate(N1, 1_000_000);
    assert!((99..=101).contains(&ticks(&mut world, SECOND)));
    world.set_clock_rate(N1, -500_000);
    assert!((24..=26).contains(&ticks(&mut world, SECOND)));
    world.crash(N1, Crash::Kill);
    world.restart(N1);
    assert!((24..=26).contains(&ticks(&mut world, SECOND)), "a rate outlives its process");
    world.calm();
    assert!((49..=51).contains(&ticks(&mut world, SECOND)));
}

#[test]
fn a_clock_that_jumps_back_stands_still_and_one_that_jumps_on_is_late_at_once() {
    let mut world = calm(1);
    run(&mut world, SECOND);
    world.jump_clock(N1, Jump::Backward(SECOND));
    assert_eq!(ticks(&mut world, SECOND), 0, "its time went on");
    assert!((49..=51).contains(&ticks(&mut world, SECOND)));
    world.take_notices();
    let wake = world.replica(N1).expect("it runs").wake;
    world.jump_clock(N1, Jump::Forward(SECOND * 3600));
    run(&mut world, Duration::from_millis(1));
    assert_eq!(world.take_notices().len(), 1, "its tick is due at once");
    assert!(world.replica(N1).expect("it runs").wake > wake + SECOND * 3599);
}

#[test]
fn a_slow_disk_answers_late() {
    let mut world = calm(1);
    world.disk(N1, DiskFault::Slow { times: 50 });
    world.request(N1, 1);
    run(&mut world, Duration::from_millis(499));
    assert!(world.replies().is_empty());
    run(&mut world, Duration::from_millis(1));
    assert_eq!(world.take_replies().len(), 1);
}

#[test]
fn a_full_disk_ends_the_process_at_its_first_write_until_there_is_room() {
    let mut world = calm(2);
    world.request(N1, 1);
    run(&mut world, SECOND);
    world.disk(N1, DiskFault::Full);
    run(&mut world, SECOND);
    assert_eq!(world.death(N1), None, "it writes nothing");
    world.take_replies();
    for _ in 0..2 {
        world.request(N1, 2);
        run(&mut world, SECOND);
        assert_eq!(world.death(N1), Some(Death::DiskFull));
        assert!(world.replies().is_empty(), "answered although nothing is durable");
        world.restart(N1);
        assert_eq!(world.death(N1), None, "it starts");
    }
    world.disk(N1, DiskFault::None);
    let before = world.durable(N1).len();
    world.request(N1, 3);
    run(&mut world, SECOND);
    assert_eq!(world.take_replies().len(), 1);
    assert_eq!(world.durable(N1).len(), before + 1);
}

#[test]
fn a_log_that_cannot_be_read_keeps_its_node_down() {
    let mut world = calm(2);
    world.request(N1, 1);
    run(&mut world, SECOND);
    world.disk(N1, DiskFault::ReadError);
    run(&mut world, SECOND);
    assert_eq!(world.death(N1), None, "a process that runs does not read its log");
    world.crash(N1, Crash::Kill);
    world.restart(N1);
    assert_eq!(world.death(N1), Some(Death::DiskUnreadable));
    world.disk(N1, DiskFault::None);
    world.restart(N1);
    assert_eq!(world.replica(N1).map(|toy| toy.log.clone()), Some(vec![1]));
}

#[test]
fn a_torn_tail_keeps_a_part_of_what_was_not_fsynced() {
    let kept = |fault| {
        let worlds = (0..40).map(|seed| {
            let mut world = world(seed, Flaw::None, Options::calm(1));
            for value in 1..=5 {
                world.request(N1, value);
            }
            world.disk(N1, fault);
            world.crash(N1, Crash::PowerLoss);
            let left = world.durable(N1);
            assert!([1, 2, 3, 4, 5].starts_with(left), "seed {seed}: no prefix: {left:?}");
            left.len()
        });
        worlds.collect::<Vec<_>>()
    };
    assert!(kept(DiskFault::TornTail).into_iter().all(|length| length > 0));
    assert!(kept(DiskFault::None).into_iter().filter(|&length| length == 0).count() > 15);
}

#[test]
fn packets_fare_worse_on_the_links_that_are_meant() {
    let mut world = calm(3);
    world.packets_on([Cut { from: N1, to: N2 }], Some(Packets { loss: 1.0, ..Packets::calm() }));
    world.request(N1, 1);
    run(&mut world, SECOND);
    assert_eq!([N2, NodeId(3)].map(|node| world.agreement().position(node)), [0, 1]);
    world.packets(Some(Packets { delay: Span::millis(300, 300), duplicate: 1.0, ..Packets::calm() }));
    run(&mut world, Duration::from_millis(299));
    assert_eq!(world.agreement().position(N2), 0);
    run(&mut world, SECOND);
    assert_eq!(world.agreement().position(N2), 1);
    let twice = world.trace().lines().filter(|line| line.contains("n1") && line.contains("Want")).count();
    assert!(twice > 10, "messages arrive twice");
    world.packets(None);
    world.request(N1, 2);
    run(&mut world, Duration::from_millis(60));
    assert_eq!(world.agreement().position(N2), 2, "packets are as usual");
}

#[test]
fn messages_that_arrived_during_a_pause_are_read_after_it_though_the_link_was_cut_since() {
    let mut world = calm(2);
    world.pause(N2);
    world.request(N1, 1);
    run(&mut world, SECOND);
    world.isolate(N2);
    world.resume(N2);
    run(&mut world, SECOND);
    assert_eq!(world.agreement().position(N2), 1);
}

#[test]
fn a_violation_is_kept_and_the_run_goes_on_if_it_is_asked_to() {
    let options = Options::fast(3);
    let mut two = world(1, Flaw::AllLead, options.clone());
    run(&mut two, SECOND);
    assert!(two.violations().len() > 1 && two.now() == SECOND);
    assert!(two.violations().iter().all(|violation| violation.what.starts_with("leader uniqueness:")));

    let mut panics = world(1, Flaw::Panics, options);
    let clients = [1, 2, 3].map(|value| {
        let client = panics.connect(N1);
        panics.request_as(client, value);
        client
    });
    run(&mut panics, SECOND);
    assert_eq!(panics.death(N1), Some(Death::Broken));
    assert_eq!(panics.violations().len(), 1);
    assert!(panics.violations()[0].what.contains("n1 panics: the third value is one too many"));
    let closed = panics.take_arrivals().into_iter().filter(|arrival| matches!(arrival.what, Heard::Closed));
    assert_eq!(closed.count(), clients.len());
    panics.restart(N1);
    assert_eq!(panics.death(N1), Some(Death::Broken), "it is dead for good");
}

/// Everything at once, as text: what happened, and what clients and the nemesis heard.
fn everything(seed: u64) -> String {
    let mut world = world(seed, Flaw::None, Options { trace_lines: 1_000_000, ..Options::nodes(3) });
    world.chaos(Chaos::until(SECOND * 4));
    let mut heard = String::new();
    for round in 1..=200_u64 {
        let node = NodeId(round % 3 + 1);
        let client = world.connect(N1);
        world.request_as(client, if round % 9 == 0 { POINTED } else { round });
        match round % 20 {
            1 => world.set_clock_rate(node, 3_000 * round as i64 - 300_000),
            4 => world.jump_clock(node, Jump::Backward(Duration::from_millis(round))),
            5 => world.jump_clock(node, Jump::Forward(Duration::from_millis(round))),
            7 => world.disk(node, DiskFault::Full),
            9 => world.disk(node, DiskFault::TornTail),
            11 => world.packets(Some(Packets { loss: 0.2, duplicate: 0.2, ..Packets::calm() })),
            13 => world.packets(None),
            15 => world.arm(Point::RaftElected, None, 1),
            17 => world.disconnect(client),
            _ => {}
        }
        world.run_until_news(world.now() + Duration::from_millis(20)).expect("the toy is right");
        world.run_for(Duration::from_millis(10)).expect("the toy is right");
        heard += &format!("{:?}\n{:?}\n", world.take_arrivals(), world.take_notices());
        if world.is_paused(N1) && round % 3 == 0 {
            world.resume(N1);
        }
    }
    world.trace() + &heard
}

#[test]
fn one_seed_is_one_run_byte_for_byte_whatever_is_done_and_in_whatever_thread() {
    let runs: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = [3, 3, 4].map(|seed| scope.spawn(move || everything(seed))).into_iter().collect();
        threads.into_iter().map(|thread| thread.join().expect("the toy is right")).collect()
    });
    for word in ["dead", "cut", "paused", "halted", "clock jumps", "clock runs", "DiskFull", "loss: 0.2", "Reply"] {
        assert!(runs[0].contains(word), "no {word} in the run");
    }
    assert!(runs[0] == runs[1], "two runs of one seed differ");
    assert!(runs[0] != runs[2], "two seeds give one run");
}

#[test]
fn a_fault_of_one_node_moves_nothing_between_others() {
    let lines_of_n2 = |fault: bool| {
        let mut world = world(9, Flaw::None, Options { trace_lines: 100_000, ..Options::nodes(3) });
        if fault {
            world.packets_on([Cut { from: NodeId(3), to: N1 }], Some(Packets { loss: 0.9, ..Packets::calm() }));
        }
        for value in 1..=50 {
            world.request(N1, value);
            run(&mut world, Duration::from_millis(20));
        }
        let trace = world.trace();
        let lines: Vec<String> = trace.lines().filter(|line| line.contains(" n2 ")).map(str::to_owned).collect();
        lines
    };
    let without = lines_of_n2(false);
    assert!(without.len() > 100);
    assert_eq!(lines_of_n2(true), without);
}
