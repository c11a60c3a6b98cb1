//! Programs that the network is changed with: found, and fed with commands in a namespace.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sched::{CloneFlags, setns};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Finds a program, also where an ordinary user's path does not lead.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(name, std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)))
}

fn find_in(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Runs a program in a namespace (the hub if none) with these commands on its standard input. An error is what it said.
pub(super) async fn feed(
    program: &Path,
    arguments: &[&str],
    commands: &str,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        // The old iptables locks a file that only the machine's root may open; ours is as private as the rules.
        .env("XTABLES_LOCKFILE", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(namespace) = namespace {
        enter_namespace(&mut command, namespace);
    }
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().expect("its input is a pipe");
    // A program that ends without reading has said why on its standard error.
    let unread = input.write_all(commands.as_bytes()).await.err();
    drop(input);
    let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
    match (output.status.success(), unread) {
        (true, None) => Ok(()),
        (true, Some(error)) => Err(error.to_string()),
        (false, _) => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Makes a command start in that network namespace. The namespace must stay open until it was spawned.
pub(crate) fn enter_namespace(command: &mut Command, namespace: BorrowedFd<'_>) {
    let namespace = namespace.as_raw_fd();
    // SAFETY: between fork and exec only setns is called, a plain system call; the descriptor is open by contract.
    unsafe {
        command.pre_exec(move || {
            setns(BorrowedFd::borrow_raw(namespace), CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_first_folder_that_has_it() {
        let folders = ["/no/such/folder", "/proc/self", "/proc/1"].map(PathBuf::from);
        assert_eq!(find_in("status", folders.into_iter()), Some(PathBuf::from("/proc/self/status")));
        assert_eq!(find_in("no-such-program", ["/proc/self".into()].into_iter()), None);
    }
}
