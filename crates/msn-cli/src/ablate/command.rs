//! The command that trains one run of a grid by itself.

use camino::Utf8Path;
use clap::{CommandFactory as _, parser::ValueSource};

use crate::{
    args::{AblateArgs, Cli},
    command_line::quoted,
};

/// Options of `msn ablate` that are the grid's; `msn train` takes all others alike.
const OF_THE_GRID: [&str; 5] = ["pools", "seeds", "preset", "out", "json"];

/// The command of a run with these settings.
pub(super) fn of_cell(
    args: &AblateArgs,
    settings: &[String],
    folder: &Utf8Path,
    options: &[String],
) -> String {
    let words = ["train", args.data.as_str()].map(str::to_owned);
    let own = ["--preset", &args.preset, "--out", folder.as_str()].map(str::to_owned);
    let words = words.iter().chain(settings).chain(&own).chain(options);
    quoted(words.cloned())
}

/// The options on this command line that a run's own command has, too.
pub(super) fn shared_options() -> Vec<String> {
    let mut command = Cli::command();
    let matches = command.get_matches_mut();
    let Some((name, matches)) = matches.subcommand() else {
        return Vec::new();
    };
    let subcommand = command.find_subcommand(name);
    let mut words = Vec::new();
    for option in subcommand
        .into_iter()
        .flat_map(clap::Command::get_arguments)
    {
        let id = option.get_id().as_str();
        let Some(long) = option.get_long().filter(|_| !OF_THE_GRID.contains(&id)) else {
            continue;
        };
        // Flags such as --help have no value and were not given.
        if matches.try_contains_id(id).unwrap_or(false)
            && matches.value_source(id) == Some(ValueSource::CommandLine)
        {
            for value in matches.get_raw(id).into_iter().flatten() {
                words.push(format!("--{long}"));
                words.push(value.to_string_lossy().into_owned());
            }
        }
    }
    words
}
