use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::Flag;

fn uid(uid: u32) -> Uid {
    Uid(NonZeroU32::new(uid).unwrap())
}

fn whole(messages: &Messages, number: u32) -> (Place, Vec<u8>, Option<Vec<u8>>) {
    let entry = messages.entry(uid(number)).unwrap();
    (entry.place(), messages.base(entry).to_vec(), messages.info(entry))
}

#[test]
fn twenty_messages_cost_little() {
    let mut messages = Messages::default();
    for number in 1..=20 {
        let base = format!("17000000{number:02}.M123456P12345.mail,S=2345,W=2400");
        let name = Name { place: Place::Cur, base: base.as_bytes(), info: Some(b"2,S") };
        messages.push(uid(number), name, 0).unwrap();
    }
    messages.tidy();
    assert!(messages.footprint() <= 20 * (24 + 48), "{}", messages.footprint());
}

#[test]
fn moving_to_cur_writes_no_name() {
    let mut messages = Messages::default();
    messages.push(uid(1), Name { place: Place::New, base: b"1.a", info: None }, RECENT).unwrap();
    let before = messages.footprint();
    messages.rename(uid(1), Place::Cur, Some(b"2,")).unwrap();
    messages.rename(uid(1), Place::Cur, Some(b"2,FS")).unwrap();
    assert_eq!(messages.footprint(), before);
    assert_eq!(whole(&messages, 1), (Place::Cur, b"1.a".to_vec(), Some(b"2,FS".to_vec())));
    assert!(messages.entry(uid(1)).unwrap().flags.has(Flag::Flagged));
}

#[test]
fn sweeping_takes_out_what_is_gone() {
    let mut messages = Messages::default();
    for number in 1..=3 {
        messages.push(uid(number), Name { place: Place::Cur, base: b"x", info: Some(b"2,") }, 0).unwrap();
    }
    messages.mark_gone(uid(2));
    messages.mark_gone(uid(2));
    assert!(messages.entry(uid(2)).is_none());
    assert_eq!(messages.all().len(), 3);
    assert_eq!(messages.sweep(), [uid(2)]);
    assert_eq!(messages.all().len(), 2);
    assert!(!messages.has_gone());
}

proptest! {
    #[test]
    fn names_come_back_whatever_happens(
        steps in proptest::collection::vec((1_u32..9, any::<bool>(), proptest::option::of("(2,)?[DFPRSTa-z]{0,4}(,[x:]{0,3})?"), any::<bool>()), 0..60)
    ) {
        let mut messages = Messages::default();
        let mut model = std::collections::BTreeMap::new();
        for number in 1..9 {
            let base = format!("{number}.base");
            messages.push(uid(number), Name { place: Place::New, base: base.as_bytes(), info: None }, 0).unwrap();
            model.insert(number, (Place::New, base.into_bytes(), None));
        }
        for (number, new, info, remove) in steps {
            let place = if new { Place::New } else { Place::Cur };
            let info = info.map(String::into_bytes);
            messages.rename(uid(number), place, info.as_deref()).unwrap();
            if let Some(known) = model.get_mut(&number) {
                (known.0, known.2) = (place, info);
            }
            if remove && number % 3 == 0 {
                messages.mark_gone(uid(number));
                model.remove(&number);
                messages.sweep();
            }
            messages.tidy();
            for (&number, known) in &model {
                prop_assert_eq!(&whole(&messages, number), known);
            }
            let used: usize = messages.all().iter().map(|entry| messages.length(entry)).sum();
            prop_assert_eq!(messages.names.len() - messages.garbage, used);
        }
    }
}
