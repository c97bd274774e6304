//! A Maildir as others left it: names of files, `dovecot-uidlist` and `dovecot-keywords` of any bytes. UIDs ascend and
//! last, a change of flags lasts, and nothing panics or goes on for ever.
//!
//! The input is the list, the keywords and the names, with NULs between them; names go to cur/ and new/ in turn.

#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use store::{Access, Change, Error, Flag, Flags, Found, Location, Now, Process, Step, Uid, User, View};

fuzz_target!(|input: &[u8]| {
    let dir = scratch();
    fill(dir.path(), input);
    let process = Process::new(std::process::id(), b"here");
    let Ok(mut view) = open(&process, dir.path()) else { return };
    let before = messages(&view);
    assert!(before.is_sorted_by(|one, other| one.0 < other.0));
    let next = view.mailbox().status().uid_next;
    assert!(before.iter().all(|(uid, _)| uid.get() < next || next == u32::MAX));

    let seen = Flags::NONE.with(Flag::Seen);
    let stored: Vec<Uid> = (before.iter().map(|(uid, _)| *uid))
        .filter(|&uid| matches!(view.store(uid, Change::Add(seen), Now::read()), Ok(Found::Here(_))))
        .collect();
    if let Ok(mut records) = view.mailbox().pop3_records() {
        while let Ok(Step::More) = records.step(10) {}
    }
    drop(view);

    let again = open(&process, dir.path()).unwrap();
    assert_eq!(messages(&again), before);
    for uid in stored {
        assert!(again.message(uid).is_some_and(|message| message.flags.has(Flag::Seen)));
    }
});

/// In memory where there is such a place: what is stored is synced to the disk each time.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn fill(root: &Path, input: &[u8]) {
    let mut parts = input.split(|&byte| byte == 0);
    for name in ["dovecot-uidlist", "dovecot-keywords"] {
        if let Some(text) = parts.next().filter(|text| !text.is_empty()) {
            fs::write(root.join(name), text).unwrap();
        }
    }
    for dir in ["cur", "new", "tmp"] {
        fs::create_dir(root.join(dir)).unwrap();
    }
    for (name, dir) in parts.zip(["cur", "new"].into_iter().cycle()) {
        if !name.is_empty() && !name.contains(&b'/') {
            // Too long, or `.`, or `..`: there can be no such file.
            let _ = fs::write(root.join(dir).join(OsStr::from_bytes(name)), "A: b\n\nc\n");
        }
    }
}

/// A view of the model as somebody has it who comes anew.
fn open(process: &Rc<Process>, root: &Path) -> Result<View, Error> {
    let location = Location::parse(&format!("maildir:{}", root.display()), Path::new("/"))?;
    let mailbox = User::new(Rc::clone(process), location, Vec::new()).open(b"INBOX", Now::read())?;
    for turn in 0.. {
        assert!(turn < 1000, "no end");
        match mailbox.sync(Now::read(), 10)? {
            Step::Done(()) => break,
            Step::More => {}
            Step::Busy { .. } => panic!("nobody else has the lock"),
            Step::Disk(_) => panic!("nobody else waits for the disk"),
        }
    }
    Ok(mailbox.view(Access::ReadWrite))
}

fn messages(view: &View) -> Vec<(Uid, Option<Vec<u8>>)> {
    let uids = (1..=view.exists()).map(|number| view.uid(number).unwrap());
    uids.map(|uid| (uid, view.file_name(uid))).collect()
}
