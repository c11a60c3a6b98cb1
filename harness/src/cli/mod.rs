//! The command line: arguments first, then their meaning, one command a file.

use std::ffi::OsString;
use std::panic;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, Subcommand};
use grudge_workloads::client::panic_is_contained;

use crate::exit::{Exit, Failure};
use crate::logging;
use crate::report::terminal::complain;

mod agent;
mod check;
mod client;
mod clock;
mod disk;
mod doctor;
mod ground;
mod hold;
mod hosts_args;
mod hunt;
mod list;
mod node;
mod real;
mod replay;
mod report;
mod session;
mod shrink;
mod sim;
mod spec_args;
mod suite;
mod test;
mod up;

const EXIT_CODES: &str = "\
Exit codes: 0 valid, 1 invalid, 2 unknown, 254 bad arguments, 255 the harness itself failed.";

/// Breaks a real cluster on purpose and proves from the record whether it kept its promise.
#[derive(Debug, Parser)]
#[command(name = "grudge", version, about, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more on standard error (-v, -vv, -vvv)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a cluster up, break it while clients use it, and judge what they saw
    Test(Box<test::TestArgs>),
    /// Run many tests under one budget, as one file says them, for every night
    Suite(suite::SuiteArgs),
    /// The same in simulated time: many times faster, and exactly repeatable
    Sim(Box<sim::SimArgs>),
    /// Make the test of a run small while it fails in the same way
    Shrink(shrink::ShrinkArgs),
    /// Look for every planted bug: found or not, by what, how fast
    Hunt(hunt::HuntArgs),
    /// Judge histories, our own or anybody's
    Check(check::CheckArgs),
    /// Bring a cluster up to play with, until Ctrl-C
    Up(up::UpArgs),
    /// Play what was recorded of an earlier run again, and say whether its verdict comes back
    Replay(replay::ReplayArgs),
    /// Show the report of an earlier run again
    Report(report::ReportArgs),
    /// List what there is to test, and to test it with
    List(list::ListArgs),
    /// Say what this machine can do, and what to do about the rest
    Doctor(doctor::DoctorArgs),
    /// Do on this host what control says, on standard input; clusters of hosts are made of these
    #[command(hide = true)]
    Agent(agent::AgentArgs),
    /// Run one client, told what to do on standard input; faults of clients hit these
    #[command(hide = true)]
    Client(client::ClientArgs),
    /// Turn the clocks of processes, as standard input says
    #[command(hide = true)]
    Clock,
    /// Run one replica; clusters are made of these
    Node(Box<grudge_nodes::command::NodeArgs>),
    /// Hold one thread of another process until standard input ends
    #[command(hide = true)]
    Hold(hold::HoldArgs),
    /// Serve the layer under a replica's data folder that loses power and gives trouble; told what on standard input
    #[command(hide = true)]
    Disk(disk::DiskArgs),
}

/// Does what the arguments say. Never panics: a defect of the harness is an exit code, too.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    // A replica has a log of its own.
    if !matches!(cli.command, Command::Node(_) | Command::Disk(_)) {
        logging::init(cli.verbose);
    }
    report_panics();
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| dispatch(cli.command)));
    match outcome {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            tracing::debug!("failed: {failure:?}");
            complain(&failure.to_string());
            failure.exit()
        }
        // The hook below has said what there is to say.
        Err(_) => Exit::HarnessFailed,
    }
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Test(args) => test::run(&args),
        Command::Suite(args) => suite::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Hunt(args) => hunt::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Up(args) => up::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run(&args),
        Command::List(args) => list::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Client(args) => client::run(&args),
        Command::Clock => clock::run(),
        Command::Node(args) => node::run(&args),
        Command::Hold(args) => hold::run(&args),
        Command::Disk(args) => disk::run(&args),
    }
}

fn refuse(error: &clap::Error) -> Exit {
    // Help and version are answers, everything else is a complaint; a reader who has gone away is neither.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Valid,
        _ => Exit::BadArguments,
    }
}

/// A panic is a defect of the harness and says so, in one line that can be reported; unless it is a library's over a
/// node's bytes, which the client catches.
fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        if crate::sim::panic_is_contained() {
            tracing::debug!("a simulated replica panicked: {message} (at {place})");
            return;
        }
        if panic_is_contained() {
            tracing::debug!("a client's library gave up on an answer: {message} (at {place})");
            return;
        }
        complain(&format!(
            "a defect of grudge itself, not of the system under test: {message} (at {place}); \
             please report it with the run's folder"
        ));
        tracing::debug!("panic at {place}: {message}\n{}", std::backtrace::Backtrace::force_capture());
    }));
}
