//! Prints nanoseconds per operation on made-up messages of usual size.

#![allow(missing_docs)]

use message::{Choice, Crlf, Part, crlf_size, header_end, select, structure, write_envelope};
use std::hint::black_box;
use std::time::{Duration, Instant};

const HEADER: &str = "Return-Path: <alice@example.org>\n\
    Received: from mx.example.org (mx.example.org [192.0.2.1])\n\tby mail.example.net (Postfix) with ESMTPS id 4ABCDEF\n\
    \tfor <bob@example.net>; Fri, 21 Nov 2025 10:00:00 +0100 (CET)\n\
    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\n\
    \tbh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\n\th=From:To:Subject:Date;\n\
    \tb=BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=\n\
    From: =?utf-8?Q?Alice_M=C3=BCller?= <alice@example.org>\n\
    To: \"Builder, Bob\" <bob@example.net>, carol@example.com\n\
    Cc: Dave Q. Public <dave@example.com>\n\
    Subject: Minutes of the meeting on Friday, and what follows from them\n\
    Date: Fri, 21 Nov 2025 10:00:00 +0100\n\
    Message-ID: <20251121100000.4ABCDEF@mail.example.org>\n\
    MIME-Version: 1.0\nX-Mailer: none\nList-Id: <list.example.org>\n";

fn main() {
    let line = "The quick brown fox jumps over the lazy dog, and then it sleeps till noon.\n";
    let small = format!("{HEADER}\n{}", line.repeat(250));
    let attachment = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\n";
    let large = format!(
        "{HEADER}Content-Type: multipart/mixed; boundary=\"=_b1\"\n\n--=_b1\nContent-Type: text/plain; charset=utf-8\n\n\
         {}--=_b1\nContent-Type: application/pdf; name=\"a.pdf\"\nContent-Transfer-Encoding: base64\n\n{}--=_b1--\n",
        line.repeat(250),
        attachment.repeat(125_000)
    );
    let crlf = small.replace('\n', "\r\n");
    let header = small.get(..header_end(small.as_bytes()).unwrap_or(0)).unwrap_or_default();
    let mut out = Vec::new();

    println!("header {} bytes, small {} bytes, large {} bytes", header.len(), small.len(), large.len());
    time("header_end", header.len(), || header_end(black_box(header.as_bytes())));
    time("select 8 fields", header.len(), || {
        out.clear();
        let names = ["Date", "From", "To", "Cc", "Subject", "Message-ID", "References", "Content-Type"];
        select(black_box(header.as_bytes()), Choice::Named, &names, &mut out);
    });
    time("envelope", header.len(), || {
        out.clear();
        write_envelope(black_box(header.as_bytes()), &mut out);
    });
    for (name, message) in [("small, LF", &small), ("small, CRLF", &crlf), ("large, LF", &large)] {
        println!("{name}");
        time("  crlf_size", message.len(), || crlf_size(black_box(message.as_bytes())));
        time("  to CRLF", message.len(), || {
            out.clear();
            Crlf::whole().push(black_box(message.as_bytes()), &mut out);
        });
        time("  structure", message.len(), || structure(black_box(message.as_bytes())));
    }
    let part: Part = structure(large.as_bytes());
    time("bodystructure of large", 0, || {
        out.clear();
        black_box(&part).write_bodystructure(&mut out);
    });
}

/// Runs for a tenth of a second; prints the mean.
fn time<T>(name: &str, bytes: usize, mut operation: impl FnMut() -> T) {
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < Duration::from_millis(100) {
        black_box(operation());
        count += 1;
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(count);
    println!("{name:<24}{nanoseconds:>14.0} ns{:>8.2} GB/s", bytes as f64 / nanoseconds);
}
