use proptest::prelude::*;

use super::*;

fn alice() -> Variables<'static> {
    Variables {
        user: b"Alice@mail.Example.org",
        home: Some(b"/home/alice"),
        service: b"IMAP",
        local_ip: b"192.0.2.1",
        remote_ip: b"198.51.100.7",
        pid: b"4711",
        uid: b"20001",
    }
}

fn expand(text: &str) -> String {
    String::from_utf8(Template::parse(text).unwrap().expand(&alice()).unwrap()).unwrap()
}

#[test]
fn each_variable_is_replaced() {
    assert_eq!(expand("%u|%n|%d"), "Alice@mail.Example.org|Alice|mail.Example.org");
    assert_eq!(expand("%s %h %l %r %p %i"), "IMAP /home/alice 192.0.2.1 198.51.100.7 4711 20001");
}

#[test]
fn the_long_names_are_the_same_variables() {
    assert_eq!(expand("%{user}%{username}%{domain}"), expand("%u%n%d"));
    assert_eq!(expand("%{service}%{home}%{lip}%{rip}%{pid}%{uid}%L{user}"), expand("%s%h%l%r%p%i%Lu"));
}

#[test]
fn a_percent_sign_is_written_twice() {
    assert_eq!(expand("storage=95%% %n 100%%"), "storage=95% Alice 100%");
}

#[test]
fn a_user_without_a_domain_has_an_empty_one() {
    let user = Variables { user: b"bob", ..alice() };
    let text = Template::parse("%u/%n/%d/").unwrap().expand(&user).unwrap();
    assert_eq!(text, b"bob/bob//");
}

#[test]
fn modifiers_work_in_the_order_written() {
    assert_eq!(expand("%Lu %Us %Ln"), "alice@mail.example.org IMAP alice");
    assert_eq!(expand("%Rn %LRn %RUn"), "ecilA ecila ECILA");
    assert_eq!(expand("dc=%Dd"), "dc=mail,dc=Example,dc=org");
    assert_eq!(expand("%Xi %08Xi"), "4e21 00004e21");
    assert_eq!(expand("%Mn"), "64489c85dc2fe0787b85cd87214b3810");
}

#[test]
fn quotes_and_blanks_are_escaped_and_trimmed_on_demand() {
    let user = Variables { user: b"o'neil\\\"x  ", ..alice() };
    let text = Template::parse("%Eu|%Tu|").unwrap().expand(&user).unwrap();
    assert_eq!(text, b"o\\'neil\\\\\\\"x  |o'neil\\\"x|");
}

#[test]
fn offset_and_width_cut() {
    assert_eq!(expand("%1n %2n %9n"), "A Al Alice");
    assert_eq!(expand("%1.2n %2.0n %9.3n|"), "li ice |");
    assert_eq!(expand("%-3.0n %-3.1n %-9.2n"), "ice i Al");
    assert_eq!(expand("%-2n"), "Ali");
    assert_eq!(expand("%0.1n/%1.1n/%n"), "A/l/Alice");
}

#[test]
fn zero_pads_and_never_cuts() {
    assert_eq!(expand("%07n %03n"), "00Alice Alice");
}

#[test]
fn a_hash_spreads_over_its_modulus() {
    // By hand: h("ab") = 0x61 * 16 + 0x62 = 0x672.
    assert_eq!(hash(b"ab", 0, 0), "672");
    assert_eq!(hash(b"ab", 0, 256), "72");
    assert_eq!(hash(b"ab", 4, 16), "0002");
    let user = Variables { user: b"ab", ..alice() };
    assert_eq!(Template::parse("%256Hu/%2.16Hu").unwrap().expand(&user).unwrap(), b"72/02");
}

#[test]
fn an_unknown_variable_is_told_when_read() {
    assert_eq!(Template::parse("a%Lzb"), Err(Wrong::Unknown("%Lz".into())));
    assert_eq!(Template::parse("%{what}x"), Err(Wrong::Unknown("%{what}".into())));
    assert_eq!(Template::parse("100%"), Err(Wrong::Unknown("%".into())));
    assert_eq!(Template::parse("%{user"), Err(Wrong::Open("%{u".into())));
    assert_eq!(Template::parse("%99999u"), Err(Wrong::Number("%99999".into())));
}

#[test]
fn modifiers_are_too_few_to_make_a_value_huge() {
    let of_many = Variables { user: &[b'"'; 300], ..alice() };
    let widest = Template::parse("%EEEEEEEEEu").unwrap();
    assert_eq!(widest.expand(&of_many).unwrap().len(), 300 << 9);
    assert_eq!(Template::parse("%EEEEEEEEEEu"), Err(Wrong::Unknown("%EEEEEEEEEEu".into())));
}

#[test]
fn a_missing_home_fails_only_where_it_is_asked_for() {
    let homeless = Variables { home: None, ..alice() };
    assert_eq!(Template::parse("%h/x").unwrap().expand(&homeless), Err(NoHome));
    assert_eq!(Template::parse("%n").unwrap().expand(&homeless).unwrap(), b"Alice");
}

#[test]
fn a_process_of_many_shows_stars() {
    let many = Variables::of_many(b"IMAP", b"12");
    assert_eq!(Template::parse("%Us(%u) %r %i %p: ").unwrap().expand(&many).unwrap(), b"IMAP(*) * * 12: ");
}

#[test]
fn what_a_value_holds_is_not_expanded_again() {
    let user = Variables { user: b"%h%%", ..alice() };
    assert_eq!(Template::parse("%u").unwrap().expand(&user).unwrap(), b"%h%%");
}

proptest! {
    #[test]
    fn no_text_and_no_user_panics(text in any::<String>(), user in any::<Vec<u8>>()) {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.expand(&Variables { user: &user, ..alice() });
        }
    }

    #[test]
    fn texts_of_percent_signs_do_not_panic(text in "[%0-9.LUEXRHMDTunh{}-]{0,30}", user in any::<Vec<u8>>()) {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.expand(&Variables { user: &user, ..alice() });
        }
    }

    #[test]
    fn a_literal_with_doubled_signs_comes_out_single(text in any::<String>()) {
        let template = Template::parse(&text.replace('%', "%%")).unwrap();
        prop_assert_eq!(template.expand(&alice()).unwrap(), text.into_bytes());
    }
}
