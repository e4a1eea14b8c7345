//! Where the runs come from: a profile's seeds, or known scenarios told again.

use crate::Cli;
use crate::failure::Name;
use sim::{Profile, Scenario};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) enum Source {
    Seeds(Profile),
    /// The scenario of a file, or those of a folder in turn, told again in each seed's way.
    Known(PathBuf, Vec<Scenario>),
}

impl Source {
    pub(crate) fn of(cli: &Cli) -> Result<Source, String> {
        let Some(path) = &cli.scenario else {
            return Ok(Source::Seeds(cli.profile));
        };
        let known = match path.is_dir() {
            true => read_all(path)?
                .into_iter()
                .map(|(_, known)| known)
                .collect(),
            false => vec![read(path)?],
        };
        Ok(Source::Known(path.clone(), known))
    }

    pub(crate) fn scenario(&self, seed: u64) -> Scenario {
        match self {
            Source::Seeds(profile) => sim::scenario_in(*profile, seed),
            Source::Known(_, known) => sim::retold(&known[seed as usize % known.len()], seed),
        }
    }

    pub(crate) fn name(&self, seed: u64) -> Name {
        match self {
            Source::Seeds(profile) => Name::of_seed(*profile, seed),
            Source::Known(path, _) => Name(format!("--scenario {} --seed {seed}", path.display())),
        }
    }
}

/// The scenario in a file.
pub(crate) fn read(file: &Path) -> Result<Scenario, String> {
    let text = fs::read_to_string(file).map_err(|error| at(file, error))?;
    text.parse().map_err(|error: String| at(file, error))
}

/// All scenarios in a folder, in the order of their names.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Scenario)>, String> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(|error| at(folder, error))? {
        files.push(entry.map_err(|error| at(folder, error))?.path());
    }
    files.sort();
    if files.is_empty() {
        return Err(at(folder, "no scenario is there"));
    }
    let both = |file: PathBuf| read(&file).map(|scenario| (file, scenario));
    files.into_iter().map(both).collect()
}

/// What went wrong with a file.
pub(crate) fn at(file: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}
