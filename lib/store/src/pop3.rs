//! What a uidlist has of messages that came from another POP3 server: their unique ids there (key P), and their places
//! in its listing (key O). Most lists have neither.

use crate::uidlist::{Fault, Reader};
use crate::{Error, Mailbox, Step, Uid};

/// One message's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pop3Record {
    /// Whose.
    pub uid: Uid,
    /// Its unique id; fit to be one.
    pub id: Option<Box<[u8]>>,
    /// Its place: those with the lower numbers come first, and those without one last.
    pub order: Option<u32>,
}

/// Reads them, turn by turn.
#[derive(Debug)]
pub struct Pop3Records {
    reader: Option<Reader>,
    found: Vec<Pop3Record>,
}

impl Mailbox {
    /// Begins to read them, as of the last sync.
    pub fn pop3_records(&self) -> Result<Pop3Records, Error> {
        let state = self.state.borrow();
        let reader = match state.has_pop3_keys {
            true => Reader::open(&state.list_path()),
            false => Ok(None),
        };
        Ok(Pop3Records { reader: sound(reader)?.flatten(), found: Vec::new() })
    }
}

impl Pop3Records {
    /// Reads so many records of the list. All that there are of POP3, by UID, at the end.
    pub fn step(&mut self, budget: usize) -> Result<Step<Vec<Pop3Record>>, Error> {
        let Some(reader) = &mut self.reader else { return Ok(Step::Done(std::mem::take(&mut self.found))) };
        for _ in 0..budget.max(1) {
            let Some(Some((record, _))) = sound(reader.next())? else {
                self.reader = None;
                break;
            };
            let id = record.value(b'P').filter(|id| is_id(id)).map(Box::from);
            let order = record.value(b'O').and_then(|order| std::str::from_utf8(order).ok()?.parse().ok());
            if id.is_some() || order.is_some() {
                self.found.push(Pop3Record { uid: record.uid, id, order });
            }
        }
        Ok(Step::More)
    }
}

/// A sync finds out about a broken list; here it has no more.
fn sound<T>(read: Result<T, Fault>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Fault::Broken(_)) => Ok(None),
        Err(Fault::Io(error)) => Err(error),
    }
}

/// RFC 1939, section 7: 1 to 70 printable characters.
fn is_id(id: &[u8]) -> bool {
    (1..=70).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
