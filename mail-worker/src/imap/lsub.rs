//! LSUB, RFC 3501 section 6.3.9: what the user subscribed to, whether or not it is there.

use std::collections::BTreeMap;

use protocol::imap::{Pattern, response};

use super::list::{nameable, root};
use super::reply::{Outcome, Reply};
use super::{Imap, PATIENCE};

pub(super) async fn run(imap: &Imap, reference: Vec<u8>, pattern: Vec<u8>) -> Outcome {
    imap.furnish().await?;
    let client = &imap.client;
    let mail = client.user.mail();
    let separator = mail.location().separator;
    if pattern.is_empty() {
        client.write(|out| response::list_separator(out, "LSUB", separator, root(&reference, separator)));
        return Ok(Reply::ok("Lsub completed."));
    }
    // Only a pattern that stops at a level stands for what is below that level.
    let levels = pattern.ends_with(b"%");
    let pattern = Pattern::new(&reference, &pattern, separator);
    let mut subscriptions = mail.subscriptions()?;
    client.carry_out(PATIENCE, |_| subscriptions.step()).await?;
    let subscriptions = subscriptions.names();
    let mut found = BTreeMap::new();
    for name in &subscriptions {
        if pattern.matches(name, separator) {
            found.insert(name.as_str(), Listed::Subscribed);
        } else if levels {
            for name in above(name, separator).filter(|name| pattern.matches(name, separator)) {
                found.entry(name).or_insert(Listed::Above);
            }
        }
        client.breathe().await?;
    }
    for (name, listed) in found {
        let Some(name) = nameable(name) else { continue };
        let attributes: &[&str] = match listed {
            Listed::Subscribed => &[],
            Listed::Above => &["\\Noselect"],
        };
        client.write(|out| response::list(out, "LSUB", attributes, Some(separator), &name));
        client.breathe().await?;
    }
    Ok(Reply::ok("Lsub completed."))
}

/// Why a name stands in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Subscribed,
    /// Something below it is subscribed that `%` did not reach.
    Above,
}

/// The levels above a name.
fn above(name: &str, separator: u8) -> impl Iterator<Item = &str> {
    name.match_indices(char::from(separator)).filter_map(|(at, _)| name.get(..at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_levels_above() {
        assert_eq!(above("a.b.c", b'.').collect::<Vec<_>>(), ["a", "a.b"]);
        assert_eq!(above("a", b'.').count(), 0);
    }
}
