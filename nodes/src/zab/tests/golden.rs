//! Scenarios of which every line is known.

use bytes::Bytes;
use insta::assert_snapshot;

use super::ensemble::{Ensemble, Show};
use crate::bugs::Bug;
use crate::replica::{NodeId, Time};
use crate::zab::message::{Nonce, Notification, Standing, Vote};
use crate::zab::{Input, Message, Refused, Role, Status, Zxid};

/// Three peers in step under n3, with one transaction; nothing is written down yet.
fn three_in_step(show: Show) -> Ensemble {
    let mut ensemble = Ensemble::new(3, show);
    ensemble.start(1..=3);
    ensemble.run(300);
    ensemble.propose(3, "a");
    ensemble.run(10);
    ensemble.take();
    ensemble
}

#[test]
fn fresh_election_of_three() {
    let mut ensemble = Ensemble::new(3, Show::Votes);
    ensemble.start(1..=3);
    ensemble.run(100);
    assert_snapshot!(ensemble.take());
}

#[test]
fn fresh_election_of_five_while_two_are_down() {
    let mut ensemble = Ensemble::new(5, Show::Links);
    ensemble.start([1, 2, 3]);
    ensemble.run(400);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_better_vote_in_time_changes_the_outcome() {
    let mut ensemble = Ensemble::new(3, Show::States);
    ensemble.start([1, 2]);
    ensemble.run(150);
    ensemble.start([3]);
    ensemble.run(400);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_late_joiner_follows_the_leader_that_is_there() {
    let mut ensemble = Ensemble::new(3, Show::Votes);
    ensemble.show = Show::States;
    ensemble.start([1, 2]);
    ensemble.run(400);
    ensemble.propose(2, "a");
    ensemble.run(100);
    ensemble.take();
    ensemble.show = Show::Votes;
    ensemble.start([3]);
    ensemble.run(100);
    assert_snapshot!(ensemble.take());
}

#[test]
fn broadcast_of_one_transaction() {
    let mut ensemble = three_in_step(Show::Links);
    ensemble.propose(3, "b");
    ensemble.run(20);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_leader_that_is_cut_off_has_a_successor() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.isolate(3);
    ensemble.run(1_500);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_proposal_of_a_leader_that_was_cut_off_is_truncated() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.isolate(3);
    ensemble.propose(3, "lost");
    ensemble.run(1_500);
    ensemble.propose(2, "b");
    ensemble.run(10);
    ensemble.take();
    ensemble.show = Show::Links;
    ensemble.heal();
    ensemble.run(500);
    assert_snapshot!(ensemble.take());
    assert_eq!(ensemble.log(3), [Zxid::new(1, 1), Zxid::new(2, 1)]);
}

#[test]
fn with_skip_trunc_the_lost_proposal_comes_back() {
    let mut ensemble = Ensemble::new(3, Show::States).plant(Bug::ZabSkipTrunc);
    ensemble.start(1..=3);
    ensemble.run(300);
    ensemble.isolate(3);
    ensemble.propose(3, "lost");
    ensemble.run(1_500);
    ensemble.propose(2, "b");
    ensemble.run(10);
    ensemble.take();
    ensemble.heal();
    ensemble.run(500);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_proposal_that_a_quorum_logged_survives_its_leader() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.propose(3, "b");
    // It is on its way to both followers, and the leader dies before it hears of them.
    ensemble.run(1);
    ensemble.stop(3);
    ensemble.run(1_500);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_follower_that_is_behind_gets_a_diff() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.stop(1);
    ensemble.propose(3, "b");
    ensemble.propose(3, "c");
    ensemble.run(10);
    ensemble.take();
    ensemble.show = Show::Links;
    ensemble.start([1]);
    ensemble.run(300);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_follower_that_is_far_behind_gets_a_snapshot() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.stop(1);
    ensemble.propose(3, "b");
    ensemble.run(10);
    ensemble.compact(3);
    ensemble.propose(3, "c");
    ensemble.run(10);
    ensemble.take();
    ensemble.show = Show::Links;
    ensemble.start([1]);
    ensemble.run(300);
    assert_snapshot!(ensemble.take());
}

#[test]
fn all_restart_and_replay_their_logs() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.propose(3, "b");
    ensemble.run(10);
    ensemble.compact(2);
    for id in 1..=3 {
        ensemble.stop(id);
    }
    ensemble.start(1..=3);
    ensemble.run(300);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_leader_without_a_quorum_gives_up() {
    let mut ensemble = three_in_step(Show::States);
    ensemble.stop(1);
    ensemble.stop(2);
    ensemble.run(800);
    assert_snapshot!(ensemble.take());
}

#[test]
fn an_exhausted_counter_forces_an_election() {
    let mut ensemble = three_in_step(Show::States);
    let Role::Leading(leader) = &mut ensemble.peer(3).role else { panic!("n3 leads") };
    leader.counter = u32::MAX;
    ensemble.propose(3, "one too many");
    ensemble.run(500);
    assert_snapshot!(ensemble.take());
}

#[test]
fn a_peer_alone_is_a_quorum() {
    let mut ensemble = Ensemble::new(1, Show::Votes);
    ensemble.start([1]);
    ensemble.run(10);
    ensemble.propose(1, "a");
    ensemble.peer(1).barrier(7, &mut Vec::new()).expect("it leads");
    assert_snapshot!(ensemble.take());
}

fn notification(count: u64, round: u64, leader: u64) -> Message {
    let vote = Vote { epoch: 0, zxid: Zxid::ZERO, leader: NodeId(leader) };
    let nonce = Nonce { life: 1, count };
    Message::Notification(Notification { nonce, round, standing: Standing::Looking, vote })
}

/// n1 of three, alone, and what it answers to notifications of n2.
fn answers(heard: &[(u64, u64, u64)]) -> Vec<String> {
    let mut ensemble = Ensemble::new(3, Show::Votes);
    ensemble.start([1]);
    let now = Time::ZERO;
    let mut said = Vec::new();
    for (count, round, leader) in heard {
        let mut effects = Vec::new();
        let message = notification(*count, *round, *leader);
        ensemble.peer(1).step(now, Input::Message { from: NodeId(2), message }, &mut effects);
        said.extend(effects.iter().filter_map(|effect| match effect {
            crate::zab::Effect::Send { to, message: Message::Notification(n) } => {
                Some(format!("to {to}: round {} for {}", n.round, n.vote.leader))
            }
            _ => None,
        }));
    }
    said
}

#[test]
fn a_better_vote_is_taken_over_and_told_to_all() {
    assert_eq!(answers(&[(1, 1, 2)]), ["to n2: round 1 for n2", "to n3: round 1 for n2"]);
}

#[test]
fn a_repeated_or_overtaken_notification_says_nothing() {
    assert_eq!(answers(&[(5, 1, 2), (5, 1, 2), (4, 1, 3)]).len(), 2);
}

#[test]
fn an_older_round_is_answered_and_not_counted() {
    let said = answers(&[(1, 7, 1), (2, 6, 3)]);
    assert_eq!(said.last().map(String::as_str), Some("to n2: round 7 for n1"), "{said:?}");
}

#[test]
fn a_later_round_starts_the_election_over() {
    let said = answers(&[(1, 1, 2), (2, 4, 1)]);
    assert_eq!(said[2..], ["to n2: round 4 for n1", "to n3: round 4 for n1"], "its own vote is the better one again");
}

#[test]
fn only_an_established_leader_proposes_and_only_a_follower_tells_it() {
    let mut ensemble = three_in_step(Show::States);
    let (now, out) = (Time::from_millis(310), &mut Vec::new());
    let link = ensemble.peer(3).followers()[0];
    assert_eq!(ensemble.peer(1).propose(now, Bytes::new(), out), Err(Refused::NotLeading));
    assert_eq!(ensemble.peer(1).barrier(1, out), Err(Refused::NotLeading));
    assert_eq!(ensemble.peer(1).tell_follower(now, link, Bytes::new(), out), Err(Refused::NotLeading));
    assert_eq!(ensemble.peer(3).tell_leader(now, Bytes::new(), out), Err(Refused::NotFollowing));
    assert_eq!(*out, []);
    ensemble.stop(link.follower.0);
    ensemble.run(1_000);
    let out = &mut Vec::new();
    assert_eq!(ensemble.peer(3).tell_follower(now, link, Bytes::new(), out), Err(Refused::LinkClosed));
    assert!(matches!(ensemble.peer(3).status(), Status::Leading { .. }));
}
