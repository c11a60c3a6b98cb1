//! Faults in words, for the history and for people.

use std::fmt;

use super::{ClockChange, DiskTrouble, Fault, PacketTrouble, Shape, Targets};

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind())?;
        match self {
            Fault::Partition(shape) => write!(f, "{shape}"),
            Fault::Pause(targets) | Fault::Kill(targets) | Fault::Power(targets) => write!(f, "{targets}"),
            Fault::Clock { targets, change } => write!(f, "{targets} {change}"),
            Fault::Disk { targets, trouble } => write!(f, "{targets} {trouble}"),
            Fault::Packets(trouble) => write!(f, "{trouble}"),
        }
    }
}

impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockChange::Jump(by) if by.is_negative() => write!(f, "back by {:#}", by.abs()),
            ClockChange::Jump(by) => write!(f, "on by {by:#}"),
            ClockChange::Drift(ppm) if *ppm < 0 => write!(f, "slow by {} ppm", ppm.unsigned_abs()),
            ClockChange::Drift(ppm) => write!(f, "fast by {ppm} ppm"),
        }
    }
}

impl fmt::Display for DiskTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskTrouble::Slow(by) => write!(f, "slow by {by:?}"),
            DiskTrouble::Full => f.write_str("full"),
            DiskTrouble::ReadError => f.write_str("read-error"),
        }
    }
}

impl fmt::Display for PacketTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.targets)?;
        for (what, percent) in [("lost", self.loss), ("twice", self.duplicate), ("overtaken", self.late)] {
            if percent > 0 {
                write!(f, " {percent} % {what}")?;
            }
        }
        if self.delay.is_zero() { Ok(()) } else { write!(f, " late by up to {:?}", self.delay) }
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
