//! A mailbox that one session has for itself.

use super::*;
use crate::{Change, Error, Hold};

fn take(view: &View, now: Now) -> Rc<Hold> {
    match view.hold(now).unwrap() {
        Step::Done(Some(hold)) => hold,
        other => panic!("{other:?}"),
    }
}

fn is_busy(view: &View, now: Now) -> bool {
    matches!(view.hold(now).unwrap(), Step::Busy { .. })
}

#[test]
fn others_change_nothing_until_it_is_over() {
    let maildir = Maildir::new();
    maildir.put_all(&["new/1.a", "cur/2.b:2,"]);
    let now = maildir.now;
    let mut mine = maildir.synced().view(Access::ReadWrite);
    let mut same_model = mine.mailbox().view(Access::ReadWrite);
    let other = Maildir { process: Process::new(1, b"here"), dir: maildir.dir, now };
    let mut other_process = other.synced().view(Access::ReadWrite);
    let hold = take(&mine, now);
    let seen = Change::Add(flags(&[Flag::Seen]));
    for view in [&mut same_model, &mut other_process] {
        assert!(is_busy(view, now));
        assert!(matches!(view.store(uid(1), seen, now), Err(Error::InUse)));
        assert!(matches!(view.expunge(uid(1), now), Err(Error::InUse)));
        assert_eq!(contents(view).len(), 2);
    }
    // Mail may come; who has the mailbox, and he alone, gives it a UID.
    other.put("new/3.c");
    assert!(matches!(other_process.mailbox().sync(now, usize::MAX).unwrap(), Step::Busy { .. }));
    assert_eq!(other.tell(&mut mine).exists, Some(3));
    assert!(matches!(mine.store(uid(1), seen, now), Ok(Found::Here(_))));
    assert!(matches!(mine.expunge(uid(1), now), Ok(Found::Here(()))));
    drop(hold);
    for view in [&mut same_model, &mut other_process] {
        other.tell(view);
        assert_eq!(contents(view), [row(2, "2.b:2,"), row(3, "3.c")]);
    }
    assert!(matches!(same_model.store(uid(2), seen, now), Ok(Found::Here(_))));
    drop(take(&other_process, now));
    assert!(!other.at("dovecot-pop3-session.lock").exists() && !other.at("dovecot-uidlist.lock").exists());
}

#[test]
fn it_goes_over_to_another_view_of_its_session() {
    let maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let now = maildir.now;
    let mut reads = maildir.synced().view(Access::ReadOnly);
    let hold = take(&reads, now);
    let mut writes = maildir.synced().view(Access::ReadWrite);
    writes.bear(&hold);
    maildir.put("new/2.b");
    assert_eq!(maildir.tell(&mut writes).exists, Some(2));
    assert!(matches!(writes.expunge(uid(1), now), Ok(Found::Here(()))));
    assert!(matches!(reads.mailbox().sync(now, usize::MAX), Ok(Step::Done(()))));
    assert_eq!(reads.update(Expunges::Tell).unwrap().expunged, [1]);
}

#[test]
fn a_dead_sessions_lock_holds_nobody_up() {
    let mut maildir = Maildir::new();
    maildir.put("cur/1.a:2,");
    let mut view = maildir.synced().view(Access::ReadWrite);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let lock = maildir.at("dovecot-pop3-session.lock");
    fs::write(&lock, format!("{}:here", child.id())).unwrap();
    let seen = Change::Add(flags(&[Flag::Seen]));
    assert!(matches!(view.store(uid(1), seen, maildir.now), Ok(Found::Here(_))));
    fs::write(&lock, "1:elsewhere").unwrap();
    assert!(matches!(view.expunge(uid(1), maildir.now), Err(Error::InUse)));
    assert!(is_busy(&view, maildir.now));
    maildir.wait(Duration::from_secs(301));
    assert!(matches!(view.expunge(uid(1), maildir.now), Ok(Found::Here(()))));
    take(&view, maildir.now);
}

#[test]
fn its_locks_are_kept_fresh() {
    let mut maildir = Maildir::new();
    let view = maildir.synced().view(Access::ReadOnly);
    let hold = take(&view, maildir.now);
    maildir.wait(Hold::FRESH);
    hold.touch(maildir.now);
    for name in ["dovecot-pop3-session.lock", "dovecot-uidlist.lock"] {
        let modified = fs::metadata(maildir.at(name)).unwrap().modified().unwrap();
        assert_eq!(modified, maildir.now.wall, "{name}");
    }
}
