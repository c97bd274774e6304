//! Tells the master for which client this process works: if it dies, the master knows of whom.

use std::fs::File;
use std::os::unix::fs::FileExt;

use wire::ConnectionId;

/// A memory file that the master made: four bytes, little-endian, a connection id or 0.
#[derive(Debug)]
pub(crate) struct Marker {
    file: Option<File>,
    marked: u32,
}

impl Marker {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { file, marked: 0 }
    }

    /// From now on, work is for that client, or for nobody.
    pub(crate) fn set(&mut self, id: Option<ConnectionId>) {
        let id = id.map_or(0, |id| id.0.get());
        if id == self.marked {
            return;
        }
        self.marked = id;
        if let Some(file) = &self.file
            && let Err(why) = file.write_all_at(&id.to_le_bytes(), 0)
        {
            log::warn!("marking whom work is for: {why}");
            self.file = None;
        }
    }
}
