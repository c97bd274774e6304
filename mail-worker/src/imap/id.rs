//! ID, RFC 2971: who the client's program is, for the log, and who we are.

use protocol::imap::{IdPair, response};

use super::Imap;
use super::reply::{Outcome, Reply};

pub(super) async fn run(imap: &Imap, pairs: Vec<IdPair>) -> Outcome {
    let told: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| {
            let text =
                |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes)).into_owned();
            Some(format!("{}={}", text(name), text(value.as_deref()?)))
        })
        .collect();
    if !told.is_empty() {
        log::debug!("{}client is {}", imap.client, told.join(", "));
    }
    imap.client.write(|out| response::id(out, &[("name", env!("CARGO_PKG_NAME"))]));
    Ok(Reply::ok("ID completed."))
}

/// How much of a name or value is logged.
const LONGEST: usize = 100;
