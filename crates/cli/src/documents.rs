//! Manual pages and shell completions, made from the table that the parser uses.
//!
//! Always true: a file is written whole or not at all, and what is there is replaced only by what
//! this program generates.

use std::io;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::{Generator, shells};

use crate::failure::{Exit, Failure};
use crate::{PROGRAMS, Program};

/// A shell that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Writes `NAME.1` for every name.
///
/// # Errors
/// When a page cannot be written; the message names it.
pub fn write_manual(directory: &Path) -> Result<(), Failure> {
    write_each(directory, |program| {
        let man = clap_mangen::Man::new((program.command_line)(program.name));
        let mut page = Vec::new();
        man.render(&mut page)?;
        Ok((format!("{}.1", program.name), page))
    })
}

/// Writes a file of completions for every name, called as the shell looks for it.
///
/// # Errors
/// When a file cannot be written; the message names it.
pub fn write_completions(shell: Shell, directory: &Path) -> Result<(), Failure> {
    write_each(directory, |program| {
        Ok(match shell {
            Shell::Bash => completions(&shells::Bash, program),
            Shell::Zsh => completions(&shells::Zsh, program),
            Shell::Fish => completions(&shells::Fish, program),
        })
    })
}

fn completions(shell: &impl Generator, program: &Program) -> (String, Vec<u8>) {
    let mut command = (program.command_line)(program.name);
    command.set_bin_name(program.name);
    command.build();
    let mut script = Vec::new();
    shell.generate(&command, &mut script);
    // Bash looks for a file of the very name of the program.
    let name = shell.file_name(program.name);
    let name = name.strip_suffix(".bash").unwrap_or(&name);
    (name.to_owned(), script)
}

fn write_each(
    directory: &Path,
    make: impl Fn(&Program) -> io::Result<(String, Vec<u8>)>,
) -> Result<(), Failure> {
    for program in PROGRAMS {
        let made = make(program).and_then(|(name, content)| {
            let path = directory.join(&name);
            engine::durable::write_durably(&path, &content)
        });
        made.map_err(|error| {
            let what = format!(
                "cannot write the file of {} into {}: {error}",
                program.name,
                directory.display()
            );
            Failure::new(Exit::Failed, what).with_hint("Make the directory first: mkdir -p.")
        })?;
    }
    Ok(())
}
