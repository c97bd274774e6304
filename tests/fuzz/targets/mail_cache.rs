//! A mailbox's cache as somebody left it, of any bytes, or a good one with some of them in it: nothing panics or goes on
//! for ever, and what a command puts into it afterwards is there for the next one.

#![no_main]

use std::fs;
use std::path::Path;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use store::{Access, Cache, Kind, Location, Message, Now, Process, Step, User, View};

fuzz_target!(|input: (bool, u16, Vec<u8>)| {
    let (whole, at, bytes) = input;
    let dir = scratch();
    for name in ["cur", "new", "tmp", "cur/1.a:2,", "cur/2.a:2,", "cur/3.a:2,"] {
        let path = dir.path().join(name);
        if name.contains("a") { fs::write(path, "A: b\n\nc\n") } else { fs::create_dir(path) }.unwrap();
    }
    let view = open(dir.path());
    let path = dir.path().join("mail-cache");
    put(&view);
    let mut file = if whole { Vec::new() } else { fs::read(&path).unwrap() };
    let at = usize::from(at) % (file.len() + 1);
    file.splice(at..(at + bytes.len()).min(file.len()), bytes);
    fs::write(&path, file).unwrap();

    get(&view);
    put(&view);
    assert_eq!(get(&view), 3);
});

/// In memory where there is such a place.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn open(root: &Path) -> View {
    let location = Location::parse(&format!("maildir:{}", root.display()), Path::new("/")).unwrap();
    let user = User::new(Process::new(std::process::id(), b"here"), location, Vec::new());
    let mailbox = user.open(b"INBOX", Now::read()).unwrap();
    while mailbox.sync(Now::read(), 100).unwrap() != Step::Done(()) {}
    Rc::clone(&mailbox).view(Access::ReadWrite)
}

fn load(view: &View) -> Cache {
    let mut cache = view.mailbox().cache();
    for turn in 0.. {
        assert!(turn < 1000, "no end");
        if cache.load() == Step::Done(()) {
            break;
        }
    }
    cache
}

fn messages(view: &View) -> impl Iterator<Item = Message> {
    (1..=view.exists()).filter_map(|number| view.message(view.uid(number)?))
}

fn put(view: &View) {
    let mut cache = load(view);
    messages(view).for_each(|message| cache.put(Kind::Body, &message, &message.name.to_le_bytes()));
    for turn in 0.. {
        assert!(turn < 1000, "no end");
        if cache.settle(view.mailbox()) == Step::Done(()) {
            break;
        }
    }
}

/// How many values are there. Which they are is up to who forges checksums.
fn get(view: &View) -> usize {
    let mut cache = load(view);
    messages(view).filter(|message| cache.get(Kind::Body, message).is_some()).count()
}
