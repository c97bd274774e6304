//! NAMESPACE, RFC 2342: there is one, the user's own, and its names have no prefix.

use protocol::imap::response;

use super::Imap;
use super::reply::{Outcome, Reply};

pub(super) async fn run(imap: &Imap) -> Outcome {
    let separator = imap.client.user.mail().location().separator;
    imap.client.write(|out| {
        out.extend_from_slice(b"* NAMESPACE ((\"\" ");
        response::string(out, &[separator]);
        out.extend_from_slice(b")) NIL NIL");
        response::line_end(out);
    });
    Ok(Reply::ok("Namespace completed."))
}
