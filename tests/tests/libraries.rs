//! Libraries that mail programs are made with: a tour through each, by two connections of one user.
//!
//! They are not among Debian's packages; tests/tools.sh puts them into target/clients.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use tests::{PRIVATE, SHARED, Server, Site, installed, run, skipped};

/// Where a library is, if it is there; if not, that has been said.
fn library(test: &str, name: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = own.join("../target/clients").join(name);
    (path.exists() || skipped(test, &format!("no {}", path.display()))).then_some(path)
}

fn tour(program: &str, script: &str, more: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    for settings in [SHARED, PRIVATE] {
        let server: Server = Site::new().start(settings);
        let address = server.site.imap_address();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        run(program, &[&[script.to_str().unwrap(), &host, &port], more].concat());
        server.stop();
    }
}

#[test]
fn imapclient_makes_its_tour() {
    const TEST: &str = "imapclient_makes_its_tour";
    if let Some(library) = library(TEST, "python/imapclient").filter(|_| installed(TEST, "python3")) {
        let above = library.parent().unwrap().to_str().unwrap();
        tour("python3", "imapclient_tour.py", &[above]);
    }
}

#[test]
fn imapflow_makes_its_tour() {
    const TEST: &str = "imapflow_makes_its_tour";
    if let Some(library) = library(TEST, "node_modules/imapflow").filter(|_| installed(TEST, "node")) {
        let above = library.parent().and_then(Path::parent).unwrap().to_str().unwrap();
        tour("node", "imapflow_tour.mjs", &[above]);
    }
}
