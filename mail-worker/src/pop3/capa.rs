//! CAPA, RFC 2449 section 5, and LANG, RFC 6856 section 3.

use std::iter::once;

use protocol::capability::{POP3, pop3_login_delay};

use super::Pop3;
use super::reply::{Outcome, Reply, Stop};

pub(super) async fn run(pop3: &mut Pop3) -> Outcome {
    let delay = pop3.client.user.settings.pop3.login_delay.map(pop3_login_delay);
    let names = POP3.iter().copied().chain(delay.as_deref()).chain(once(IMPLEMENTATION));
    pop3.client.write(|out| protocol::pop3::capa(out, names));
    Ok(Reply::Written)
}

pub(super) async fn lang(pop3: &mut Pop3, range: Option<String>) -> Outcome {
    match pop3.client.write(|out| protocol::pop3::lang(out, range.as_deref())) {
        true => Ok(Reply::Written),
        false => Err(Stop::Command("We speak English only.".into())),
    }
}

/// Strangers are not told what runs here.
const IMPLEMENTATION: &str = concat!("IMPLEMENTATION ", env!("CARGO_PKG_NAME"));
