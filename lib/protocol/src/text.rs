//! Numbers and text as both protocols write them. Appends to a buffer; whatever goes in, no line ends but where
//! [`line_end`] ends it.

/// A number in decimal.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        length += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Text for people: whatever would end the line becomes a space.
pub fn text(out: &mut Vec<u8>, human: &str) {
    let from = out.len();
    out.extend_from_slice(human.as_bytes());
    for byte in out.iter_mut().skip(from) {
        if matches!(byte, 0 | b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}

/// The end of a line.
pub fn line_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}
