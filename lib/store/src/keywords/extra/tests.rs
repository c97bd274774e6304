use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::messages::{Name, Place};
use crate::{Access, Flags};

const V: u32 = 7;

fn uid(uid: u32) -> Uid {
    Uid(NonZeroU32::new(uid).unwrap())
}

/// Messages 1 to `count`.
fn model(count: u32) -> Model {
    let mut model = Model::default();
    model.uid_validity = V;
    grow(&mut model, count);
    model
}

fn grow(model: &mut Model, count: u32) {
    for number in model.next_uid.max(1)..=count {
        let base = format!("{number}.x");
        model
            .messages
            .push(uid(number), Name { place: Place::Cur, base: base.as_bytes(), info: None }, 0)
            .unwrap();
    }
    model.next_uid = count + 1;
    model.publish();
}

fn read(dir: &Path, extras: &mut Extras, model: &mut Model) {
    assert!(extras.step(dir, model, &mut Budget(usize::MAX)).unwrap());
}

fn numbers(model: &Model, number: u32) -> Vec<u8> {
    let entry = model.messages.entry(uid(number)).unwrap();
    model.messages.extra(entry).keywords().map(Keyword::number).collect()
}

fn write(dir: &Path, text: impl AsRef<[u8]>) {
    fs::write(dir.join("other"), text).unwrap();
    fs::rename(dir.join("other"), path(dir)).unwrap();
}

#[test]
fn what_one_process_writes_another_reads() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (mut one, mut other) = (Extras::default(), Extras::default());
    let (mut ours, mut theirs) = (model(3), model(3));
    assert_eq!(one.add(dir, "Late", V).unwrap(), Keyword::new(26));
    read(dir, &mut one, &mut ours);
    read(dir, &mut other, &mut theirs);
    assert_eq!(other.add(dir, "Later", V).unwrap(), Keyword::new(27));
    append(dir, b"1 +26\n2 +27\n").unwrap();
    append(dir, b"2 +26\n2 -27\n9 +26\n").unwrap();
    read(dir, &mut one, &mut ours);
    assert_eq!(one.names.iter().flatten().map(|name| &**name).collect::<Vec<_>>(), ["Late", "Later"]);
    assert_eq!([1, 2, 3].map(|number| numbers(&ours, number)), [vec![26], vec![26], vec![]]);
    // One that was written before its message was known.
    grow(&mut ours, 9);
    read(dir, &mut one, &mut ours);
    assert_eq!(numbers(&ours, 9), [26]);
    assert_eq!(fs::read_to_string(path(dir)).unwrap().lines().next(), Some("1 V7"));
}

#[test]
fn half_a_line_spoils_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(dir, "1 V7\nK26 a\n1 +2");
    append(dir, b"2 +26\n").unwrap();
    let (mut extras, mut model) = (Extras::default(), model(2));
    read(dir, &mut extras, &mut model);
    assert_eq!((numbers(&model, 1), numbers(&model, 2)), (vec![], vec![26]));
}

#[test]
fn another_uidvaliditys_file_says_nothing_and_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(dir, "1 V6\nK26 a\n1 +26\n");
    let (mut extras, mut model) = (Extras::default(), model(2));
    read(dir, &mut extras, &mut model);
    assert_eq!((numbers(&model, 1), extras.names.len()), (vec![], 0));
    assert_eq!(extras.add(dir, "b", V).unwrap(), Keyword::new(26));
    assert_eq!(fs::read_to_string(path(dir)).unwrap(), "1 V7\nK26 b\n");
}

#[test]
fn a_file_that_is_gone_or_another_takes_its_keywords_along() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (mut extras, mut model) = (Extras::default(), model(2));
    write(dir, "1 V7\nK26 a\n1 +26\n2 +26\n");
    read(dir, &mut extras, &mut model);
    write(dir, "1 V7\nK26 a\n1 +26\n");
    let before = model.messages.entry(uid(1)).unwrap().modified;
    read(dir, &mut extras, &mut model);
    assert_eq!((numbers(&model, 1), numbers(&model, 2)), (vec![26], vec![]));
    assert_eq!(model.messages.entry(uid(1)).unwrap().modified, before);
    fs::remove_file(path(dir)).unwrap();
    read(dir, &mut extras, &mut model);
    assert_eq!((numbers(&model, 1), extras.names.len()), (vec![], 0));
}

#[test]
fn a_long_file_is_written_anew_and_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (mut extras, mut model) = (Extras::default(), model(5));
    model.open(Access::ReadWrite, (0, 0));
    write(dir, "1 V7\nK26 a\nK27 b\n5 +27\n".to_owned() + &"1 +26\n1 -26\n".repeat(3000) + "2 +26\n");
    read(dir, &mut extras, &mut model);
    assert_eq!(fs::read_to_string(path(dir)).unwrap(), "1 V7\nK26 a\nK27 b\n2 +26\n5 +27\n");
    append(dir, b"3 +27\n").unwrap();
    read(dir, &mut extras, &mut model);
    assert_eq!([1, 2, 3, 5].map(|number| numbers(&model, number)), [vec![], vec![26], vec![27], vec![27]]);
}

#[test]
fn who_writes_anew_and_who_appends_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(dir, "1 V7\n");
    let held = open_regular(&path(dir)).unwrap();
    held.try_lock().unwrap();
    assert_eq!(append(dir, b"1 +26\n").unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    drop(held);
    append(dir, b"1 +26\n").unwrap();
}

#[test]
fn a_message_without_such_keywords_costs_no_memory() {
    assert_eq!(size_of::<crate::messages::Entry>(), 24);
}

proptest! {
    #[test]
    fn no_file_is_too_odd(
        text in proptest::collection::vec(any::<u8>(), 0..300),
        lines in "([K1-3]{1,2}[ +-]{1,2}[0-9]{1,3}[ a\n]{1,2}){0,40}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = model(3);
        for text in [text.clone(), [b"1 V7\n", &text[..], lines.as_bytes()].concat()] {
            write(dir.path(), text);
            let mut extras = Extras::default();
            while !extras.step(dir.path(), &mut model, &mut Budget(1)).unwrap() {}
            prop_assert!(extras.names.len() <= usize::from(Keyword::COUNT - Keyword::LETTERS));
        }
    }

    #[test]
    fn changes_come_back(before in any::<[bool; 224]>(), after in any::<[bool; 224]>()) {
        let set = |bits: [bool; 224]| {
            let on = (26..250).zip(bits).filter(|(_, on)| *on);
            on.fold(Extra::NONE, |set, (number, _)| set.with(Keyword::new(number).unwrap()))
        };
        let dir = tempfile::tempdir().unwrap();
        let mut text = b"1 V7\n".to_vec();
        append_changes(&mut text, uid(1), Extra::NONE, set(before));
        append_changes(&mut text, uid(1), set(before), set(after));
        write(dir.path(), text);
        let (mut extras, mut model) = (Extras::default(), model(1));
        read(dir.path(), &mut extras, &mut model);
        let entry = model.messages.entry(uid(1)).unwrap();
        prop_assert_eq!(model.messages.flags(entry), Flags::new(Default::default(), set(after)));
    }
}
