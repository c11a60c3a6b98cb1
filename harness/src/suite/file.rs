//! A suite's file.
//!
//! ```toml
//! budget = "2h"               # what does not fit any more is reported as not run; endless if absent
//! seeds = 3                   # of each test: so many new ones, [1, 2], or "0..10"; one new one if absent
//! when-missing = "skip"       # what a test of a system that is not installed is: "skip", or "fail" if absent
//! set = { time = "1m" }       # options of all tests, as `grudge test` has them
//!
//! [[matrix]]                  # each system with each workload under each menu of faults, with each seed
//! systems = ["etcd", "my/system.toml"]
//! workloads = ["register", "lock"]
//! faults = ["partition,pause", "kill:leader"]
//! exclude = [{ system = "etcd", workload = "lock", because = "its locks are another team's" }]
//! set = { nodes = 3 }
//!
//! [[test]]                    # one test: of a system, or of a file with a script, or of both
//! file = "../scripts/paused-holder.toml"
//! name = "paused-holder"
//! expect = "invalid"          # a promise that is known to be broken is to be found
//! ```
//!
//! A matrix may have such a `file` in the place of `faults`: each system with each workload under its script. Paths begin
//! at the suite's file. A script's file says all that it needs: only the options of its own entry change it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use toml::Spanned;

use super::again::{self, Source};
use super::seeds::Seeds;
use super::settings::Settings;
use super::{Expect, LeftOut, Suite, Test, WhenMissing};
use crate::exit::Failure;
use crate::fault::Arena;
use crate::nemesis::Menu;
use crate::spec::{self, Spec};
use crate::system::{Subject, is_path};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    budget: Option<SignedDuration>,
    #[serde(default)]
    seeds: Seeds,
    #[serde(default)]
    when_missing: WhenMissing,
    #[serde(default)]
    set: Settings,
    #[serde(default)]
    matrix: Vec<Spanned<Matrix>>,
    #[serde(default)]
    test: Vec<Spanned<Single>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Matrix {
    systems: Vec<String>,
    workloads: Vec<String>,
    faults: Option<Vec<Faults>>,
    file: Option<PathBuf>,
    #[serde(default)]
    exclude: Vec<Exclusion>,
    seeds: Option<Seeds>,
    #[serde(default)]
    set: Settings,
    #[serde(default)]
    expect: Expect,
}

/// A menu of faults, as the command line writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Faults {
    text: String,
    menu: Menu,
}

impl TryFrom<String> for Faults {
    type Error = String;

    fn try_from(text: String) -> Result<Faults, String> {
        Ok(Faults { menu: text.parse()?, text })
    }
}

impl Faults {
    fn usual() -> Faults {
        Faults { text: "usual".to_owned(), menu: Menu::Usual }
    }
}

/// What a matrix leaves out: whatever has all that it names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Exclusion {
    system: Option<String>,
    workload: Option<String>,
    faults: Option<String>,
    because: String,
}

impl Exclusion {
    fn fits(&self, system: &str, workload: &str, faults: &str) -> bool {
        let is = |named: &Option<String>, word| named.as_ref().is_none_or(|named| named == word);
        is(&self.system, system) && is(&self.workload, workload) && is(&self.faults, faults)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Single {
    name: Option<String>,
    file: Option<PathBuf>,
    system: Option<String>,
    workload: Option<String>,
    faults: Option<Faults>,
    seeds: Option<Seeds>,
    #[serde(default)]
    set: Settings,
    #[serde(default)]
    expect: Expect,
}

/// Said of whoever gives a test file a menu of faults.
const OWN_FAULTS: &str = "a test of a file has the file's faults";

impl Suite {
    /// Reads a suite's file and resolves its tests. Seeds that it does not say are drawn from this one.
    ///
    /// # Errors
    /// It cannot be read or makes no sense, or one of its tests cannot be run on any machine; the message names the line.
    pub fn read(path: &Path, seed: u64) -> Result<Suite, Failure> {
        let wrong = |error: &dyn Display| Failure::BadArguments(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let file: File = toml::from_str(&text).map_err(|error| wrong(&error))?;
        if file.budget.is_some_and(|budget| !budget.is_positive()) {
            return Err(wrong(&"budget: a duration is above 0"));
        }
        let mut reader = Reader {
            folder: path.parent().unwrap_or(Path::new("")),
            file: &file,
            rng: ChaCha8Rng::seed_from_u64(seed),
            tests: Vec::new(),
            left_out: Vec::new(),
        };
        let at = |from: usize, error: String| {
            let line = text[..from].matches('\n').count() + 1;
            wrong(&format!("the entry at line {line}: {error}"))
        };
        for matrix in &file.matrix {
            reader.matrix(matrix.get_ref()).map_err(|error| at(matrix.span().start, error))?;
        }
        for test in &file.test {
            reader.single(test.get_ref()).map_err(|error| at(test.span().start, error))?;
        }
        let Reader { tests, left_out, .. } = reader;
        if tests.is_empty() {
            return Err(wrong(&"there is no test: a suite has [[matrix]] or [[test]] entries"));
        }
        Ok(Suite {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            seed,
            budget: file.budget.map(spec::std),
            when_missing: file.when_missing,
            tests,
            left_out,
        })
    }
}

/// What of a suite is resolved so far.
struct Reader<'a> {
    folder: &'a Path,
    file: &'a File,
    rng: ChaCha8Rng,
    tests: Vec<Test>,
    left_out: Vec<LeftOut>,
}

/// A test without its seed.
struct Draft {
    name: String,
    from: Source,
    spec: Spec,
    expect: Expect,
}

/// What breaks the cluster of a test.
enum Trouble<'a> {
    /// What is drawn from that menu.
    Menu(Faults),
    /// The script of that file.
    Script(&'a Path),
}

impl Trouble<'_> {
    fn text(&self) -> String {
        match self {
            Trouble::Menu(faults) => faults.text.clone(),
            Trouble::Script(file) => stem(file),
        }
    }
}

impl Matrix {
    fn troubles(&self) -> Result<Vec<Trouble<'_>>, String> {
        match (&self.faults, &self.file) {
            (Some(_), Some(_)) => Err(OWN_FAULTS.to_owned()),
            (Some(menus), None) => Ok(menus.iter().cloned().map(Trouble::Menu).collect()),
            (None, Some(file)) => Ok(vec![Trouble::Script(file)]),
            (None, None) => Ok(vec![Trouble::Menu(Faults::usual())]),
        }
    }
}

impl Reader<'_> {
    fn matrix(&mut self, matrix: &Matrix) -> Result<(), String> {
        let Matrix { systems, workloads, exclude, seeds, set, expect, .. } = matrix;
        let troubles = matrix.troubles()?;
        let mut used = BTreeSet::new();
        for system in systems {
            for workload in workloads {
                for trouble in &troubles {
                    let text = trouble.text();
                    let fits = |exclusion: &Exclusion| exclusion.fits(system, workload, &text);
                    if let Some(place) = exclude.iter().position(fits) {
                        used.insert(place);
                        let what = format!("{system} × {workload} × {text}");
                        self.left_out.push(LeftOut { what, because: exclude[place].because.clone() });
                        continue;
                    }
                    let (from, spec) = match trouble {
                        Trouble::Menu(menu) => self.usual(system, workload, menu, set)?,
                        Trouble::Script(file) => self.scripted(file, Some(system), Some(workload), set)?,
                    };
                    // As long as it must be.
                    let name = match (trouble, troubles.len()) {
                        (Trouble::Menu(_), 1) => spec.name(),
                        _ => format!("{}-{}", spec.name(), slug(&text)),
                    };
                    self.draw(Draft { name, from, spec, expect: *expect }, seeds.as_ref())?;
                }
            }
        }
        match (0..exclude.len()).find(|place| !used.contains(place)) {
            None => Ok(()),
            Some(place) => Err(format!("exclusion {} leaves nothing out (`{}`)", place + 1, exclude[place].because)),
        }
    }

    fn single(&mut self, single: &Single) -> Result<(), String> {
        let Single { name, file, system, workload, faults, seeds, set, expect } = single;
        let (named, (from, spec)) = match (file, system) {
            (Some(_), _) if faults.is_some() => return Err(OWN_FAULTS.to_owned()),
            (Some(file), system) => (stem(file), self.scripted(file, system.as_deref(), workload.as_deref(), set)?),
            (None, Some(system)) => {
                let menu = faults.clone().unwrap_or_else(Faults::usual);
                let workload = workload.as_deref().unwrap_or(Spec::USUAL_WORKLOAD);
                let usual = self.usual(system, workload, &menu, set)?;
                (usual.1.name(), usual)
            }
            (None, None) => return Err("a test has a `system`, or a `file`, or both".to_owned()),
        };
        let name = name.as_deref().map_or(named, slug);
        self.draw(Draft { name, from, spec, expect: *expect }, seeds.as_ref())
    }

    /// The usual test of a system, so changed; and where a command line finds it.
    fn usual(&self, word: &str, workload: &str, faults: &Faults, set: &Settings) -> Result<(Source, Spec), String> {
        let (path, subject) = self.subject(word)?;
        let set = set.or(&self.file.set);
        let mut spec = Spec::usual(subject, set.nodes, 0, Arena::Processes);
        workload.clone_into(&mut spec.workload);
        spec.faults = faults.menu.choices(Arena::Processes, spec.system.replica());
        set.change(&mut spec);
        Ok((Source::System(path), spec))
    }

    /// The test of a file, of that system and workload if they are said, so changed; and where a command line finds it.
    fn scripted(
        &self,
        file: &Path,
        system: Option<&str>,
        workload: Option<&str>,
        set: &Settings,
    ) -> Result<(Source, Spec), String> {
        let file = self.folder.join(file);
        let mut spec = Spec::read(&file).map_err(|error| error.to_string())?;
        let mut another = None;
        if let Some(word) = system {
            let (path, subject) = self.subject(word)?;
            spec = spec.of(subject);
            another = Some(path);
        }
        if let Some(workload) = workload {
            workload.clone_into(&mut spec.workload);
        }
        set.change(&mut spec);
        Ok((Source::File(file, another), spec))
    }

    /// A system, as a command line names it, and what that is.
    fn subject(&self, word: &str) -> Result<(PathBuf, Subject), String> {
        let path = if is_path(word) { self.folder.join(word) } else { word.into() };
        let subject = Subject::from(word).described(self.folder).map_err(|error| error.to_string())?;
        Ok((path, subject))
    }

    /// Gives a test its seeds, and looks whether it can be run at all.
    fn draw(&mut self, draft: Draft, seeds: Option<&Seeds>) -> Result<(), String> {
        let Draft { name, from, spec, expect } = draft;
        let sentence = |error: Failure| format!("{name}: {error}");
        spec.check().map_err(sentence)?;
        spec.resolve(Arena::Processes).map_err(sentence)?;
        for seed in seeds.unwrap_or(&self.file.seeds).draw(&mut self.rng)? {
            let name = format!("{name}-{seed}");
            if self.tests.iter().any(|test| test.name == name) {
                return Err(format!("there are two tests `{name}`: give one a `name`, or another seed"));
            }
            let spec = Spec { seed, ..spec.clone() };
            spec.check().map_err(|error| format!("{name}: {error}"))?;
            self.tests.push(Test { again: again::command(&from, &spec), name, spec, expect });
        }
        Ok(())
    }
}

/// What a test file is called.
fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A word that can be the name of a folder, and be typed.
fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    text.chars().map(plain).collect()
}
