//! Manual pages and shell completions, made from the table that the parser uses.
//!
//! Always true: a file is written whole or not at all, and what is there is replaced only by what
//! this program generates.

use std::io;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::{Generator, shells};

use crate::failure::{Failure, Kind};
use crate::program::Program;

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
pub fn write_manual(programs: &[Program], directory: &Path) -> Result<(), Failure> {
    write_each(programs, directory, |program| {
        let mut page = render_page((program.command_line)(program.name))?;
        page.extend(render_names(programs).into_bytes());
        Ok((format!("{}.1", program.name), page))
    })
}

/// A manual page: what follows the options in the help has sections of its own there.
fn render_page(command: clap::Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string);
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend(render_sections(&after.unwrap_or_default()).into_bytes());
    page.extend(OTHER_SECTIONS.as_bytes());
    Ok(page)
}

/// All the names, each of which has a page.
fn render_names(programs: &[Program]) -> String {
    let names = programs.iter().map(|program| program.name);
    let names: Vec<_> = names.map(|name| name.replace('-', "\\-") + "(1)").collect();
    format!(".SH \"SEE ALSO\"\n{}\n", names.join(",\n"))
}

/// The paragraphs of a help text as sections: those with a title that manuals have under it, the
/// others as notes. Lines that begin with spaces stay lines.
fn render_sections(help: &str) -> String {
    let title = |paragraph: &str| match paragraph.lines().next() {
        Some("Example:" | "Examples:") => "EXAMPLES",
        Some("Exit status:") => "EXIT STATUS",
        _ => "NOTES",
    };
    let (mut text, mut current) = (String::new(), "");
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let title = title(paragraph);
        text += &if title == current {
            ".PP\n".to_owned()
        } else {
            format!(".SH {title:?}\n")
        };
        current = title;
        let lines = paragraph.lines().skip(usize::from(title != "NOTES"));
        let mut is_literal = false;
        for line in lines {
            if line.starts_with(' ') != is_literal {
                is_literal = !is_literal;
                text += if is_literal {
                    ".PP\n.nf\n"
                } else {
                    ".fi\n.PP\n"
                };
            }
            text += &escape(line);
        }
        text += if is_literal { ".fi\n" } else { "" };
    }
    text
}

/// A line that roff shows as it is.
fn escape(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    let guard = if line.starts_with(['.', '\'']) {
        "\\&"
    } else {
        ""
    };
    format!("{guard}{line}\n")
}

const OTHER_SECTIONS: &str = r#".SH "ENVIRONMENT"
.TP
AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL
Address of an S3 service other than AWS, where \-\-endpoint\-url is not given.
.TP
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
Credentials for S3.
.TP
AWS_PROFILE
Section of the AWS files, where \-\-aws\-profile is not given.
.TP
AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE
PEM file of the authorities, or servers, that are trusted instead of the system's.
.TP
AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY
Credentials for Azure, in this order; without them AZURE_CLIENT_ID and the like, as Microsoft's
clients know them.
.TP
GOOGLE_APPLICATION_CREDENTIALS
File with credentials for Google Cloud Storage.
.TP
HTTPS_PROXY, HTTP_PROXY, NO_PROXY
The way to the store.
.TP
BARMAN_STORE_PATIENCE
For how many seconds a store that is away is waited for.
.TP
PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSFILE, PGSERVICE and others of libpq
The way to PostgreSQL, for barman\-cloud\-backup.
.TP
NO_COLOR
No colours on a terminal.
.TP
TMPDIR
Where lists of files lie while a backup runs; /tmp without it.
.SH "FILES"
.TP
~/.aws/credentials, ~/.aws/config
Keys, profiles and endpoints for S3.
.TP
~/.pgpass
Passwords for PostgreSQL.
"#;

/// Writes a file of completions for every name, called as the shell looks for it.
///
/// # Errors
/// When a file cannot be written; the message names it.
pub fn write_completions(
    programs: &[Program],
    shell: Shell,
    directory: &Path,
) -> Result<(), Failure> {
    write_each(programs, directory, |program| {
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
    programs: &[Program],
    directory: &Path,
    make: impl Fn(&Program) -> io::Result<(String, Vec<u8>)>,
) -> Result<(), Failure> {
    for program in programs {
        let made = make(program).and_then(|(name, content)| {
            let path = directory.join(&name);
            engine::durable::write_for_all(&path, &content)
        });
        made.map_err(|error| {
            let what = format!(
                "cannot write the file of {} into {}: {error}",
                program.name,
                directory.display()
            );
            Failure::new(Kind::Failed, what).with_hint("Make the directory first: mkdir -p.")
        })?;
    }
    Ok(())
}
