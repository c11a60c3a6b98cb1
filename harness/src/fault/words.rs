//! Faults in words, for the history and for people.

use std::fmt;

use super::{
    ClientTrouble, ClockChange, Clocks, Direction, DiskTrouble, Fault, PacketTrouble, Restarts, Shape, Targets, Workers,
};

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind())?;
        match self {
            Fault::Partition(shape) => write!(f, "{shape}"),
            Fault::Pause(targets)
            | Fault::Thread(targets)
            | Fault::Kill(targets)
            | Fault::Power(targets)
            | Fault::Reset(targets)
            | Fault::Member(targets) => write!(f, "{targets}"),
            Fault::Restart { targets, manner: Restarts::Rolling } => write!(f, "{targets} one by one"),
            Fault::Restart { targets, manner: Restarts::Storm(times) } => write!(f, "{targets} {times} times"),
            Fault::Clock { targets, change, of } => write!(f, "{targets} {change}{}", clocks(*of)),
            Fault::Disk { targets, trouble } => write!(f, "{targets} {trouble}"),
            Fault::Packets(trouble) => write!(f, "{trouble}"),
            Fault::Cpu { targets, percent } => write!(f, "{targets} {percent} %"),
            Fault::Client { targets, trouble } => write!(f, "{targets} {trouble}"),
            Fault::Memory { targets, headroom } => write!(f, "{targets} {headroom} MiB more"),
        }
    }
}

fn clocks(of: Clocks) -> &'static str {
    match of {
        Clocks::Usual => "",
        Clocks::Wall => ", the wall clock only",
        Clocks::Monotonic => ", the monotonic clock only",
        Clocks::Both => ", wall clock and monotonic clock",
    }
}

impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockChange::Jump(by) if by.is_negative() => write!(f, "back by {:#}", by.abs()),
            ClockChange::Jump(by) => write!(f, "on by {by:#}"),
            ClockChange::Drift(ppm) if *ppm < 0 => write!(f, "slow by {} ppm", ppm.unsigned_abs()),
            ClockChange::Drift(ppm) => write!(f, "fast by {ppm} ppm"),
            ClockChange::Strobe { by, every } => {
                let sign = if by.is_negative() { "-" } else { "" };
                write!(f, "strobing by {sign}{:#} every {every:?}", by.abs())
            }
        }
    }
}

impl fmt::Display for DiskTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskTrouble::Slow(by) => write!(f, "slow by {by:?}"),
            DiskTrouble::Full => f.write_str("full"),
            DiskTrouble::ReadError => f.write_str("read-error"),
            DiskTrouble::WriteError => f.write_str("write-error"),
            DiskTrouble::FsyncError => f.write_str("fsync-error"),
            DiskTrouble::Flip => f.write_str("flip"),
        }
    }
}

impl fmt::Display for ClientTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientTrouble::Cut => "cut off",
            ClientTrouble::Pause => "paused",
            ClientTrouble::Die => "killed",
        })
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Workers::One => f.write_str("one"),
            Workers::All => f.write_str("all"),
            Workers::Holder => f.write_str("holder"),
            Workers::Numbers(numbers) => {
                f.write_str(&numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"))
            }
        }
    }
}

impl fmt::Display for PacketTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.targets)?;
        if !self.peers.is_empty() {
            write!(f, " with {}", self.peers.join("+"))?;
        }
        f.write_str(match self.direction {
            Direction::Both => "",
            Direction::In => " received",
            Direction::Out => " sent",
        })?;
        let percents =
            [("lost", self.loss), ("twice", self.duplicate), ("overtaken", self.late), ("damaged", self.corrupt)];
        for (what, percent) in percents {
            if percent > 0 {
                write!(f, " {percent} % {what}")?;
            }
        }
        match (self.delay.is_zero(), self.jitter.is_zero()) {
            (true, true) => {}
            (false, true) => write!(f, " late by {:?}", self.delay)?,
            (true, false) => write!(f, " late by up to {:?}", self.jitter)?,
            (false, false) => write!(f, " late by {:?} to {:?}", self.delay, self.delay + self.jitter)?,
        }
        self.rate.map_or(Ok(()), |rate| write!(f, " at {rate} kbit/s"))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Halves => f.write_str("halves"),
            Shape::One => f.write_str("one"),
            Shape::MajoritiesRing => f.write_str("majorities-ring"),
            Shape::Bridge => f.write_str("bridge"),
            Shape::OneWay => f.write_str("one-way"),
            Shape::Leader => f.write_str("leader"),
            Shape::LeaderMute => f.write_str("leader-mute"),
            Shape::LeaderFromClients => f.write_str("leader-from-clients"),
            Shape::Minority => f.write_str("minority"),
            Shape::Here => f.write_str("here"),
            Shape::Node(name) => f.write_str(name),
            Shape::Cuts(cuts) => {
                for (index, (node, deaf_to)) in cuts.iter().enumerate() {
                    let deaf_to = deaf_to.iter().map(String::as_str).collect::<Vec<_>>().join("+");
                    write!(f, "{}{deaf_to}→{node}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Targets::One => f.write_str("one"),
            Targets::Minority => f.write_str("minority"),
            Targets::Majority => f.write_str("majority"),
            Targets::All => f.write_str("all"),
            Targets::Leader => f.write_str("leader"),
            Targets::Followers => f.write_str("followers"),
            Targets::Here => f.write_str("here"),
            Targets::Nodes(names) => f.write_str(&names.join("+")),
        }
    }
}
