//! CAPA, RFC 2449 section 5.

use super::Pop3;
use super::reply::{Outcome, Reply};

pub(super) async fn run(pop3: &mut Pop3) -> Outcome {
    pop3.client.write(|out| protocol::pop3::capa(out, protocol::capability::POP3));
    Ok(Reply::Written)
}
