use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::file::open_to_append;

/// UID, keys, base name.
type Row = (u32, String, String);

struct List {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl List {
    fn new(text: &[u8]) -> List {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dovecot-uidlist");
        fs::write(&path, text).unwrap();
        List { _dir: dir, path }
    }

    /// All records, and how far the reading came.
    fn read(&self) -> Result<(Vec<Row>, Progress), &'static str> {
        let mut reader = match Reader::open(&self.path) {
            Ok(reader) => reader.unwrap(),
            Err(fault) => return Err(why(fault)),
        };
        let records = rest(&mut reader)?;
        Ok((records, reader.progress()))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::at(&self.path).unwrap()
    }

    fn add(&self, text: &str) {
        open_to_append(&self.path).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn rest(reader: &mut Reader) -> Result<Vec<Row>, &'static str> {
    let mut records = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while let Some((record, _)) = reader.next().map_err(why)? {
        records.push((record.uid.get(), text(record.keys), text(record.base)));
    }
    Ok(records)
}

fn why(fault: Fault) -> &'static str {
    match fault {
        Fault::Broken(why) => why,
        Fault::Io(error) => panic!("{error}"),
    }
}

fn row(uid: u32, keys: &str, base: &str) -> Row {
    (uid, keys.to_owned(), base.to_owned())
}

fn uid(uid: u32) -> Uid {
    Uid(NonZeroU32::new(uid).unwrap())
}

const DOVECOT: &str = "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
    25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394\n\
    25017 W2481 P1234 :1276533073.M242911P3632.kurkku:2,F\n";

#[test]
fn the_documented_list_is_read() {
    let list = List::new(DOVECOT.as_bytes());
    let (records, progress) = list.read().unwrap();
    assert_eq!(
        records,
        [
            row(25006, "", "1276528487.M364837P9451.kurkku,S=1355,W=1394"),
            row(25017, "W2481 P1234", "1276533073.M242911P3632.kurkku"),
        ]
    );
    assert_eq!((progress.records, progress.version, progress.last), (2, 3, 25017));
    let header = Reader::open(&list.path).unwrap().unwrap().header.unwrap();
    assert_eq!((header.uid_validity, header.next), (1_275_660_208, 25022));
    assert_eq!(header.more, b"G3085f01b7f11094c501100008c4a11c1");
}

#[test]
fn version_1_is_read() {
    let list = List::new(b"1 1173189136 20221\n20219 1260.M1P2.host,S=2:2,S\n20220 a name\n");
    let (records, progress) = list.read().unwrap();
    assert_eq!(records, [row(20219, "", "1260.M1P2.host,S=2"), row(20220, "", "a name")]);
    assert_eq!(progress.version, 1);
    assert_eq!(List::new(b"1 5 10\n10 x\n").read().unwrap_err(), "UID beyond the next one");
}

#[test]
fn broken_lists_are_told() {
    for (text, expected) in [
        ("", "no header"),
        ("3 V1 N1", "no header"),
        ("2 V1 N1\n", "unknown version"),
        ("3 V0 N1\n", "no UIDVALIDITY"),
        ("3 V1\n", "no next UID"),
        ("3 V1 N99999999999\n", "no next UID"),
        ("3 V1 N9\n5 :a\n5 :b\n", "UIDs do not ascend"),
        ("3 V1 N9\n0 :a\n", "bad UID"),
        ("3 V1 N9\n5 :a/b\n", "bad file name"),
        ("3 V1 N9\n5 :\n", "bad file name"),
        ("3 V1 N9\n5 name\n", "record without a name"),
        ("3 V1 N9\n\n", "record without a name"),
    ] {
        assert_eq!(List::new(text.as_bytes()).read().unwrap_err(), expected, "{text:?}");
    }
    let endless = [b"3 V1 N9\n5 :", "x".repeat(100_000).as_bytes()].concat();
    assert_eq!(List::new(&endless).read().unwrap_err(), "endless line");
}

#[test]
fn a_last_line_without_its_end_waits_for_it() {
    let list = List::new(b"3 V1 N1\n1 :a\n2 :b");
    let (records, progress) = list.read().unwrap();
    assert_eq!(records, [row(1, "", "a")]);
    assert!(progress.ends_in_mid_line());
    list.add("b\n3 :c\n");
    assert_eq!(progress.since(list.stamp()), Since::Appended);
    let mut reader = Reader::resume(&list.path, progress).unwrap().unwrap();
    assert_eq!(rest(&mut reader).unwrap(), [row(2, "", "bb"), row(3, "", "c")]);
    assert!(!reader.progress().ends_in_mid_line());
}

#[test]
fn changes_are_noticed() {
    let list = List::new(DOVECOT.as_bytes());
    let (_, progress) = list.read().unwrap();
    assert_eq!(progress.since(list.stamp()), Since::Unchanged);
    let other = list.path.with_extension("other");
    fs::write(&other, DOVECOT).unwrap();
    fs::rename(&other, &list.path).unwrap();
    assert_eq!(progress.since(list.stamp()), Since::Replaced);
    assert!(Reader::resume(&list.path, progress).unwrap().is_none());
    fs::remove_file(&list.path).unwrap();
    assert_eq!(progress.since(list.stamp()), Since::Missing);
}

#[test]
fn another_list_in_the_same_place_is_not_resumed() {
    let list = List::new(b"3 V7 N9\n1 :a\n2 :b\n");
    let (_, progress) = list.read().unwrap();
    // The same inode, longer, and with other lines.
    fs::write(&list.path, "3 V8 N9\n100 :aaaaa\n200 :b\n").unwrap();
    assert_eq!(progress.since(list.stamp()), Since::Appended);
    assert!(Reader::resume(&list.path, progress).unwrap().is_none());
    let empty = List::new(b"3 V7 N9\n");
    let (_, progress) = empty.read().unwrap();
    empty.add("5 :x\n");
    let mut reader = Reader::resume(&empty.path, progress).unwrap().unwrap();
    assert_eq!(rest(&mut reader).unwrap(), [row(5, "", "x")]);
}

#[test]
fn appended_records_are_read_by_others() {
    let list = List::new(DOVECOT.as_bytes());
    let (_, before) = list.read().unwrap();
    let new = [(uid(25022), &b"1.new"[..]), (uid(25023), b"2.new")];
    let (after, _) = append(&list.path, &before, new.into_iter()).unwrap();
    assert_eq!(after.since(list.stamp()), Since::Unchanged);
    assert_eq!(list.text(), format!("{DOVECOT}25022 :1.new\n25023 :2.new\n"));
    let (records, read) = list.read().unwrap();
    assert_eq!((records.len(), read), (4, after));
    // What was read is no longer what is there.
    assert!(append(&list.path, &before, new.into_iter()).is_err());
    assert_eq!(list.read().unwrap().1, after);
}

#[test]
fn a_rewrite_keeps_what_it_does_not_know() {
    let list = List::new(DOVECOT.as_bytes());
    let mut rewrite = Rewrite::begin(&list.path, 1_275_660_208, 25030, Unknown::Drop).unwrap();
    rewrite.put(uid(25017), b"1276533073.M242911P3632.kurkku").unwrap();
    rewrite.put(uid(25029), b"new").unwrap();
    let progress = rewrite.finish(true).unwrap();
    let expected = "3 V1275660208 N25030 G3085f01b7f11094c501100008c4a11c1\n\
        25017 W2481 P1234 :1276533073.M242911P3632.kurkku\n25029 :new\n";
    assert_eq!(list.text(), expected);
    assert_eq!(list.read().unwrap().1, progress);
}

#[test]
fn a_rewrite_that_is_unsure_keeps_records_that_nobody_claims() {
    let list = List::new(b"3 V7 N9\n1 Sx :a\n3 :c\n5 :e\n");
    let mut rewrite = Rewrite::begin(&list.path, 7, 12, Unknown::Keep).unwrap();
    rewrite.put(uid(3), b"c").unwrap();
    rewrite.put(uid(9), b"i").unwrap();
    rewrite.finish(true).unwrap();
    assert_eq!(list.text(), "3 V7 N12\n1 Sx :a\n3 :c\n5 :e\n9 :i\n");
}

#[test]
fn what_is_no_file_is_an_error_and_no_wait() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("dovecot-uidlist");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(Reader::open(&fifo), Err(Fault::Io(_))));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(matches!(Reader::open(&link), Err(Fault::Io(_))));
}

proptest! {
    #[test]
    fn lists_come_back(
        validity in 1_u32..,
        uids in proptest::collection::btree_set(1_u32..u32::MAX, 0..20),
        more in "([A-UW-Z][a-z0-9]{1,8}( [A-MO-U][a-z0-9]{1,8})?)?",
        base in proptest::collection::vec(1_u8.., 1..200),
    ) {
        let base: Vec<u8> = base.into_iter().filter(|byte| !b":/\n".contains(byte)).collect();
        let more = if more.starts_with('N') { String::new() } else { more };
        let base = if base.is_empty() { b"x".to_vec() } else { base };
        let list = List::new(format!("3 V9 N1 {more}\n").as_bytes());
        let mut rewrite = Rewrite::begin(&list.path, validity, u32::MAX, Unknown::Drop).unwrap();
        for &one in &uids { rewrite.put(uid(one), &base).unwrap(); }
        let progress = rewrite.finish(true).unwrap();
        let mut reader = Reader::open(&list.path).unwrap().unwrap();
        let header = reader.header.clone().unwrap();
        prop_assert_eq!(header.uid_validity, validity);
        prop_assert_eq!(header.more, more.into_bytes());
        for &one in &uids {
            let (record, _) = reader.next().unwrap().unwrap();
            prop_assert_eq!((record.uid.get(), record.base), (one, &base[..]));
        }
        prop_assert!(reader.next().unwrap().is_none());
        prop_assert_eq!(reader.progress(), progress);
    }

    #[test]
    fn no_list_is_too_odd(text in any::<Vec<u8>>(), tail in "([0-9]{1,10} [A-Z0-9 :,.\n]{0,20}\n){0,9}") {
        List::new(&text).read().ok();
        List::new(&[b"3 V1 N2\n", tail.as_bytes(), &text].concat()).read().ok();
    }
}
