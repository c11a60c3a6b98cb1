//! What must be on a machine before a system can be started there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{System, SystemError};

/// A program or a file without which a system cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Need {
    /// A name is looked for among the programs (`PATH`), and a path is where it must be.
    pub file: PathBuf,
    /// The command that installs it.
    pub install: String,
}

impl Need {
    /// Whether it is there.
    pub(crate) fn is_met(&self) -> bool {
        if self.file.components().count() > 1 {
            return self.file.exists();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&self.file).is_file())
    }
}

impl System {
    /// What it needs that is not on this machine.
    pub fn missing(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter().filter(|need| !need.is_met())
    }

    /// Whether everything that it needs is on this machine.
    ///
    /// # Errors
    /// Something is missing; the error says how to install it.
    pub fn installed(&self) -> Result<(), SystemError> {
        match self.missing().next() {
            None => Ok(()),
            Some(Need { file, install }) => {
                Err(SystemError::Missing { system: self.name.clone(), file: file.clone(), install: install.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::system::tests::system;

    #[test]
    fn what_is_not_installed_is_named_with_what_installs_it() {
        let table = [
            ("sh", true),
            ("/bin/sh", true),
            ("no-such-program", false),
            ("/no/such.jar", false),
            // A folder is no program.
            (".", false),
        ];
        for (file, there) in table {
            let needs = system(&format!("needs = [{{ file = '{file}', install = 'make it' }}]")).installed();
            let sentence = format!("system `x` needs {file}, which is not on this machine: make it");
            assert_eq!(needs.map_err(|error| error.to_string()), if there { Ok(()) } else { Err(sentence) });
        }
    }
}
