//! STAT and LIST, RFC 1939 section 5. Sizes are those that the client will see: with CRLF.

use std::num::NonZeroU32;
use std::rc::Rc;

use protocol::pop3::{line, numbers, ok};

use super::Pop3;
use super::reply::{Outcome, Reply};

pub(super) async fn stat(pop3: &mut Pop3) -> Outcome {
    let (count, size) = pop3.maildrop.totals().await?;
    Ok(Reply::ok(format!("{count} {size}")))
}

pub(super) async fn one(pop3: &mut Pop3, number: NonZeroU32) -> Outcome {
    pop3.maildrop.letter(number)?;
    let size = pop3.maildrop.size(number).await?;
    Ok(Reply::ok(format!("{number} {size}")))
}

pub(super) async fn all(pop3: &mut Pop3) -> Outcome {
    let client = Rc::clone(&pop3.client);
    // Before the first line: from there on no error can be told.
    let (count, size) = pop3.maildrop.totals().await?;
    client.set_within(true);
    client.write(|out| ok(out, &format!("{count} messages ({size} octets)")));
    for number in pop3.maildrop.numbers() {
        let size = pop3.maildrop.size(number).await?;
        client.write(|out| numbers(out, number.get().into(), size));
        client.breathe().await?;
    }
    client.write(|out| line(out, "."));
    client.set_within(false);
    Ok(Reply::Written)
}
