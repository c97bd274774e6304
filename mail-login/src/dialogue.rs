//! A SASL exchange under way: a mechanism that was offered, and what the client has to say next.

use protocol::sasl::{self, Exchange, Progress};

use crate::conversation::{Attempt, Method};
use crate::offers::Offers;

/// See above.
#[derive(Debug)]
pub(crate) struct Dialogue {
    method: Method,
    exchange: Exchange,
}

/// What a response led to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send [`Dialogue::challenge`], and wait for a line.
    Ask(Dialogue),
    /// All is said.
    Done(Attempt),
}

impl Dialogue {
    /// One of `mechanism`, in upper case; none where it is not offered.
    pub(crate) fn begin(offers: &Offers, mechanism: &str) -> Option<Self> {
        let method = offers.mechanism(mechanism)?;
        Some(Self { method, exchange: Exchange::new(mechanism)? })
    }

    /// What the client is asked, in base64.
    pub(crate) fn challenge(&self) -> &'static str {
        self.exchange.challenge()
    }

    /// Takes the client's response as it came; none where it owes one.
    pub(crate) fn take(self, response: Option<&[u8]>) -> Result<Turn, sasl::Error> {
        let Some(response) = response else { return Ok(Turn::Ask(self)) };
        let method = self.method;
        Ok(match self.exchange.step(sasl::decode(response)?)? {
            Progress::Ask(exchange) => Turn::Ask(Self { method, exchange }),
            Progress::Done(credentials) => Turn::Done(Attempt { credentials, method }),
        })
    }
}
