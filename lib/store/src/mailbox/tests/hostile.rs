//! What a user may have put into his Maildir, and what he may not do there.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::{Change, Error};

#[test]
fn odd_names_are_messages_or_nothing() {
    let maildir = Maildir::new();
    let long = "x".repeat(255);
    let names: [&[u8]; 9] = [
        b"line\nbreak",
        b":2,S",
        b".hidden",
        b"\xff\xfe:2,S",
        b"a b :c:2,F",
        long.as_bytes(),
        b"tab\there:2,\x01\x02",
        b"c\rr",
        b"2,",
    ];
    for name in names {
        fs::write(maildir.at("cur").join(OsStr::from_bytes(name)), "text").unwrap();
    }
    let view = maildir.synced().view(Access::ReadWrite);
    assert_eq!(contents(&view).len(), 6);
    let again = maildir.synced().view(Access::ReadWrite);
    assert_eq!(contents(&again), contents(&view));
}

#[test]
fn a_name_that_cannot_grow_keeps_its_flags() {
    let maildir = Maildir::new();
    maildir.put(&format!("new/{}", "x".repeat(255)));
    let mut view = maildir.synced().view(Access::ReadWrite);
    assert!(maildir.tell(&mut view).is_empty());
    let error = view.store(uid(1), Change::Add(flags(&[Flag::Seen])), maildir.now).unwrap_err();
    assert!(matches!(error, Error::File { .. }));
    assert_eq!((view.message(uid(1)).unwrap().flags, contents(&view).len()), (Flags::NONE, 1));
}

#[test]
fn what_is_no_file_is_no_message() {
    let maildir = Maildir::new();
    let fifo = |name| nix::unistd::mkfifo(&maildir.at(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fifo("cur/1.fifo");
    std::os::unix::fs::symlink("/etc/passwd", maildir.at("cur/2.link")).unwrap();
    fs::create_dir(maildir.at("cur/3.dir")).unwrap();
    maildir.put("cur/4.file:2,");
    let view = maildir.synced().view(Access::ReadWrite);
    assert_eq!(contents(&view), [row(1, "4.file:2,")]);
    // Replaced behind our back: an error for this message, and no wait.
    maildir.rm("cur/4.file:2,");
    fifo("cur/4.file:2,");
    assert!(matches!(view.open(uid(1)), Err(Error::NotAFile(_))));
    assert!(matches!(view.attributes(uid(1)), Err(Error::NotAFile(_))));
    maildir.rm("cur/4.file:2,");
    std::os::unix::fs::symlink("/etc/passwd", maildir.at("cur/4.file:2,")).unwrap();
    assert!(matches!(view.open(uid(1)), Err(Error::NotAFile(_))));
}

#[test]
fn a_list_that_is_no_file_is_an_error_of_this_mailbox() {
    let maildir = Maildir::new();
    fs::create_dir(maildir.at("dovecot-uidlist")).unwrap();
    assert!(matches!(maildir.open().sync(maildir.now, 100), Err(Error::Io { .. })));
}

#[test]
fn a_deleted_mailbox_is_an_error_and_not_an_empty_one() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let view = maildir.synced().view(Access::ReadWrite);
    fs::remove_dir_all(maildir.at("cur")).unwrap();
    assert!(matches!(view.mailbox().sync(maildir.now, 100), Err(Error::NoSuchMailbox(_))));
    assert_eq!(view.exists(), 1);
}

#[test]
fn inbox_is_made_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("home/Maildir");
    let location = Location::parse(&format!("maildir:{}", root.display()), "/".as_ref()).unwrap();
    let user = User::new(Process::new(1, b"h"), location, Vec::new());
    let now = Now::read();
    assert!(matches!(user.open(b"Sent", now), Err(Error::NoSuchMailbox(_))));
    let inbox = user.open(b"inbox", now).unwrap();
    assert!(Rc::ptr_eq(&inbox, &user.open(b"INBOX", now).unwrap()));
    for dir in ["", "new", "cur", "tmp"] {
        assert_eq!(fs::metadata(root.join(dir)).unwrap().mode() & 0o7777, 0o700, "{dir}");
    }
    fs::create_dir(root.join(".Sent")).unwrap();
    let sent = user.open(b"Sent", now).unwrap();
    assert_eq!(sent.sync(now, 100).unwrap(), Step::Done(()));
    let mut list = user.list();
    while list.step(100).unwrap() == Step::More {}
    assert_eq!(list.mailboxes().count(), 2);
}

#[test]
fn an_idle_model_is_kept_a_while() {
    let maildir = Maildir::new();
    let location =
        Location::parse(&format!("maildir:{}", maildir.dir.path().display()), "/".as_ref()).unwrap();
    let user = User::new(maildir.process.clone(), location, Vec::new());
    let mailbox = user.open(b"INBOX", maildir.now).unwrap();
    let weak = Rc::downgrade(&mailbox);
    let mut now = maildir.now;
    let mut pass = |seconds| {
        now.instant += Duration::from_secs(seconds);
        now
    };
    assert_eq!(user.forget_idle(pass(60)), None);
    drop(mailbox);
    assert!(user.forget_idle(pass(5)).is_some());
    assert!(weak.upgrade().is_some());
    assert_eq!(user.forget_idle(pass(5)), None);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_shared_mailbox_stays_shared() {
    let maildir = Maildir::new();
    fs::set_permissions(maildir.dir.path(), Permissions::from_mode(0o770)).unwrap();
    maildir.put("cur/1.a:2,");
    let view = maildir.synced().view(Access::ReadWrite);
    let Step::Done(Some(_)) = view.mailbox().keyword("Work", maildir.now).unwrap() else { panic!() };
    for name in ["dovecot-uidlist", "dovecot-keywords"] {
        assert_eq!(fs::metadata(maildir.at(name)).unwrap().mode() & 0o777, 0o660, "{name}");
    }
}
