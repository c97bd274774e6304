//! Files of a client's own: its settings, and the Maildir that it keeps a copy in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file that only we can read, as clients want theirs with passwords in them. Its path.
///
/// # Panics
/// If it cannot be written.
pub fn private_file(path: &Path, content: &str) -> String {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The messages of a Maildir, each with the flags in its name, in order of their text. Lines that begin with one of
/// `marks` are left out: some clients write one of their own into each message.
///
/// # Panics
/// If it is no Maildir.
pub fn messages(maildir: &Path, marks: &[&str]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = ["new", "cur"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(maildir.join(folder)).unwrap())
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags).to_owned();
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).replace("\r\n", "\n");
            let lines =
                text.split_inclusive('\n').filter(|line| !marks.iter().any(|mark| line.starts_with(mark)));
            (lines.collect(), flags)
        })
        .collect();
    all.sort();
    all
}
