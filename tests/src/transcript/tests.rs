use super::pattern::Names;
use super::*;

fn matches(pattern: &str, response: &str) -> bool {
    Pattern::new(pattern).matches(response, &mut Names::new())
}

#[test]
fn a_name_means_the_same_everywhere() {
    let mut names = Names::new();
    let pattern = Pattern::new("* <n> FETCH (UID <uid>)");
    assert!(pattern.matches("* 1 FETCH (UID 12)", &mut names));
    assert_eq!(names.get("uid").map(String::as_str), Some("12"));
    assert!(!pattern.matches("* 1 FETCH (UID 13)", &mut names));
    assert!(Pattern::new("* SEARCH <uid>").matches("* SEARCH 12", &mut names));
}

#[test]
fn what_does_not_match_names_nothing() {
    let mut names = Names::new();
    assert!(!Pattern::new("* <n> EXISTS").matches("* 3 EXPUNGE", &mut names));
    assert!(names.is_empty());
}

#[test]
fn text_for_people_is_not_compared() {
    assert!(matches("a1 OK [READ-WRITE]", "a1 OK [READ-WRITE] Done."));
    assert!(matches("a1 NO", "a1 NO [CANNOT] Never."));
    assert!(!matches("a1 OK", "a1 NO Never."));
    assert!(!matches("a1 OK [READ-ONLY]", "a1 OK [READ-WRITE] Done."));
    assert!(!matches("* 3 EXISTS", "* 3 EXISTS or so"));
}

#[test]
fn flags_are_a_set() {
    assert!(matches(
        "* 1 FETCH (FLAGS (\\Seen \\Deleted) UID 3)",
        "* 1 FETCH (FLAGS (\\Deleted \\Seen) UID 3)"
    ));
    assert!(!matches("* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (FLAGS (\\Seen \\Deleted))"));
}

#[test]
fn three_dots_are_anything() {
    assert!(matches("* LIST (...) <sep> INBOX", "* LIST (\\HasNoChildren) \".\" INBOX"));
    assert!(matches("* FLAGS (...)", "* FLAGS ()"));
    assert!(!matches("* LIST (...) <sep> INBOX", "* LIST () \".\" Sent"));
}

fn parse(text: &str) -> Result<Transcript, String> {
    Transcript::parse("t", text, "ours")
}

#[test]
fn responses_of_one_client_in_a_row_belong_together() {
    let transcript =
        parse("A imap\n\n# News.\nA S: * 1 EXISTS\n\nA S?: * FLAGS (...)\nB S: + \nA S: ...\n").unwrap();
    let kinds: Vec<(usize, usize)> = transcript
        .steps
        .iter()
        .map(|step| match &step.act {
            Act::Expect(_, all) => (step.line, all.len()),
            _ => (step.line, 0),
        })
        .collect();
    assert_eq!(kinds, [(1, 0), (4, 2), (7, 1), (8, 1)]);
}

#[test]
fn a_literal_goes_over_lines() {
    let transcript = parse("A S: * 1 FETCH (BODY[] {6}\nA S: ab\nA S: cd)\nA S: a1 OK\n").unwrap();
    let [Step { act: Act::Expect(_, all), .. }] = transcript.steps.as_slice() else {
        panic!("{transcript:?}")
    };
    assert_eq!(all[0].text, "* 1 FETCH (BODY[] {6}\r\nab\r\ncd)");
    assert_eq!(all.len(), 2);
}

#[test]
fn lines_for_other_servers_are_left_out() {
    let transcript = parse("[theirs] A imap\n[ours] A pop3\n").unwrap();
    assert_eq!(transcript.steps, [Step { line: 2, act: Act::Connect("A".to_owned(), Protocol::Pop3, None) }]);
}

#[test]
fn what_is_not_understood_is_said_with_its_place() {
    assert_eq!(parse("A imap\nA smtp\n").unwrap_err(), "t:2: not understood: A smtp");
    assert!(parse("A S: x {3}\n").is_err());
}
