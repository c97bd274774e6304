//! The cache of a mailbox on a real disk, and what others may do to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::{Access, Location, Now, Process, User, View};

struct Site {
    dir: tempfile::TempDir,
    process: Rc<Process>,
}

impl Site {
    fn new(messages: usize) -> Site {
        let site =
            Site { dir: tempfile::tempdir().unwrap(), process: Process::new(std::process::id(), b"here") };
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(site.at("mail").join(name)).unwrap();
        }
        (1..=messages).for_each(|number| fs::write(site.message(number), "x").unwrap());
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn message(&self, number: usize) -> PathBuf {
        self.at("mail/cur").join(format!("{number:06}.a:2,"))
    }

    fn cache(&self) -> PathBuf {
        self.at("mail/mail-cache")
    }

    /// As a process has it that comes anew.
    fn view(&self) -> View {
        self.view_at("")
    }

    fn view_at(&self, more: &str) -> View {
        let location = format!("maildir:{}{more}", self.at("mail").display());
        let location = Location::parse(&location, self.dir.path()).unwrap();
        let mailbox =
            User::new(Rc::clone(&self.process), location, Vec::new()).open(b"INBOX", Now::read()).unwrap();
        while mailbox.sync(Now::read(), 1000).unwrap() != Step::Done(()) {}
        mailbox.view(Access::ReadWrite)
    }
}

fn all(view: &View) -> Vec<Message> {
    (1..=view.exists()).filter_map(|number| view.message(view.uid(number).unwrap())).collect()
}

fn load(view: &View) -> Cache {
    let mut cache = view.mailbox().cache();
    while cache.load() != Step::Done(()) {}
    cache
}

fn settle(view: &View, cache: &mut Cache) {
    while cache.settle(view.mailbox()) != Step::Done(()) {}
}

fn value(message: &Message) -> Vec<u8> {
    format!("value of {}", message.uid).into_bytes()
}

/// Puts a value for each of these.
fn put(view: &View, messages: &[Message]) {
    let mut cache = load(view);
    for message in messages {
        cache.put(Kind::Envelope, message, &value(message));
        cache.put(Kind::Size, message, &message.uid.get().to_le_bytes());
    }
    settle(view, &mut cache);
}

/// How many values are there; each of them must be the right one.
fn known(view: &View) -> usize {
    let mut cache = load(view);
    let mut known = |message: &Message| {
        let found = cache.get(Kind::Envelope, message).map(<[u8]>::to_vec);
        assert!(found.is_none() || found == Some(value(message)));
        found.is_some()
    };
    all(view).iter().filter(|message| known(message)).count()
}

#[test]
fn what_was_put_is_there_for_the_next_one() {
    let site = Site::new(5000);
    let view = site.view();
    let messages = all(&view);
    assert_eq!(known(&view), 0);
    assert!(!site.cache().exists());
    put(&view, &messages[..3000]);
    assert_eq!(known(&view), 3000);
    put(&view, &messages[3000..]);
    let view = site.view();
    assert_eq!(known(&view), 5000);
    let mut cache = load(&view);
    for message in messages.iter().rev() {
        assert_eq!(cache.get(Kind::Size, message), Some(&message.uid.get().to_le_bytes()[..]));
        assert_eq!(cache.get(Kind::Body, message), None);
    }
    assert_eq!(fs::metadata(site.cache()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn index_says_where_it_is() {
    let site = Site::new(3);
    let view = site.view_at(":INDEX=MEMORY");
    put(&view, &all(&view));
    assert_eq!(known(&view), 0);
    let view = site.view_at(":INDEX=~/index");
    put(&view, &all(&view));
    assert_eq!(known(&view), 3);
    assert!(!site.cache().exists());
    assert!(site.at("index/.INBOX/mail-cache").exists());
}

#[test]
fn another_uid_validity_has_another_cache() {
    let site = Site::new(3);
    let view = site.view();
    put(&view, &all(&view));
    fs::write(site.at("mail/dovecot-uidlist"), "3 V77 N4\n1 :000001.a\n2 :000002.a\n3 :000003.a\n").unwrap();
    let view = site.view();
    assert_eq!(view.mailbox().status().uid_validity, 77);
    assert_eq!(known(&view), 0);
    put(&view, &all(&view));
    assert_eq!(known(&view), 3);
}

#[test]
fn a_uid_that_another_file_has_now_has_no_values() {
    let site = Site::new(3);
    let view = site.view();
    put(&view, &all(&view));
    let validity = view.mailbox().status().uid_validity;
    let list = format!("3 V{validity} N4\n1 :000001.a\n2 :000003.a\n3 :000002.a\n");
    fs::write(site.at("mail/dovecot-uidlist"), list).unwrap();
    assert_eq!(known(&site.view()), 1);
}

#[test]
fn two_write_at_once_and_nothing_is_torn() {
    let site = Site::new(4000);
    let (one, two) = (site.view(), site.view());
    let messages = all(&one);
    let (mut a, mut b) = (load(&one), load(&two));
    for (index, message) in messages.iter().enumerate() {
        let cache = if index % 2 == 0 { &mut a } else { &mut b };
        cache.put(Kind::Envelope, message, &value(message));
    }
    settle(&one, &mut a);
    settle(&two, &mut b);
    for half in 0..2 {
        let mut cache = load(&one);
        let known = |message: &&Message| cache.get(Kind::Envelope, message) == Some(&value(message)[..]);
        assert_eq!(messages.iter().skip(half).step_by(2).filter(known).count(), 2000);
    }
}

#[test]
fn who_does_not_get_the_lock_does_not_write_and_does_not_wait() {
    let site = Site::new(2);
    let view = site.view();
    let messages = all(&view);
    put(&view, &messages[..1]);
    let other = fs::File::open(site.cache()).unwrap();
    other.lock().unwrap();
    put(&view, &messages[1..]);
    assert_eq!(known(&view), 1);
    drop(other);
    put(&view, &messages[1..]);
    assert_eq!(known(&view), 2);
}

#[test]
fn a_write_that_was_cut_off_costs_itself() {
    let site = Site::new(20);
    let view = site.view();
    let messages = all(&view);
    put(&view, &messages[..10]);
    let whole = fs::read(site.cache()).unwrap();
    put(&view, &messages[10..]);
    let more = fs::read(site.cache()).unwrap();
    for length in whole.len()..more.len() {
        fs::write(site.cache(), &more[..length]).unwrap();
        assert!((10..20).contains(&known(&view)));
        put(&view, &messages[10..]);
        assert_eq!(known(&view), 20);
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let site = Site::new(2);
    let view = site.view();
    let messages = all(&view);
    put(&view, &messages);
    let bytes = fs::read(site.cache()).unwrap();
    fs::set_permissions(site.cache(), fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(known(&view), 0);
    put(&view, &messages);
    assert_eq!(fs::read(site.cache()).unwrap(), bytes);

    fs::remove_file(site.cache()).unwrap();
    std::os::unix::fs::symlink("elsewhere", site.cache()).unwrap();
    put(&view, &messages);
    assert!(!site.at("mail/elsewhere").exists());

    fs::remove_file(site.cache()).unwrap();
    fs::create_dir(site.cache()).unwrap();
    put(&view, &messages);
    assert_eq!(known(&view), 0);

    fs::remove_dir(site.cache()).unwrap();
    nix::unistd::mkfifo(&site.cache(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    put(&view, &messages);
    assert_eq!(known(&view), 0);
}

#[test]
fn a_mailbox_that_is_deleted_meanwhile_stays_deleted() {
    let site = Site::new(2);
    let view = site.view();
    let messages = all(&view);
    fs::remove_dir_all(site.at("mail")).unwrap();
    put(&view, &messages);
    assert!(!site.at("mail").exists());
}

#[test]
fn a_file_that_is_deleted_meanwhile_stays_deleted() {
    let site = Site::new(2);
    let view = site.view();
    let messages = all(&view);
    put(&view, &messages);
    let mut cache = load(&view);
    fs::remove_file(site.cache()).unwrap();
    cache.put(Kind::Body, &messages[0], b"x");
    settle(&view, &mut cache);
    assert!(!site.cache().exists());
    put(&view, &messages);
    assert_eq!(known(&view), 2);
}

#[test]
fn what_is_of_messages_that_are_gone_goes_too() {
    let site = Site::new(1000);
    let view = site.view();
    put(&view, &all(&view));
    let before = fs::metadata(site.cache()).unwrap().len();
    (1..=900).for_each(|number| fs::remove_file(site.message(number)).unwrap());
    let view = site.view();
    put(&view, &all(&view)[..1]);
    let after = fs::metadata(site.cache()).unwrap().len();
    assert!(after * 5 < before, "{after} of {before}");
    assert_eq!(known(&view), 100);
    assert!(!site.at("mail/mail-cache.tmp").exists());
}

#[test]
fn many_small_blocks_become_few() {
    let site = Site::new(200);
    let view = site.view();
    let messages = all(&view);
    messages.iter().rev().for_each(|message| put(&view, std::slice::from_ref(message)));
    assert_eq!(known(&view), 200);
    assert!(load(&view).blocks <= SMALL_BLOCKS + 6);
}

#[test]
fn one_who_writes_it_anew_is_not_disturbed() {
    let site = Site::new(3000);
    let view = site.view();
    let messages = all(&view);
    put(&view, &messages);
    let mut tidy = load(&view);
    tidy.untidy = true;
    assert_eq!(tidy.settle(view.mailbox()), Step::More);
    put(&site.view(), &messages[..10]);
    settle(&view, &mut tidy);
    assert_eq!(known(&view), 3000);
}

#[test]
fn a_block_that_is_damaged_is_dropped_with_the_next_command() {
    let site = Site::new(3000);
    let view = site.view();
    put(&view, &all(&view));
    let mut bytes = fs::read(site.cache()).unwrap();
    bytes[1000] ^= 1;
    fs::write(site.cache(), bytes).unwrap();
    let left = known(&view);
    assert!(left < 3000);
    let mut cache = load(&view);
    all(&view).iter().for_each(|message| drop(cache.get(Kind::Envelope, message).map(<[u8]>::to_vec)));
    assert!(cache.untidy);
    settle(&view, &mut cache);
    assert_eq!(known(&view), left);
    let mut cache = load(&view);
    all(&view).iter().for_each(|message| drop(cache.get(Kind::Envelope, message).map(<[u8]>::to_vec)));
    assert!(!cache.untidy);
}

#[test]
fn overlapping_blocks_are_not_read_at_any_price() {
    let site = Site::new(400);
    let view = site.view();
    let messages = all(&view);
    for start in 0..20 {
        let some: Vec<Message> = messages.iter().skip(start).step_by(20).copied().collect();
        let mut cache = load(&view);
        some.iter().for_each(|message| cache.put(Kind::Body, message, &value(message)));
        settle(&view, &mut cache);
    }
    let mut cache = load(&view);
    let found = messages.iter().filter(|message| cache.get(Kind::Body, message).is_some()).count();
    assert!(found < 400 && cache.untidy && cache.reads == 0);
    settle(&view, &mut cache);
    // In few blocks now; what was lost is found out again.
    let mut cache = load(&view);
    for message in &messages {
        let found = cache.get(Kind::Body, message).map(<[u8]>::to_vec);
        match found {
            Some(found) => assert_eq!(found, value(message)),
            None => cache.put(Kind::Body, message, &value(message)),
        }
    }
    settle(&view, &mut cache);
    let mut cache = load(&view);
    assert!(messages.iter().filter(|message| cache.get(Kind::Body, message).is_some()).count() > found);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_no_cache_and_become_one(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..2000) {
        let site = Site::new(20);
        let view = site.view();
        put(&view, &all(&view));
        let mut file = fs::read(site.cache()).unwrap();
        let cut = cut % (file.len() + 1);
        file.splice(cut..(cut + bytes.len() / 2).min(file.len()), bytes);
        fs::write(site.cache(), file).unwrap();
        known(&view);
        put(&view, &all(&view));
        prop_assert_eq!(known(&view), 20);
    }
}
