//! The manual page `reelfs.1` and the completions, made from the definition of the commands.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::command::Cli;
use crate::config;

/// The pages that are made from definitions, with the names of their files.
///
/// # Errors
/// None in practice: the pages are rendered into memory.
pub fn manuals() -> io::Result<[(&'static str, String); 2]> {
    Ok([("reelfs.1", reelfs_1()?), ("reelfs.toml.5", config::manual())])
}

/// Writes the pages that are made from definitions into `directory`, which has to be there.
///
/// # Errors
/// What the file system says.
pub fn write_manuals(directory: &Path) -> io::Result<()> {
    for (name, page) in manuals()? {
        fs::write(directory.join(name), page)?;
    }
    Ok(())
}

/// Prints the completions for `shell`.
pub fn write_completions(shell: Shell, to: &mut dyn Write) {
    let mut definition = Cli::command();
    clap_complete::generate(shell, &mut definition, "reelfs", to);
}

/// `reelfs.1`: every command in one page, since the commands are few and go together.
fn reelfs_1() -> io::Result<String> {
    let mut definition = Cli::command();
    definition.build();
    let after_help = definition.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = config::manual_title("reelfs", 1);
    page += &rendered(&definition, Man::render_name_section)?;
    page += &rendered(&definition, Man::render_synopsis_section)?;
    page += ".SH DESCRIPTION\n";
    page += paragraphs(&after_help).trim_start_matches(".PP\n");
    page += ".SH COMMANDS\n";
    for command in definition.get_subcommands().filter(|command| !command.is_hide_set()) {
        let parts: Vec<&clap::Command> = command.get_subcommands().collect();
        for part in if parts.is_empty() { vec![command] } else { parts } {
            page += &section_of(part)?;
        }
    }
    page += ".SH SEE ALSO\n.BR reelfs.toml (5),\n.BR reelfs (7)\n";
    Ok(page)
}

/// A command as a subsection: usage, what it does, its arguments, what else its help says.
fn section_of(command: &clap::Command) -> io::Result<String> {
    let command = &without_help_option(command);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let after_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut section = format!(".SS {}\n", name.trim_start_matches("reelfs "));
    section += &synopsis(command);
    section += ".PP\n";
    section += &escaped(&format!("{about}."));
    let options = rendered(command, Man::render_options_section)?;
    section += options.trim_start_matches(".SH OPTIONS\n");
    section += &paragraphs(&after_help);
    Ok(section)
}

/// How a command is called: its options with their values, then what has to follow.
fn synopsis(command: &clap::Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut line = format!("\\fB{name}\\fR");
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let (positionals, options): (Vec<_>, Vec<_>) = shown.partition(|a| a.is_positional());
    for argument in options.into_iter().chain(positionals) {
        let flag = match (argument.get_long(), argument.get_short()) {
            (Some(long), _) => format!("\\fB\\-\\-{}\\fR", long.replace('-', "\\-")),
            (None, Some(short)) => format!("\\fB\\-{short}\\fR"),
            (None, None) => String::new(),
        };
        let takes_value = argument.get_action().takes_values();
        let names = argument.get_value_names().filter(|_| takes_value).unwrap_or_default();
        let values = names.iter().map(|name| format!("\\fI{name}\\fR")).collect::<Vec<_>>();
        let parts = [vec![flag], values].concat();
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let text = if argument.is_required_set() { text } else { format!("[{text}]") };
        let many = matches!(argument.get_action(), clap::ArgAction::Append);
        line += &format!(" {text}{}", if many { "..." } else { "" });
    }
    line + "\n"
}

/// `-h` is the same everywhere: the synopsis of the program has it.
fn without_help_option(command: &clap::Command) -> clap::Command {
    command.clone().mut_arg("help", |help| help.hide(true))
}

fn rendered(
    command: &clap::Command,
    section: impl Fn(&Man, &mut dyn Write) -> io::Result<()>,
) -> io::Result<String> {
    let mut page = Vec::new();
    section(&Man::new(command.clone()), &mut page)?;
    let page = String::from_utf8(page).map_err(io::Error::other)?;
    // Each section brings the same definition of the apostrophe; `\(aq` is what it stands for.
    let lines = page.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "));
    let lines = lines.map(|line| line.trim_end().replace("\\*(Aq", "\\(aq") + "\n");
    // A break beside vertical space has no effect, and mandoc warns of it.
    Ok(lines.collect::<String>().replace(".br\n\n.br\n", ".sp\n").replace(".br\n\n", ".sp\n"))
}

/// Paragraphs of a help text; lines beginning with "Example: " become examples of their own.
fn paragraphs(text: &str) -> String {
    let mut page = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("Example: ") {
            Some(example) => page += &format!(".PP\n.in +4n\n.EX\n{}.EE\n.in\n", escaped(example)),
            None => page += &format!(".PP\n{}", escaped(line)),
        }
    }
    page
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let guard = if text.starts_with('.') { "\\&" } else { "" };
    format!("{guard}{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shown_command_and_option_is_in_the_page() {
        let page = reelfs_1().unwrap();
        let mut definition = Cli::command();
        definition.build();
        let alone = definition.get_subcommands().filter(|it| !it.has_subcommands());
        let parts = definition.get_subcommands().flat_map(clap::Command::get_subcommands);
        for command in alone.chain(parts) {
            let name = command.get_bin_name().unwrap_or_default();
            let heading = format!(".SS {}\n", name.trim_start_matches("reelfs "));
            assert_eq!(page.contains(&heading), !command.is_hide_set(), "{heading}");
            let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
            for long in shown.filter_map(|argument| argument.get_long()) {
                let escaped = format!("\\-\\-{}", long.replace('-', "\\-"));
                assert!(command.is_hide_set() || page.contains(&escaped), "--{long}");
            }
        }
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            write_completions(shell, &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("inspect") && script.contains("block-size"), "{shell}");
        }
    }
}
