//! IDLE, RFC 2177: the client listens, and is told at once what is new.
//!
//! This is where most clients are most of the time: what stands across an `await` here is what each of them costs.

use std::rc::Rc;
use std::time::Instant;

use protocol::imap::{Status, Step, response};
use store::Expunges;

use super::reply::{Outcome, Reply};
use super::{Imap, SILENCE};
use crate::client::Synced;
use crate::session::{Ending, Wants};
use crate::watch::Watch;

pub(super) async fn run(imap: &mut Imap) -> Outcome {
    let client = Rc::clone(&imap.client);
    client.write(|out| response::continuation(out, "idling"));
    // Before the first look, so that nothing falls in between.
    let watch = watch(imap);
    let begun = client.now().instant;
    let mut silent_at = begun + SILENCE;
    let mut still_here_at = client.still_here_at();
    let mut look_at = Some(begun);
    loop {
        let now = client.now().instant;
        // With the other words that it is time for there is always a look: a watch ends with its directory.
        let still_here = still_here_at.is_some_and(|at| at <= now);
        if client.take_notice() || still_here || look_at.is_some_and(|at| at <= now) {
            let synced = imap.news(Expunges::Tell).await?;
            look_at = next_look(imap, watch.is_some(), synced);
        }
        if still_here {
            client.write(|out| response::untagged(out, Status::Ok, None, "Still here"));
            // Who takes that is there: many a client idles for days, as Dovecot lets it. (RFC 2177 allows either.)
            silent_at = now + SILENCE;
            still_here_at = client.still_here_at();
        }
        client.flush().await?;
        if let Some(outcome) = read_done(imap)? {
            return outcome;
        }
        if now >= silent_at {
            return Err(Ending::Silent.into());
        }
        let moments = [still_here_at, look_at].into_iter().flatten();
        client.rest(moments.fold(Wants::input().or_notice().or_at(silent_at), Wants::or_at)).await;
    }
}

fn watch(imap: &Imap) -> Option<Watch> {
    imap.client.watch(imap.selected.as_ref()?.view.mailbox().watched())
}

/// When to look even if nobody says that there is something.
fn next_look(imap: &Imap, watched: bool, synced: Synced) -> Option<Instant> {
    let selected = imap.selected.as_ref()?;
    let now = imap.client.now().instant;
    let poll = (!watched).then(|| now + imap.client.user.settings.poll_interval);
    let retry = match synced {
        Synced::All => None,
        Synced::Known { retry_after } => Some(now + retry_after),
    };
    [poll, retry, selected.view.mailbox().recheck_at()].into_iter().flatten().min()
}

/// How it ended, if the client said anything.
fn read_done(imap: &mut Imap) -> Result<Option<Outcome>, Ending> {
    loop {
        match imap.client.take_input(|input| imap.framer.feed_line(input)) {
            Step::Incomplete if imap.client.receive()? => {}
            Step::Incomplete => return Ok(None),
            _ if imap.framer.take().trim_ascii().eq_ignore_ascii_case(b"DONE") => {
                return Ok(Some(Ok(Reply::ok("Idle completed."))));
            }
            _ => return Ok(Some(Ok(Reply::bad("Expected DONE.")))),
        }
    }
}
