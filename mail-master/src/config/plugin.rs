//! plugin { }: free names and values that become variables of mail processes.

use wire::Protocol;

use crate::config::Plugin;
use crate::config::problem::{Problem, Report};
use crate::config::table::{Written, within};
use crate::config::value::Fault;
use crate::environ;
use expand::Template;

/// The entries that hold for a protocol; later ones win. What can be no variable is a problem in `report`.
pub(super) fn read(
    entries: &[(Option<Protocol>, String, Written)],
    protocol: Protocol,
    report: &mut Report,
) -> Plugin {
    let mut plugin = Plugin::new();
    let ours = entries.iter().filter(|(only, ..)| only.is_none_or(|only| only == protocol));
    for (_, key, written) in ours {
        let name = key.to_ascii_uppercase();
        if !is_name(&name) {
            let problem = Problem::error(format!("'{key}' can be no variable of the environment"));
            report.add(
                problem.at(&written.name_place).help("use letters, digits and underscores, a letter first"),
            );
        } else if environ::is_ours(name.as_bytes()) {
            let problem = Problem::error(format!("{name} is a variable that the master sets itself"));
            report.add(problem.at(&written.name_place).help("use another name"));
        } else {
            match Template::parse(&written.text).map_err(Fault::from) {
                Ok(template) => {
                    plugin.insert(name, template);
                }
                Err(fault) => {
                    let place = within(&written.place, fault.part.as_deref(), report);
                    let problem = Problem::error(format!("{key}: {}", fault.what)).at(&place);
                    report.add(problem.help(fault.help.unwrap_or_default()));
                }
            }
        }
    }
    plugin
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}
