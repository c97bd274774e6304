//! The mailbox that is searched: what people send, and what they should not.

/// Flags, day received, text.
pub(crate) const MAIL: [(&str, u64, &[u8]); 16] = [
    (
        "S",
        0,
        b"From: \"Doe, John\" <john@example.org>\nTo: alice@example.net, bob@example.net\nCc: carol@example.com\n\
          Bcc: secret@example.com\nSubject: Plain message\nDate: Mon, 1 Jan 2024 23:30:00 -0800\nX-Spam: Yes\n\nHello, World.\n\
          A second line\n",
    ),
    (
        "",
        1,
        "From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <jm@example.org>\r\nTo: bob@example.net\r\n\
         Subject: =?iso-8859-1?Q?Caf=E9?=\r\n =?utf-8?B?IG3DvGRl?=\r\n\tfolded\r\nDate: 2 Jan 2024 10:00:00 +0000\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nÄrger in der Straße\r\nzweite Zeile\r\n"
            .as_bytes(),
    ),
    (
        "R",
        2,
        b"From: Ann <ann (of) @ (all) example.org>\nSubject: parts\nDate: Wed, 3 Jan 2024 10:00:00 +0000\nMIME-Version: 1.0\n\
          Content-Type: multipart/mixed; boundary=\"outer\"\n\npreambleword\n--outer\nContent-Type: text/plain; charset=iso-8859-1\n\
          Content-Transfer-Encoding: quoted-printable\nX-Part: partheader\n\nquoted=20printable with a so=\nft break and caf=E9\n\
          --outer\nContent-Type: application/octet-stream; name=\"file.bin\"\nContent-Transfer-Encoding: base64\n\n\
          aGlkZGVuYmluYXJ5\n--outer\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n\
          PGI+YmFzZTY0IHd\n vcmQ8L2I+IMOkw7Y=\n--outer\nContent-Type: message/rfc822\n\nFrom: inner@example.org\n\
          Subject: innersubject\n\ninnerbody\n--outer--\nepilogueword\n",
    ),
    ("FS", 3, b"From: x@y\nSubject: no date here\n\nflagged\n"),
    ("T", 4, b"From: x@y\nSubject: deleted\nDate: Fri, 5 Jan 2024 10:00:00 +0000\n\ndeleted text\n"),
    ("D", 5, b"From: x@y\nSubject: draft\nDate: Sat, 6 Jan 2024 10:00:00 +0000\n\ndraft text\n"),
    ("", 6, b"Subject: latin1 without a word for it: caf\xe9\n\nand the body: na\xefve, and on\n"),
    ("", 7, b"\nno header at all\n"),
    ("", 8, b"Subject: only a header"),
    ("", 9, b""),
    (
        "",
        10,
        b"Subject: =?utf-8?Q?split_=C3?= =?utf-8?Q?=A4_character?=\nContent-Type: text/plain; charset=koi8-r\n\n\xf0\xd2\xc9\xd7\xc5\xd4\n",
    ),
    (
        "",
        11,
        b"Subject: alternative\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nwithout a type\n--b\n\
          Content-Type: text/html\n\n<p>markup</p>\n",
    ),
    ("", 12, b"Subject: x\nSubject: y second subject\nX-Empty:\n\nnul \0 byte\n"),
    (
        "",
        13,
        b"Subject: digest\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: digested\n\ndigested text\n--d--\n",
    ),
    (
        "",
        14,
        b"Subject: report\nContent-Type: multipart/report; boundary=r\n\n--r\n\nreport text\n--r\n\
          Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822;nobody@example.org\n\n--r\nContent-Type: image/png\n\n\
          picture\n--r--\n",
    ),
    (
        "",
        15,
        b"Subject: japanese\nContent-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$3$s$K$A$O\x1b(B world\n",
    ),
];
