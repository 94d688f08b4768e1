//! Encodes a file as a data URL, the form in which models take images and PDFs.
//!
//! The format is detected from the bytes: the name of a file may be wrong, and a server refuses a
//! file whose type does not match.

/// Returns the data URL of an image; `None` if it has no format that models take.
pub(crate) fn of_image(bytes: &[u8]) -> Option<String> {
    sniff(bytes).map(|mime| data_url(mime, bytes))
}

/// Returns the data URL of a PDF; `None` if the bytes are not one.
pub(crate) fn of_pdf(bytes: &[u8]) -> Option<String> {
    bytes
        .starts_with(b"%PDF-")
        .then(|| data_url("application/pdf", bytes))
}

fn data_url(mime: &str, bytes: &[u8]) -> String {
    let mut url = format!("data:{mime};base64,");
    url.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        encode(chunk, &mut url);
    }
    url
}

fn sniff(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Encodes up to three bytes as Base64 (RFC 4648, section 4).
fn encode(chunk: &[u8], out: &mut String) {
    let bits = (0..3).fold(0_u32, |bits, idx| {
        bits << 8 | chunk.get(idx).copied().map_or(0, u32::from)
    });
    for idx in 0..4 {
        if idx > chunk.len() {
            out.push('=');
        } else {
            out.push(digit(bits >> (18 - 6 * idx) & 0x3f));
        }
    }
}

fn digit(value: u32) -> char {
    let (base, offset) = match value {
        0..26 => ('A', value),
        26..52 => ('a', value - 26),
        52..62 => ('0', value - 52),
        62 => ('+', 0),
        _ => ('/', 0),
    };
    char::from_u32(u32::from(base) + offset).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::{encode, of_image, of_pdf};

    #[test]
    fn formats_are_recognised_by_their_bytes() {
        for (bytes, expected) in [
            (
                &b"\x89PNG\r\n\x1a\n"[..],
                Some("data:image/png;base64,iVBORw0KGgo="),
            ),
            (b"\xff\xd8\xff\xe0", Some("data:image/jpeg;base64,/9j/4A==")),
            (b"GIF89a", Some("data:image/gif;base64,R0lGODlh")),
            (
                b"RIFF\0\0\0\0WEBP",
                Some("data:image/webp;base64,UklGRgAAAABXRUJQ"),
            ),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg/>", None),
            (b"", None),
        ] {
            assert_eq!(of_image(bytes).as_deref(), expected);
        }
        let pdf = of_pdf(b"%PDF-1");
        assert_eq!(pdf.as_deref(), Some("data:application/pdf;base64,JVBERi0x"));
        assert_eq!(of_pdf(b"GIF89a"), None);
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, expected) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("\u{3ff}\u{fffe}", "z7/vv74="),
        ] {
            let mut out = String::new();
            for chunk in text.as_bytes().chunks(3) {
                encode(chunk, &mut out);
            }
            assert_eq!(out, expected);
        }
    }
}
