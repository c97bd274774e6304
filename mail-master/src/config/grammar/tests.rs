use proptest::prelude::*;

use super::*;

/// The lines as short texts, and the faults' texts.
fn read(text: &str) -> (Vec<String>, Vec<&'static str>) {
    let (lines, faults) = parse(text);
    let shown = lines.into_iter().map(|line| match line {
        Line::Set { key, value, .. } => format!("{key}={value}"),
        Line::Open { kind, name, .. } => format!("{kind} {name}{{"),
        Line::Close { .. } => "}".to_owned(),
        Line::Include { pattern, optional, .. } => format!("include {pattern} {optional}"),
    });
    (shown.collect(), faults.into_iter().map(|fault| fault.what).collect())
}

fn value(text: &str) -> String {
    let (lines, faults) = read(text);
    assert_eq!(faults, Vec::<&str>::new());
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].strip_prefix("key=").unwrap().to_owned()
}

#[test]
fn blanks_around_names_and_values_do_not_matter() {
    assert_eq!(value("key=value"), "value");
    assert_eq!(value(" \t key \t=  a  value \t \r\n"), "a  value");
    assert_eq!(value("key ="), "");
    assert_eq!(value("key = a = b"), "a = b");
    assert_eq!(value("key = {"), "{");
}

#[test]
fn comments_and_empty_lines_say_nothing() {
    assert_eq!(read("# all\n\n   # of it's nothing\n"), (vec![], vec![]));
    assert_eq!(value("key = value # it's over"), "value");
    assert_eq!(value("key = Bob's server # hello"), "Bob's server");
}

#[test]
fn quotes_keep_blanks_and_number_signs() {
    assert_eq!(value("key = \" a # b \"  # c"), " a # b ");
    assert_eq!(value("key = ' a\" '"), " a\" ");
    assert_eq!(value(r#"key = "a \"b\" \\ \c""#), r#"a "b" \ c"#);
    assert_eq!(value("key = \"\""), "");
}

#[test]
fn quotes_that_do_not_enclose_the_value_belong_to_it() {
    assert_eq!(value(r#"key = "a" b"#), r#""a" b"#);
    assert_eq!(value(r#"key = "a" "b""#), r#""a" "b""#);
    assert_eq!(value(r#"key = storage=95% "cmd # x""#), r#"storage=95% "cmd # x""#);
}

#[test]
fn a_backslash_at_the_end_joins_the_next_line_without_its_indent() {
    assert_eq!(value("key = one \\\n   two\\  # comment\n\tthree"), "one twothree");
    assert_eq!(value("key = \\\n   value"), "value");
    assert_eq!(value("key = one \\"), "one");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    assert_eq!(value("\u{feff}key = value"), "value");
}

#[test]
fn a_comment_does_not_go_on() {
    assert_eq!(value("# comment \\\nkey = value"), "value");
}

#[test]
fn sections_open_with_a_kind_and_a_name() {
    let (lines, faults) =
        read("protocol imap {\n} # end\nplugin{\n}\nauth \"de fault\"{\n}\nauth de fault {");
    assert_eq!(lines, ["protocol imap{", "}", "plugin {", "}", "auth de fault{", "}"]);
    assert_eq!(faults, ["a section has a kind and one name"]);
}

#[test]
fn includes_name_a_pattern() {
    let (lines, _) = read("!include conf.d/*.conf\n!include_try \"a b\"\n");
    assert_eq!(lines, ["include conf.d/*.conf false", "include a b true"]);
}

#[test]
fn each_faulty_line_is_told_and_the_others_are_read() {
    let (lines, faults) =
        read("a = 1\nwhat\n= x\na b = c\nk = \"open\n} x\np { k = v }\n!use x\n{\n!include\nz = 2\n");
    assert_eq!(lines, ["a=1", "z=2"]);
    assert_eq!(
        faults,
        [
            "this line is no setting",
            "there is no name before the '='",
            "a setting's name has no blanks",
            "this quote is never closed",
            "something follows the closing brace",
            "something follows the opening brace",
            "only '!include' and '!include_try' begin with an exclamation mark",
            "a section has a kind",
            "which file is to be included?",
        ]
    );
}

#[test]
fn a_number_sign_in_a_word_cuts_it_with_a_warning() {
    let (lines, faults) = parse("key = pass#word");
    assert!(matches!(&lines[..], [Line::Set { value, .. }] if value == "pass"));
    assert!(faults[0].harmless);
    assert_eq!(faults[0].span, 10..11);
}

#[test]
fn spans_point_into_the_file() {
    let text = "# x\n  key = one \\\n    two\n";
    let (lines, _) = parse(text);
    let [Line::Set { key_span, value_span, .. }] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(&text[key_span.clone()], "key");
    assert_eq!(&text[value_span.clone()], "one \\\n    two");
}

#[test]
fn monstrous_lines_are_refused() {
    assert_eq!(read(&format!("key = {}", "x".repeat(20_000))).1, ["this line is longer than 16 KiB"]);
    let (lines, faults) = read(&"xxxxxxxx\\\n".repeat(10_000));
    assert!(lines.is_empty());
    assert_eq!(faults, ["this line and its continuations are longer than 64 KiB"]);
}

proptest! {
    #[test]
    fn nothing_panics_and_spans_are_in_the_file(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn text_of_our_own_signs_does_not_panic(text in "[a=\"'#{}!\\\\ \nö]{0,60}") {
        check(&text)?;
    }

    #[test]
    fn a_quoted_value_comes_back(wanted in "[^\n\r\0]{0,40}") {
        let (lines, _) = parse(&format!("key = {}", quoted(&wanted)));
        match &lines[..] {
            [Line::Set { value, .. }] => prop_assert_eq!(value, &wanted),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let (lines, faults) = parse(text);
    let spans = lines.into_iter().flat_map(|line| match line {
        Line::Set { key_span, value_span, .. } => vec![key_span, value_span],
        Line::Open { span, .. } | Line::Close { span } | Line::Include { span, .. } => vec![span],
    });
    for span in spans.chain(faults.into_iter().map(|fault| fault.span)) {
        prop_assert!(text.get(span.clone()).is_some(), "{:?} in {:?}", span, text);
    }
    Ok(())
}
