//! `git lake man`: manual pages, from the same definitions as the help.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Context, Error, Exit, help};
use crate::config::env;
use crate::fs::{self, PathError, Shared};
use crate::repo::Environment;

/// Section of the manual for commands that people type.
const SECTION: &str = "1";
/// What the texts use for an apostrophe.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Print a manual page, or install all of them
///
/// Once they are installed, `git help lake`, `git lake --help` and `man git-lake` show the page of the
/// program, and `man git-lake-add` that of `git lake add`. A page that is printed can be read with
/// `git lake man add | man -l -`.
#[derive(clap::Args)]
pub struct Args {
    /// Command whose page to print; default: that of the program
    #[arg(conflicts_with_all = ["install", "dir"])]
    command: Option<String>,
    /// Write all pages to where `man` looks for them
    ///
    /// That is `share/man/man1` beside the folder that has the program, or, where that may not be
    /// written, `man/man1` in the folder for your data (`~/.local/share`).
    #[arg(long, conflicts_with = "dir")]
    install: bool,
    /// Write all pages to this folder, for packages
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs `git lake man`, for the commands that `program` has.
///
/// # Errors
/// If there is no such command, or a page cannot be written.
pub fn run(context: &Context, args: &Args, mut program: clap::Command) -> super::Result {
    if let Some(folder) = &args.dir {
        write(&context.folder.join(folder), &pages(program)?)?;
        return Ok(Exit::Done);
    }
    if args.install {
        let pages = pages(program)?;
        let folder = install(&pages)?;
        let (count, folder) = (pages.len(), folder.display());
        context.ui.status(&format!("{count} pages written to `{folder}`; see `git help lake`."));
        return Ok(Exit::Done);
    }
    let command = help::named(&mut program, args.command.as_deref())?;
    context.ui.bytes(&page(command)?.text)?;
    Ok(Exit::Done)
}

/// A manual page as a file.
struct Page {
    name: String,
    text: Vec<u8>,
}

/// Returns the pages of the program and of all commands that its help lists.
fn pages(mut program: clap::Command) -> Result<Vec<Page>, Error> {
    program.build();
    let listed = program.get_subcommands().filter(|command| !command.is_hide_set());
    let pages = std::iter::once(&program).chain(listed).map(page);
    Ok(pages.collect::<std::io::Result<_>>()?)
}

/// Renders the page of a command.
fn page(command: &clap::Command) -> std::io::Result<Page> {
    let mut command = command.clone();
    // As the help has it: what can be repeated, and where `--` has to be.
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let is_program = command.has_subcommands();
    let man = Man::new(command.override_usage(usage)).section(SECTION);
    let mut text = Vec::new();
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if is_program {
        man.render_subcommands_section(&mut text)?;
    }
    ends(is_program).to_writer(&mut text)?;
    let name = man.get_filename();
    let text = completed(&name, &String::from_utf8_lossy(&text));
    Ok(Page { name, text })
}

/// The sections that every page ends with.
fn ends(is_program: bool) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    let codes = [
        ("0", "done"),
        ("1", "something could not be done; the rest was"),
        ("2", "usage"),
        ("3", "data was found damaged or lost"),
        ("130", "interrupted"),
    ];
    for (code, meaning) in codes {
        roff.control("TP", ["6"]).text([bold(code)]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    let program = if is_program { None } else { Some("git-lake") };
    for name in program.into_iter().chain(["git", "git-add", "git-clone"]) {
        roff.control("BR", [name, "(1),"]);
    }
    roff.control("BR", ["gitattributes", "(5)"]);
    roff
}

/// Returns the sections of a page with its title, and with what stands between backticks in bold, as
/// manual pages do with what is typed.
fn completed(file_name: &str, sections: &str) -> Vec<u8> {
    // Not by clap_mangen, which leaves an empty date out, so that the version takes its place (0.3.3).
    let title = file_name.strip_suffix(".1").unwrap_or(file_name);
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "{PREAMBLE}.TH \"{title}\" \"{SECTION}\" \"\" \"git-lake {version}\" \"git-lake manual\"\n"
    );
    // Each section has come with it.
    for line in sections.replace(PREAMBLE, "").lines() {
        let pieces: Vec<&str> = line.split('`').collect();
        if pieces.len() % 2 == 1 {
            for (at, piece) in pieces.iter().enumerate() {
                match at % 2 {
                    0 => text.push_str(piece),
                    _ => text.extend(["\\fB", piece, "\\fR"]),
                }
            }
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// Writes pages into a folder, which is made if it is missing.
fn write(folder: &Path, pages: &[Page]) -> Result<(), PathError> {
    fs::create_folders(folder)?;
    pages
        .iter()
        .try_for_each(|page| fs::write_atomic(&folder.join(&page.name), &page.text, Shared::Yes))
}

/// Writes pages to the first place that may be written, and returns it.
fn install(pages: &[Page]) -> Result<PathBuf, Error> {
    let places = [beside_the_program(), env::data_folder().map(|data| data.join("man"))];
    let mut refused = None;
    for folder in places.into_iter().flatten().map(|place| place.join("man1")) {
        match write(&folder, pages) {
            Ok(()) => return Ok(folder),
            Err(error) if error.is_denied() => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(refused.map_or_else(
        || Error::Refused("There is no folder to write manual pages to; use `--dir`".into()),
        Error::from,
    ))
}

/// Returns the folder where `man` looks for pages of what git finds on its search path. Not by the name
/// of the running program: that is where links lead which package managers make.
fn beside_the_program() -> Option<PathBuf> {
    let search_path = Environment::read().search_path?;
    let program = OsStr::new("git-lake");
    let mut folders = std::env::split_paths(&search_path);
    let folder = folders.find(|folder| folder.is_absolute() && folder.join(program).is_file())?;
    Some(folder.parent()?.join("share").join("man"))
}
