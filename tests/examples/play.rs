//! Plays a transcript by hand, against any server: tests/transcripts/README.md.
#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;

use tests::transcript::{Stage, Transcript, play};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, imap, pop3, user, password, maildir, file] = arguments.as_slice() else {
        eprintln!("usage: play SERVER IMAP-ADDRESS:PORT POP3-ADDRESS:PORT USER PASSWORD MAILDIR FILE");
        return ExitCode::from(2);
    };
    match try_play(server, [imap, pop3], [user, password], maildir, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("play: {why}");
            ExitCode::FAILURE
        }
    }
}

fn try_play(
    server: &str,
    [imap, pop3]: [&str; 2],
    [user, password]: [&str; 2],
    maildir: &str,
    file: &str,
) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|why| format!("{file}: {why}"))?;
    let transcript = Transcript::parse(file, &text, server)?;
    for folder in ["cur", "new"] {
        let mut files = std::fs::read_dir(format!("{maildir}/{folder}"))
            .map_err(|why| format!("{maildir}/{folder}: {why}"))?;
        if files.next().is_some() {
            return Err(format!("{maildir}/{folder} is not empty, and this is no place for real mail"));
        }
    }
    let owner = std::fs::metadata(maildir).map_err(|why| format!("{maildir}: {why}"))?;
    let address = |text: &str| text.parse().map_err(|why| format!("{text}: {why}"));
    let stage = Stage {
        imap: address(imap)?,
        pop3: address(pop3)?,
        user: user.to_owned(),
        password: password.to_owned(),
        maildir: maildir.into(),
        third_party: nix::unistd::geteuid().is_root().then_some((owner.uid(), owner.gid())),
        patience: Duration::from_secs(60),
    };
    play(&transcript, &stage, &mut || Err("a server that is not ours cannot be started again".to_owned()))
}
