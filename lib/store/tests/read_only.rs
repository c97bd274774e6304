//! A mailbox that we may not write.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use store::{
    Access, Change, Error, Expunges, Flag, Flags, Found, Location, Now, Process, Step, Uid, User, View,
};
use tests::as_nobody;

fn user(root: &std::path::Path) -> User {
    let location = Location::parse(&format!("maildir:{}", root.display()), "/".as_ref()).unwrap();
    User::new(Process::new(std::process::id(), b"here"), location, Vec::new())
}

fn uids(view: &View) -> Vec<u32> {
    (1..=view.exists()).map(|number| view.uid(number).unwrap().get()).collect()
}

#[test]
fn is_read_with_uids_of_our_own() {
    as_nobody("is_read_with_uids_of_our_own", || {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let dirs = ["", "new", "cur", "tmp"];
        dirs.iter().skip(1).for_each(|name| fs::create_dir(at(name)).unwrap());
        let chmod = |mode| {
            dirs.iter().for_each(|name| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap());
        };
        let names = ["cur/1.a:2,", "new/2.b"];
        names.iter().for_each(|name| fs::write(at(name), "text").unwrap());
        chmod(0o500);
        let now = Now::read();
        let mailbox = user(dir.path()).open(b"INBOX", now).unwrap();
        let sync = || assert_eq!(mailbox.sync(now, usize::MAX).unwrap(), Step::Done(()));
        sync();
        let mut view = mailbox.view(Access::ReadWrite);
        sync();
        assert!(!mailbox.writable());
        assert!(view.update(Expunges::Tell).unwrap().is_empty());
        // It stays in new/, to be recent to whoever can move it.
        assert_eq!((uids(&view), view.recent()), (vec![1, 2], 0));
        assert_eq!(mailbox.view(Access::ReadOnly).recent(), 1);
        let first = Uid(1.try_into().unwrap());
        assert!(matches!(view.open(first).unwrap(), Found::Here(_)));
        let seen = Change::Add(Flags::NONE.with(Flag::Seen));
        assert!(matches!(view.store(first, seen, now), Err(Error::File { .. })));
        assert!(matches!(view.expunge(first, now), Err(Error::File { .. })));
        assert_eq!(mailbox.keyword("Work", now).unwrap(), Step::Done(None));
        // From now on we may write: the UIDs that we told are kept.
        chmod(0o700);
        fs::write(at("new/3.c"), "text").unwrap();
        sync();
        assert_eq!(view.update(Expunges::Tell).unwrap().exists, Some(3));
        assert_eq!(fs::read_dir(at("new")).unwrap().count(), 0);
        let again = user(dir.path()).open(b"INBOX", now).unwrap();
        assert_eq!(again.sync(now, usize::MAX).unwrap(), Step::Done(()));
        assert_eq!(again.status(), mailbox.status());
    });
}

#[test]
fn is_made_for_nobody_whose_home_is_anothers() {
    as_nobody("is_made_for_nobody_whose_home_is_anothers", || {
        let error = user("/proc/1/Maildir".as_ref()).open(b"INBOX", Now::read()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }));
    });
}
