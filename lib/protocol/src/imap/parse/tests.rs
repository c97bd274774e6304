use proptest::prelude::*;

use super::*;

fn body(text: &str) -> Body {
    let command = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(command.tag.as_str(), "a1");
    command.body
}

fn error(text: &str) -> (Option<String>, Status, &'static str) {
    let error = parse(text.as_bytes()).expect_err(text);
    (error.tag.map(|tag| tag.to_string()), error.status, error.text)
}

fn mailbox(name: &str) -> MailboxName {
    MailboxName::from_wire(name.as_bytes()).unwrap()
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::new(text.as_bytes()).unwrap()
}

#[test]
fn commands_without_arguments_are_known() {
    for (name, expected) in [
        ("CAPABILITY", Body::Capability),
        ("NOOP", Body::Noop),
        ("LOGOUT", Body::Logout),
        ("STARTTLS", Body::StartTls),
        ("NAMESPACE", Body::Namespace),
        ("IDLE", Body::Idle),
        ("CHECK", Body::Check),
        ("CLOSE", Body::Close),
        ("UNSELECT", Body::Unselect),
        ("EXPUNGE", Body::Expunge { uids: None }),
    ] {
        assert_eq!(expected.name(), name);
        assert_eq!(body(&format!("a1 {name}\r\n")), expected);
        assert_eq!(body(&format!("a1  {}  \n", name.to_lowercase())), expected);
        assert_eq!(error(&format!("a1 {name} x\r\n")).0.as_deref(), Some("a1"));
    }
}

#[test]
fn login_takes_any_kind_of_string() {
    for text in [
        "a1 LOGIN alice se%cret\r\n",
        "a1 login \"alice\" \"se%cret\"\r\n",
        "a1 LOGIN {5}\r\nalice {8+}\r\nse%cret\\\r\n",
        "a1 LOGIN  alice  \"s\\e%cret\" \r\n",
    ] {
        let Body::Login { user, password } = body(text) else { panic!("{text}") };
        assert_eq!(user, b"alice");
        assert!(password.expose().starts_with(b"se%cret"), "{text}");
    }
    assert_eq!(
        body("a1 LOGIN \"ü\" \"\\\"\\\\\"\r\n"),
        Body::Login { user: "ü".into(), password: Secret::from(&b"\"\\"[..]) }
    );
    assert!(!format!("{:?}", body("a1 LOGIN alice hunter2\r\n")).contains("hunter2"));
}

#[test]
fn authenticate_keeps_the_response_as_it_came() {
    let expected = |initial: Option<&[u8]>| Body::Authenticate {
        mechanism: "PLAIN".to_owned(),
        initial: initial.map(Secret::from),
    };
    assert_eq!(body("a1 AUTHENTICATE PLAIN\r\n"), expected(None));
    assert_eq!(body("a1 authenticate plain \r\n"), expected(None));
    assert_eq!(body("a1 AUTHENTICATE PLAIN =\r\n"), expected(Some(b"=")));
    assert_eq!(body("a1 AUTHENTICATE PLAIN AGEAYg+/==\r\n"), expected(Some(b"AGEAYg+/==")));
    assert_eq!(error("a1 AUTHENTICATE\r\n").2, "Missing argument");
    assert_eq!(error("a1 AUTHENTICATE PLAIN a b\r\n").1, Status::Bad);
}

#[test]
fn id_is_pairs_or_nothing() {
    assert_eq!(body("a1 ID NIL\r\n"), Body::Id(Vec::new()));
    assert_eq!(body("a1 ID ()\r\n"), Body::Id(Vec::new()));
    assert_eq!(
        body("a1 ID (\"name\" \"x y\" \"os\" NIL)\r\n"),
        Body::Id(vec![(b"name".to_vec(), Some(b"x y".to_vec())), (b"os".to_vec(), None)])
    );
    for text in ["a1 ID\r\n", "a1 ID (\"name\")\r\n", "a1 ID name\r\n", "a1 ID (\"a\" \"b\" \"c\")\r\n"] {
        assert_eq!(error(text).1, Status::Bad);
    }
    assert_eq!(error(&format!("a1 ID ({})\r\n", "\"a\" NIL ".repeat(31))).2, "Too many ID parameters");
}

#[test]
fn mailboxes_are_named() {
    for (text, expected) in [
        ("SELECT inbox", Body::Select(mailbox("INBOX"))),
        ("EXAMINE \"a b\"", Body::Examine(mailbox("a b"))),
        ("CREATE {3}\r\na/b", Body::Create { mailbox: mailbox("a/b"), special_use: false }),
        ("DELETE a]b", Body::Delete(mailbox("a]b"))),
        ("RENAME a &AOQ-", Body::Rename { from: mailbox("a"), to: mailbox("&AOQ-") }),
        ("SUBSCRIBE a", Body::Subscribe(mailbox("a"))),
        ("UNSUBSCRIBE a", Body::Unsubscribe(mailbox("a"))),
    ] {
        assert_eq!(body(&format!("a1 {text}\r\n")), expected);
    }
    let (tag, status, text) = error("a1 CREATE &AGE-\r\n");
    assert_eq!((tag.as_deref(), status), (Some("a1"), Status::No));
    assert!(text.starts_with("[CANNOT] "));
}

#[test]
fn lists_have_patterns() {
    for (text, reference, pattern) in
        [("\"\" *", "", "*"), ("\"\" \"%\"", "", "%"), ("a. b%*", "a.", "b%*"), ("\"\" \"\"", "", "")]
    {
        let (reference, pattern) = (reference.as_bytes().to_vec(), pattern.as_bytes().to_vec());
        let list = Body::List { special_use: false, reference: reference.clone(), pattern: pattern.clone() };
        assert_eq!(body(&format!("a1 LIST {text}\r\n")), list);
        assert_eq!(body(&format!("a1 LSUB {text}\r\n")), Body::Lsub { reference, pattern });
    }
}

#[test]
fn what_is_for_something_special_is_asked_for() {
    let list = |special_use| Body::List { special_use, reference: Vec::new(), pattern: b"*".to_vec() };
    for (text, special_use) in [
        ("(special-use) \"\" *", true),
        ("() \"\" *", false),
        ("\"\" * RETURN (SPECIAL-USE CHILDREN)", false),
        ("(SPECIAL-USE) \"\" * return ()", true),
    ] {
        assert_eq!(body(&format!("a1 LIST {text}\r\n")), list(special_use), "{text}");
    }
    for text in ["(REMOTE) \"\" *", "\"\" * RETURN", "\"\" * RETURN (STATUS)", "\"\" * (SPECIAL-USE)"] {
        assert_eq!(error(&format!("a1 LIST {text}\r\n")).1, Status::Bad, "{text}");
    }
    let create = |special_use| Body::Create { mailbox: mailbox("x"), special_use };
    for (text, special_use) in
        [("x", false), ("x (USE (\\Sent))", true), ("x (USE (\\Sent \\Junk))", true), ("x (use ())", false)]
    {
        assert_eq!(body(&format!("a1 CREATE {text}\r\n")), create(special_use), "{text}");
    }
    for text in ["x (\\Sent)", "x (USE Sent)", "x USE (\\Sent)", "x (USE (\\Sent)"] {
        assert_eq!(error(&format!("a1 CREATE {text}\r\n")).1, Status::Bad, "{text}");
    }
}

#[test]
fn status_has_items_in_parentheses() {
    use StatusItem::*;
    let all = vec![Messages, Recent, UidNext, UidValidity, Unseen];
    let status = |items| Body::Status { mailbox: mailbox("x"), items };
    assert_eq!(body("a1 STATUS x (MESSAGES RECENT uidnext UIDVALIDITY UNSEEN)\r\n"), status(all));
    assert_eq!(body("a1 STATUS x ( MESSAGES )\r\n"), status(vec![Messages]));
    for text in ["x ()", "x", "x (SIZES)", "x MESSAGES", "(MESSAGES)"] {
        assert_eq!(error(&format!("a1 STATUS {text}\r\n")).1, Status::Bad, "{text}");
    }
}

#[test]
fn append_has_a_head() {
    let Body::Append { mailbox: name, message } = body("a1 APPEND x {310}\r\n") else { panic!() };
    assert_eq!((name, message.flags, message.date), (mailbox("x"), FlagList::default(), None));
    assert_eq!(message.size, 310);
    let text = "a1 APPEND x (\\Seen \\Recent $Junk) \" 1-Jan-1970 01:00:00 +0100\" {5000000000+}\r\n";
    let Body::Append { message, .. } = body(text) else { panic!() };
    assert_eq!(message.flags.system, SystemFlags::SEEN);
    assert_eq!(message.flags.keywords.first().map(|keyword| keyword.as_str()), Some("$Junk"));
    assert_eq!(message.date, Some(DateTime { unix: 0, offset: 60 }));
    assert_eq!(message.size, 5_000_000_000);
    for text in
        ["a1 APPEND x\r\n", "a1 APPEND x \"hi\"\r\n", "a1 APPEND x (\\Foo) {1}\r\n", "a1 APPEND {310}\r\n"]
    {
        assert_eq!(error(text).1, Status::Bad, "{text}");
    }
}

#[test]
fn append_may_go_on() {
    assert_eq!(parse_append_more(b"\r\n"), Ok(None));
    assert_eq!(parse_append_more(b" \n"), Ok(None));
    let message = parse_append_more(b" (\\Seen) {7+}\r\n").unwrap().unwrap();
    assert_eq!((message.flags.system, message.size), (SystemFlags::SEEN, 7));
    assert!(parse_append_more(b"x\r\n").is_err());
    assert!(parse_append_more(b"{7}\r\n").is_err());
}

#[test]
fn numbers_are_sequence_numbers_or_uids() {
    for (prefix, by) in [("", By::Sequence), ("UID ", By::Uid), ("uid  ", By::Uid)] {
        let copy = Body::Copy { by, set: set("1:*"), mailbox: mailbox("x") };
        assert_eq!(body(&format!("a1 {prefix}COPY 1:* x\r\n")), copy);
        let moved = Body::Move { by, set: set("1:*"), mailbox: mailbox("x") };
        assert_eq!(body(&format!("a1 {prefix}MOVE 1:* x\r\n")), moved);
        let search = Body::Search { by, key: SearchKey::All };
        assert_eq!(body(&format!("a1 {prefix}SEARCH CHARSET UTF-8 ALL\r\n")), search);
    }
    assert_eq!(body("a1 UID EXPUNGE 3\r\n"), Body::Expunge { uids: Some(set("3")) });
    assert_eq!(error("a1 UID NOOP\r\n").2, "Unknown UID command");
    assert_eq!(error("a1 UID\r\n").2, "Missing command");
    assert_eq!(error("a1 COPY 0 x\r\n").1, Status::Bad);
}

#[test]
fn uid_fetch_tells_the_uid() {
    use FetchItem::{Flags, Uid};
    let fetch = |by, items| Body::Fetch { by, set: set("1"), items };
    assert_eq!(body("a1 FETCH 1 FLAGS\r\n"), fetch(By::Sequence, vec![Flags]));
    assert_eq!(body("a1 UID FETCH 1 FLAGS\r\n"), fetch(By::Uid, vec![Uid, Flags]));
    assert_eq!(body("a1 UID FETCH 1 (FLAGS UID)\r\n"), fetch(By::Uid, vec![Flags, Uid]));
    assert_eq!(error("a1 FETCH 1 FLAGS UID\r\n").1, Status::Bad);
}

#[test]
fn store_takes_flags_in_every_way() {
    for (text, mode, silent) in [
        ("FLAGS (\\Deleted Junk)", StoreMode::Replace, false),
        ("+FLAGS (\\Deleted Junk)", StoreMode::Add, false),
        ("-flags \\deleted Junk", StoreMode::Remove, false),
        ("+FLAGS.SILENT ( \\DELETED  Junk )", StoreMode::Add, true),
    ] {
        let stored = body(&format!("a1 STORE 2:4 {text}\r\n"));
        let Body::Store { by: By::Sequence, mode: m, silent: s, flags, .. } = stored else {
            panic!("{text}")
        };
        assert_eq!((m, s, flags.system), (mode, silent, SystemFlags::DELETED), "{text}");
        assert_eq!(flags.keywords.len(), 1);
    }
    let Body::Store { flags, .. } = body("a1 UID STORE 1 FLAGS ()\r\n") else { panic!() };
    assert_eq!(flags, FlagList::default());
    for text in [
        "FLAGS",
        "FLAGS ",
        "FLAGS (\\Foo)",
        "FLAGS \\Recent",
        "+-FLAGS ()",
        "LABELS ()",
        "FLAGS (a",
        "FLAGS a)",
    ] {
        assert_eq!(error(&format!("a1 STORE 1 {text}\r\n")).1, Status::Bad, "{text}");
    }
}

#[test]
fn enable_names_capabilities() {
    let names = vec!["CONDSTORE".to_owned(), "X-A".to_owned()];
    assert_eq!(body("a1 ENABLE CONDSTORE x-a \r\n"), Body::Enable(names));
    assert_eq!(error("a1 ENABLE\r\n").1, Status::Bad);
}

#[test]
fn errors_name_the_tag_if_there_is_one() {
    for (text, tag, expected) in [
        ("a1 NONSENSE\r\n", Some("a1"), "Unknown command"),
        ("a1 NONSENSENONSENSENONSENSENONSENSE\r\n", Some("a1"), "Unknown command"),
        ("a1\r\n", Some("a1"), "Missing command"),
        ("a1 \r\n", Some("a1"), "Missing command"),
        ("a1\tNOOP\r\n", Some("a1"), "Missing command"),
        ("a1 LOGIN alice\r\n", Some("a1"), "Missing argument"),
        ("a1 LOGIN alice \"x\r\n", Some("a1"), "Missing '\"'"),
        ("a1 LOGIN alice {9}\r\nx\r\n", Some("a1"), "Literal cut short"),
        ("a1 LOGIN alice {1}\r\n\0\r\n", Some("a1"), "NUL in literal"),
        ("\r\n", None, "Invalid tag"),
        ("", None, "Invalid tag"),
        ("* NOOP\r\n", None, "Invalid tag"),
        ("+ NOOP\r\n", None, "Invalid tag"),
        ("\"a\" NOOP\r\n", None, "Invalid tag"),
        ("ä NOOP\r\n", None, "Invalid tag"),
        ("DONE\r\n", None, "Unexpected DONE"),
    ] {
        assert_eq!(error(text), (tag.map(str::to_owned), Status::Bad, expected), "{text}");
    }
    let answer = |text: &str| {
        let mut out = Vec::new();
        parse(text.as_bytes()).unwrap_err().answer(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(answer("a1 X\r\n"), "a1 BAD Unknown command\r\n");
    assert_eq!(answer("* X\r\n"), "* BAD Invalid tag\r\n");
    assert_eq!(
        answer("a1 SEARCH CHARSET X ALL\r\n"),
        "a1 NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset\r\n"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = parse_append_more(&bytes);
    }

    #[test]
    fn no_arguments_panic(
        name in "(UID )?(FETCH|STORE|SEARCH|COPY|APPEND|LOGIN|ID|STATUS|LIST|AUTHENTICATE|ENABLE|EXPUNGE)",
        arguments in "[ a-zA-Z0-9(){}\"\\\\*%:,.+\\[\\]<>\r\n-]{0,40}",
    ) {
        let _ = parse(format!("a1 {name} {arguments}\r\n").as_bytes());
    }

    #[test]
    fn any_password_arrives(password in prop::collection::vec(1u8.., 0..40)) {
        let mut text = b"a1 LOGIN alice ".to_vec();
        super::super::response::string(&mut text, &password);
        text.extend_from_slice(b"\r\n");
        let Body::Login { password: read, .. } = parse(&text).unwrap().body else { panic!() };
        prop_assert_eq!(read.expose(), password.as_slice());
    }
}
