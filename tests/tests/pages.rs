//! What is written about the programs is true: options stand in their pages, files in the code map are there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The options that a help text lists, with their dashes.
fn options(program: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).unwrap();
    // What an option may be set to is a list with dashes, too.
    let listed =
        help.lines().map(str::trim_start).filter(|line| line.starts_with('-') && !line.starts_with("- "));
    let words = listed.flat_map(|line| line.split_whitespace().take_while(|word| word.starts_with('-')));
    words.map(|word| word.trim_end_matches([',', '.']).to_owned()).collect()
}

/// Whether a page's source has the option in a place where it is explained.
fn explains(page: &str, option: &str) -> bool {
    let name = option.strip_prefix('-').unwrap();
    let items = page.lines().filter(|line| line.starts_with(".It Fl ") || line.starts_with(".Fl "));
    items.flat_map(|line| line.split_whitespace()).any(|word| word == name)
}

#[test]
fn every_option_is_explained_in_its_page() {
    let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    for (name, verbs) in [
        ("envdump.1", &[&[][..], &["run"], &["check"]][..]),
        ("fdpass.1", &[&[], &["send"], &["recv"], &["listen"]]),
        ("mail-auth.8", &[&[]]),
        ("mail-jail.8", &[&[]]),
        ("mail-login.8", &[&[]]),
        ("mail-master.8", &[&[]]),
        ("mail-worker.8", &[&[]]),
        ("mailctl.8", &[&[], &["kick"], &["who"]]),
    ] {
        let page = fs::read_to_string(repository().join("man").join(name));
        let page = page.unwrap_or_else(|why| panic!("man/{name}: {why}"));
        let program = built.join(name.split('.').next().unwrap());
        let everywhere = ["-h", "--help", "-V", "--version"];
        let all = verbs.iter().flat_map(|verb| options(&program, verb));
        for option in all.filter(|option| !everywhere.contains(&option.as_str())) {
            assert!(explains(&page, &option), "{option} does not stand in man/{name}");
        }
    }
}

#[test]
fn every_page_has_the_sections_that_are_expected_of_it() {
    let sections = |page: &str| -> Vec<String> {
        page.lines().filter_map(|line| line.strip_prefix(".Sh ")).map(str::to_owned).collect()
    };
    for entry in fs::read_dir(repository().join("man")).unwrap() {
        let path = entry.unwrap().path();
        let has = sections(&fs::read_to_string(&path).unwrap());
        let is_program = path.extension().is_some_and(|section| section == "1" || section == "8");
        let wanted: &[&str] = if is_program {
            &["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "SIGNALS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
        } else {
            &["NAME", "DESCRIPTION", "SEE ALSO"]
        };
        for section in wanted {
            assert!(has.iter().any(|one| one == section), "{}: no {section}", path.display());
        }
    }
}

#[test]
fn every_page_of_ours_that_a_page_refers_to_is_there() {
    for entry in fs::read_dir(repository().join("man")).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        for reference in page.lines().filter_map(|line| line.split_once("Xr ").map(|(_, rest)| rest)) {
            let mut words = reference.split_whitespace();
            let (name, section) = (words.next().unwrap(), words.next().unwrap());
            let ours = name.starts_with("mail") || ["envdump", "fdpass"].contains(&name);
            let there = repository().join(format!("man/{name}.{section}")).is_file();
            assert!(there || !ours, "{}: {name}({section}) does not exist", path.display());
        }
    }
}

/// The examples of a page that show what a command prints: the command, and that.
fn examples(page: &str) -> Vec<(String, String)> {
    let blocks =
        page.split(".Bd -literal -offset indent\n").skip(1).filter_map(|rest| rest.split(".Ed").next());
    let said = |block: &str| {
        let block = block.replace("\\e", "\\").replace("\\\n", "");
        let (command, output) = block.strip_prefix("$ ").or(block.strip_prefix("# "))?.split_once('\n')?;
        Some((command.to_owned(), output.to_owned())).filter(|(_, output)| !output.is_empty())
    };
    blocks.filter_map(said).collect()
}

#[test]
fn examples_print_what_their_page_says() {
    let test = "examples_print_what_their_page_says";
    for (name, needs_root) in [("envdump.1", false), ("mail-jail.8", true)] {
        if needs_root && !tests::root(test) {
            continue;
        }
        let shown = examples(&fs::read_to_string(repository().join("man").join(name)).unwrap());
        assert!(!shown.is_empty(), "{name}");
        for (command, output) in shown {
            let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().display().to_string();
            let ran =
                Command::new("sh").arg("-c").arg(&command).env("PATH", path + ":/usr/bin:/bin").output();
            let ran = ran.unwrap();
            let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            let stdout = String::from_utf8_lossy(&ran.stdout);
            assert_eq!(lines(&stdout), lines(&output), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}

#[test]
fn every_file_of_the_code_map_is_there() {
    let map = fs::read_to_string(repository().join("doc/CODE-MAP.md")).unwrap();
    let quoted = map.split('`').skip(1).step_by(2);
    let files: Vec<&str> = quoted.filter(|text| text.contains("/src/")).collect();
    assert!(files.len() > 30);
    for file in files {
        assert!(repository().join(file).is_file(), "there is no {file}");
    }
}

#[test]
fn every_crate_is_in_the_code_map_and_the_readme() {
    let read = |name: &str| fs::read_to_string(repository().join(name)).unwrap();
    let members = read("Cargo.toml");
    let members = members.lines().filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\","));
    for member in members {
        assert!(
            read("doc/CODE-MAP.md").contains(&format!("\n| `{member}` |")),
            "{member} in doc/CODE-MAP.md"
        );
        let folder = if member.contains('/') { member.to_owned() } else { format!("{member}/") };
        assert!(read("README.md").contains(&format!("\n| `{folder}` |")), "{member} in README.md");
    }
}
