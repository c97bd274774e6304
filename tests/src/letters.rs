//! Messages that nobody should send.

/// One of them, and what it is called.
pub type Letter = (&'static str, Vec<u8>);

/// How far the bulky ones go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    /// Some megabytes, for every day.
    Some,
    /// As much as anybody ever sent.
    Much,
}

/// All that are short enough to be looked at closely.
pub fn letters() -> Vec<Letter> {
    [nested(), boundaries(), bytes(), headers()].concat()
}

fn mail(head: &str, body: &str) -> Vec<u8> {
    format!("From: a@example.org\nSubject: x\nMIME-Version: 1.0\n{head}\n\n{body}").into_bytes()
}

fn nested() -> Vec<Letter> {
    let multipart = |closed: bool| {
        let mut text = String::from("Subject: deep\n");
        for level in 0..10_000 {
            text += &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
        }
        text += "\ninnermost\n";
        for level in (0..10_000).rev().filter(|_| closed) {
            text += &format!("--b{level}--\n");
        }
        text.into_bytes()
    };
    vec![
        ("multiparts in multiparts", multipart(true)),
        ("multiparts in multiparts, none closed", multipart(false)),
        ("messages in messages", "Content-Type: message/rfc822\n\n".repeat(10_000).into_bytes()),
        (
            "messages and multiparts by turns",
            (0..5_000)
                .map(|level| {
                    format!(
                        "Content-Type: message/rfc822\n\nContent-Type: multipart/x; boundary={level}\n\n--{level}\n"
                    )
                })
                .collect::<String>()
                .into_bytes(),
        ),
        ("100,000 parts", mail("Content-Type: multipart/mixed; boundary=b", &"--b\n\nx\n".repeat(100_000))),
        (
            "one boundary for all levels",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(3_000).into_bytes(),
        ),
    ]
}

fn boundaries() -> Vec<Letter> {
    let parts = |boundary: &str| format!("--{boundary}\n\none\n--{boundary}\n\ntwo\n--{boundary}--\nend\n");
    let long = "b".repeat(10_240);
    let prefixes =
        "--a\nContent-Type: multipart/mixed; boundary=aa\n\n--aa\n\none\n--a\n\ntwo\n--aa--\n--a--\n";
    vec![
        ("no boundary", mail("Content-Type: multipart/mixed", &parts("b"))),
        ("an empty boundary", mail("Content-Type: multipart/mixed; boundary=\"\"", &parts(""))),
        ("a long boundary", mail(&format!("Content-Type: multipart/mixed; boundary={long}"), &parts(&long))),
        ("boundaries that begin like others", mail("Content-Type: multipart/mixed; boundary=a", prefixes)),
        ("a boundary with blanks", mail("Content-Type: multipart/mixed; boundary=\"b \"", &parts("b   "))),
        ("a boundary that never comes", mail("Content-Type: multipart/mixed; boundary=b", &parts("c"))),
        ("only the end", mail("Content-Type: multipart/mixed; boundary=b", "--b--\n")),
        ("an unclosed quote", mail("Content-Type: multipart/mixed; boundary=\"b", &parts("b"))),
        (
            "boundaries without a line's end",
            mail("Content-Type: multipart/mixed; boundary=b", "--b\n\nx\n--b--"),
        ),
        ("a type that is none", mail("Content-Type: /;;=;\"", &parts("b"))),
        (
            "a multipart in base64",
            mail("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64", &parts("b")),
        ),
    ]
}

fn bytes() -> Vec<Letter> {
    let mut seed = 1_u64;
    let mut noise = || {
        // Knuth's numbers.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..300_000).map(|_| noise()).collect();
    let edge = |size: usize| [vec![b'x'; size], b"\r\nyz\r".to_vec()].concat();
    vec![
        ("nothing", Vec::new()),
        ("a line's end", b"\n".to_vec()),
        ("a return", b"\r".to_vec()),
        ("a NUL", b"\0".to_vec()),
        ("only a header", b"Subject: x\n".to_vec()),
        ("half a header line", b"Subject".to_vec()),
        ("only a body", b"\nbody\n".to_vec()),
        ("a body without a line's end", b"Subject: x\n\nbody".to_vec()),
        ("NULs", b"Subject: a\0b\nFrom: \0@\0\n\n\0\0body\0\n".to_vec()),
        ("returns alone", b"Subject: a\rb\rFrom: c\r\rbody\rmore\r".to_vec()),
        ("all line ends", b"Subject: a\r\nFrom: b\n\r\nx\ny\r\n\r\r\n\n\rz".to_vec()),
        ("dots", b"Subject: x\n\n.\n..\n.x\n\r\n.\r\n.".to_vec()),
        ("a line's end across a chunk", edge(65_535)),
        ("a line's end across a smaller chunk", edge(8_191)),
        ("noise", noise.clone()),
        ("noise below a header", [b"Subject: x\n\n".to_vec(), noise].concat()),
    ]
}

fn headers() -> Vec<Letter> {
    let many = "a@example.org, ".repeat(50_000);
    let garbage = "Subject: =?utf-8?q?=?= =?x?b?====?= =?utf-8?b?\u{fffd}?= =?=?=?\nFrom: =?utf-8?q?\"?= <\nTo: \"unclosed\n\
                   Cc: a:b:c;;, <<<>>>, (((, @@, \\\nDate: never\nMessage-ID: <<>\nSender: group: a@b, c@d; e@f\n\nx\n";
    vec![
        ("words that are none", garbage.as_bytes().to_vec()),
        ("a charset that is none", mail("Content-Type: text/plain; charset=klingon", "caf\u{e9}\n")),
        (
            "base64 that is none",
            mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "=A=B!\u{e9}==\nAAA"),
        ),
        ("hexadecimal that is none", mail("Content-Transfer-Encoding: quoted-printable", "=\n=ZZ=4=\n=")),
        ("50,000 addresses", format!("To: {many}\n\nx\n").into_bytes()),
        ("comments in comments", format!("To: {}\n\nx\n", "(".repeat(100_000)).into_bytes()),
        ("groups in groups", format!("To: {}\n\nx\n", "g:".repeat(50_000)).into_bytes()),
        ("routes", format!("To: <{}a@b>\n\nx\n", "@x,".repeat(50_000)).into_bytes()),
        ("parameters", mail(&format!("Content-Type: text/plain{}", "; a=b".repeat(50_000)), "x\n")),
        (
            "one parameter in pieces",
            mail(&format!("Content-Type: text/plain{}", "; n*0*=x''%".repeat(9_999)), "x\n"),
        ),
        ("languages", mail(&format!("Content-Language: {}", "en, ".repeat(50_000)), "x\n")),
        ("one field again and again", "Subject: x\n".repeat(20_000).into_bytes()),
        ("a header that begins with a fold", b" folded\n\tmore\nSubject: x\n\nx\n".to_vec()),
        (
            "names that are none",
            b": x\n:\nSubject : y\n\x01: z\nFrom a@b\nno colon\nSubject: x\n\nx\n".to_vec(),
        ),
    ]
}

/// All others.
pub fn huge(bulk: Bulk) -> Vec<Letter> {
    let times = if bulk == Bulk::Much { 50 } else { 1 };
    let long = |head: &str, bytes: usize| [head.as_bytes(), &vec![b'x'; bytes]].concat();
    vec![
        ("one long line", long("Subject: x\n\n", 2_000_000 * times)),
        ("a long header line", long("Subject: ", 1_000_000 * times)),
        (
            "a long folded header",
            format!("Subject: x\n{}\n\nx\n", " folded\n".repeat(20_000 * times)).into_bytes(),
        ),
        ("many header lines", format!("{}\nx\n", "a: b\n".repeat(20_000 * times)).into_bytes()),
        ("many lines", format!("Subject: x\n\n{}", "x\n".repeat(200_000 * times)).into_bytes()),
    ]
}
