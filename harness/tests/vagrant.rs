//! The Vagrantfile as Vagrant reads it, without a machine being started. Skipped where Vagrant is not installed.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::path::Path;
use std::process::Command;

/// Whether Vagrant takes the file with so many nodes, and all that it says; nothing if there is no Vagrant.
fn validate(nodes: &str) -> Option<(bool, String)> {
    let home = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the harness lives in the workspace");
    let mut vagrant = Command::new("vagrant");
    vagrant.args(["validate", "--ignore-provider"]).current_dir(root).env("GRUDGE_NODES", nodes);
    vagrant.env("VAGRANT_HOME", home.path().join("home")).env("VAGRANT_DOTFILE_PATH", home.path().join("machines"));
    match vagrant.output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
        Err(error) => {
            eprintln!("skipped: vagrant cannot be started ({error}): apt-get install vagrant");
            None
        }
    }
}

#[test]
fn the_vagrantfile_makes_as_many_machines_as_the_environment_says() {
    let Some((valid, said)) = validate("3") else { return };
    assert!(valid, "{said}");
    for (machine, wanted) in [("n1", true), ("n3", true), ("n4", false)] {
        assert_eq!(said.contains(&format!("==> {machine}:")), wanted, "{machine}: {said}");
    }
    let (valid, said) = validate("0").expect("it is still there");
    assert!(!valid && said.contains("GRUDGE_NODES must be between 1 and 20"), "{said}");
}
