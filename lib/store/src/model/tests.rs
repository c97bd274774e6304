use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::Flags;
use crate::messages::Name;

const E: Edition = (0, 0);

fn uid(uid: u32) -> Uid {
    Uid(NonZeroU32::new(uid).unwrap())
}

/// A model with messages 1 to `count`, recent.
fn model(count: u32) -> Model {
    let mut model = Model { next_uid: 1, ..Model::default() };
    (0..count).for_each(|_| add(&mut model));
    model
}

fn add(model: &mut Model) {
    let new = uid(model.next_uid);
    let base = format!("{new}.x");
    let name = Name { place: Place::Cur, base: base.as_bytes(), info: Some(b"2,") };
    model.messages.push(new, name, RECENT).unwrap();
    model.next_uid += 1;
    model.publish();
}

fn tell(model: &mut Model, key: ViewKey) -> Update {
    model.update(key, Expunges::Tell, E).unwrap()
}

fn hold(model: &mut Model, key: ViewKey) -> Update {
    model.update(key, Expunges::Hold, E).unwrap()
}

fn see(model: &mut Model, number: u32) {
    model.rename(uid(number), Place::Cur, Some(b"2,S")).unwrap();
}

#[test]
fn a_new_view_is_told_nothing() {
    let mut model = model(3);
    let view = model.open(Access::ReadWrite, E);
    assert_eq!((model.exists(view), model.recent(view)), (3, 3));
    assert_eq!(model.behind(view, E), Some(false));
    assert!(tell(&mut model, view).is_empty());
}

#[test]
fn expunges_are_told_from_the_last_to_the_first() {
    let mut model = model(5);
    let view = model.open(Access::ReadWrite, E);
    [2, 3, 5].into_iter().for_each(|number| model.messages.mark_gone(uid(number)));
    let update = tell(&mut model, view);
    assert_eq!(update.expunged, [5, 3, 2]);
    assert_eq!(update.recent, Some(2));
    assert_eq!((model.number(view, uid(4)), model.uid(view, 2)), (Some(2), Some(uid(4))));
}

#[test]
fn held_expunges_change_no_number() {
    let mut model = model(5);
    let view = model.open(Access::ReadOnly, E);
    [1, 4].into_iter().for_each(|number| model.messages.mark_gone(uid(number)));
    add(&mut model);
    let update = hold(&mut model, view);
    assert_eq!((update.expunged.len(), update.exists), (0, Some(6)));
    for number in 1..=6 {
        assert_eq!(model.uid(view, number), Some(uid(number)));
        assert_eq!(model.number(view, uid(number)), Some(number));
    }
    assert!(model.entry(view, uid(4)).is_none());
    assert_eq!(tell(&mut model, view).expunged, [4, 1]);
    assert_eq!(model.exists(view), 4);
}

#[test]
fn recent_belongs_to_the_first_that_may_write() {
    let mut model = model(2);
    let examine = model.open(Access::ReadOnly, E);
    assert_eq!((model.recent(examine), model.status().recent), (2, 2));
    let first = model.open(Access::ReadWrite, E);
    let second = model.open(Access::ReadWrite, E);
    assert_eq!((model.recent(first), model.recent(second)), (2, 0));
    add(&mut model);
    assert_eq!(tell(&mut model, second).recent, Some(1));
    assert_eq!(tell(&mut model, first).recent, Some(2));
    assert_eq!(tell(&mut model, examine).recent, Some(0));
    let entry = *model.messages.entry(uid(3)).unwrap();
    assert!(model.is_recent(second, &entry) && !model.is_recent(first, &entry));
}

#[test]
fn ones_own_change_is_told_to_the_others_only() {
    let mut model = model(3);
    let (mine, other) = (model.open(Access::ReadWrite, E), model.open(Access::ReadWrite, E));
    let before = model.messages.entry(uid(2)).unwrap().modified;
    see(&mut model, 2);
    model.knows(mine, uid(2), before);
    assert_eq!(tell(&mut model, other).flags, [(2, uid(2))]);
    assert_eq!(tell(&mut model, mine).flags, []);
}

#[test]
fn a_change_that_was_seen_is_not_told_and_one_after_it_is() {
    let mut model = model(2);
    let mine = model.open(Access::ReadWrite, E);
    see(&mut model, 1);
    see(&mut model, 2);
    for number in [1, 2] {
        let revision = model.messages.entry(uid(number)).unwrap().modified;
        assert!(model.show(mine, uid(number), revision));
    }
    model.rename(uid(2), Place::Cur, Some(b"2,")).unwrap();
    assert_eq!(tell(&mut model, mine).flags, [(2, uid(2))]);
}

#[test]
fn keywords_are_announced_once() {
    let mut model = model(1);
    let mine = model.open(Access::ReadWrite, E);
    assert!(!model.announce(mine, E));
    assert!(model.announce(mine, (1, 0)));
    assert!(!model.announce(mine, (1, 0)));
    assert!(!model.update(mine, Expunges::Tell, (1, 0)).unwrap().keywords);
}

#[test]
fn anothers_change_before_or_after_ones_own_is_told() {
    let mut model = model(2);
    let mine = model.open(Access::ReadWrite, E);
    // Before.
    see(&mut model, 1);
    let before = model.messages.entry(uid(1)).unwrap().modified;
    model.rename(uid(1), Place::Cur, Some(b"2,FS")).unwrap();
    model.knows(mine, uid(1), before);
    // After.
    let before = model.messages.entry(uid(2)).unwrap().modified;
    see(&mut model, 2);
    model.knows(mine, uid(2), before);
    model.rename(uid(2), Place::Cur, Some(b"2,")).unwrap();
    assert_eq!(tell(&mut model, mine).flags, [(1, uid(1)), (2, uid(2))]);
    assert!(tell(&mut model, mine).is_empty());
}

#[test]
fn what_is_not_published_is_not_told() {
    let mut model = model(1);
    let view = model.open(Access::ReadWrite, E);
    let name = Name { place: Place::New, base: b"2.x", info: None };
    model.messages.push(uid(2), name, RECENT).unwrap();
    model.next_uid = 3;
    assert_eq!(model.behind(view, E), Some(false));
    assert_eq!((model.exists(view), model.uid(view, 2), model.number(view, uid(2))), (1, None, None));
    assert_eq!(model.at_or_after(view, uid(2)), None);
    assert!(model.entry(view, uid(2)).is_none());
    model.publish();
    assert_eq!(tell(&mut model, view).exists, Some(2));
}

#[test]
fn a_replaced_model_has_lost_its_views() {
    let mut model = model(1);
    let view = model.open(Access::ReadWrite, E);
    model.replace();
    assert_eq!(model.update(view, Expunges::Tell, E), None);
    assert_eq!((model.exists(view), model.uid(view, 1)), (0, None));
    model.close(view);
}

#[test]
fn first_unseen_counts_what_is_held_back() {
    let mut model = model(3);
    let view = model.open(Access::ReadOnly, E);
    see(&mut model, 2);
    model.messages.mark_gone(uid(1));
    hold(&mut model, view);
    assert_eq!(model.first_unseen(view), Some(3));
}

/// What a client would make of it, and what the model says it knows, agree.
#[derive(Debug, Default)]
struct Client {
    known: Vec<Uid>,
    flags: std::collections::BTreeMap<Uid, Flags>,
}

proptest! {
    #[test]
    fn sequence_numbers_are_never_wrong(
        steps in proptest::collection::vec((0_u8..8, 1_u32..40, 0_usize..3), 0..120)
    ) {
        let mut model = model(4);
        let keys: Vec<ViewKey> = (0..3).map(|_| model.open(Access::ReadOnly, E)).collect();
        let all: Vec<Uid> = (1..=4).map(uid).collect();
        let mut clients: Vec<Client> =
            (0..3).map(|_| Client { known: all.clone(), ..Client::default() }).collect();
        for client in &mut clients { client.flags = all.iter().map(|&uid| (uid, Flags::NONE)).collect(); }
        for (step, number, who) in steps {
            let (key, client) = (keys[who], &mut clients[who]);
            match step {
                0 => add(&mut model),
                1 => model.messages.mark_gone(uid(number)),
                2 => see(&mut model, number),
                3 => {
                    let before = model.entry(key, uid(number)).map(|entry| entry.modified);
                    if let Some(before) = before {
                        let was = client.flags.get(&uid(number)).copied();
                        let had = model.entry(key, uid(number)).map(|entry| Flags::from(entry.flags));
                        model.rename(uid(number), Place::Cur, Some(b"2,F")).unwrap();
                        let after = *model.entry(key, uid(number)).unwrap();
                        if had != Some(after.flags.into()) { model.knows(key, uid(number), before); }
                        if was == had { client.flags.insert(uid(number), after.flags.into()); }
                    }
                }
                4 => {
                    if let Some(&entry) = model.entry(key, uid(number)) {
                        model.show(key, uid(number), entry.modified);
                        client.flags.insert(uid(number), entry.flags.into());
                    }
                }
                _ => {
                    let expunges = if step == 5 { Expunges::Hold } else { Expunges::Tell };
                    let update = model.update(key, expunges, E).unwrap();
                    for number in update.expunged { client.known.remove(number as usize - 1); }
                    if let Some(exists) = update.exists {
                        for number in client.known.len() as u32 + 1..=exists {
                            let uid = model.uid(key, number).unwrap();
                            client.known.push(uid);
                            if let Some(entry) = model.entry(key, uid) { client.flags.insert(uid, entry.flags.into()); }
                        }
                    }
                    for (number, uid) in update.flags {
                        prop_assert_eq!(client.known[number as usize - 1], uid);
                        client.flags.insert(uid, model.entry(key, uid).unwrap().flags.into());
                    }
                    for &uid in &client.known {
                        if let Some(entry) = model.entry(key, uid) {
                            prop_assert_eq!(client.flags[&uid], Flags::from(entry.flags));
                        }
                    }
                }
            }
            let there: Vec<&Entry> = model.messages.all().iter().filter(|entry| entry.bits & GONE == 0).collect();
            let unseen = there.iter().filter(|entry| !entry.flags.has(Flag::Seen)).count();
            let status = model.status();
            prop_assert_eq!((status.messages, status.unseen), (count(there.len()), count(unseen)));
            for (key, client) in keys.iter().zip(&clients) {
                prop_assert_eq!(model.exists(*key) as usize, client.known.len());
                for (index, &uid) in client.known.iter().enumerate() {
                    let number = index as u32 + 1;
                    prop_assert_eq!(model.uid(*key, number), Some(uid));
                    prop_assert_eq!(model.number(*key, uid), Some(number));
                }
                prop_assert_eq!(model.uid(*key, client.known.len() as u32 + 1), None);
            }
        }
    }
}
