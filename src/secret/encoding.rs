//! The forms in which a secret is searched for, and the escapes that are undone before.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the secret as it is, in hex, and inside base64 at each of the three alignments, in both
/// alphabets.
///
/// The first and last characters in base64 depend on the neighbours of the secret too, and are left
/// out.
pub(super) fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), hex(secret)];
    for n_before in 0..3 {
        let form = inside_base64(secret, n_before);
        let url_safe: Vec<u8> = form.iter().map(|&byte| url_safe(byte)).collect();
        if url_safe != form {
            forms.push(url_safe);
        }
        forms.push(form);
    }
    forms
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |c| c as u8);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn inside_base64(secret: &[u8], n_before: usize) -> Vec<u8> {
    let padded = [&vec![0; n_before], secret].concat();
    let first = (n_before * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    (first..end)
        .map(|idx| {
            let bit = |n: usize| padded.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
            let sextet = (idx * 6..idx * 6 + 6).fold(0, |sextet, n| sextet << 1 | bit(n));
            STANDARD.get(usize::from(sextet)).copied().unwrap_or(b'A')
        })
        .collect()
}

const fn url_safe(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => byte,
    }
}

/// Decodes base64 in either alphabet; `None` if it is not base64.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let sextet = STANDARD
            .iter()
            .position(|&known| known == byte || url_safe(known) == byte)?;
        bits = bits << 6 | u32::try_from(sextet).ok()?;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            decoded.push(u8::try_from(bits >> n_bits & 255).ok()?);
        }
    }
    Some(decoded)
}

/// Decodes percent escapes: `%41` is `A`.
pub(crate) fn decode_percent(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, behind)) = rest.split_first() {
        let Escape::Whole { byte, n_bytes } = percent(rest)
            .filter(|_| first == b'%')
            .unwrap_or(Escape::None)
        else {
            decoded.push(first);
            rest = behind;
            continue;
        };
        decoded.push(byte);
        rest = rest.get(n_bytes..).unwrap_or_default();
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The escape at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// No escape: the byte stands for itself.
    None,
    /// Perhaps the beginning of an escape; more bytes will tell.
    Open,
    /// A complete escape for one byte.
    Whole { byte: u8, n_bytes: usize },
}

/// Says whether an escape can begin with this byte.
pub(super) const fn opens_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&')
}

/// The longest escape: `&#x0041;`.
pub(super) const MAX_ESCAPE_BYTES: usize = 8;

/// Reads an escape of a URL, of JSON or a programming language, or of HTML.
pub(super) fn escape(text: &[u8]) -> Escape {
    let found = match text.first() {
        Some(b'%') => percent(text),
        Some(b'\\') => backslash(text),
        Some(b'&') => entity(text),
        _ => None,
    };
    found.unwrap_or(Escape::None)
}

fn percent(text: &[u8]) -> Option<Escape> {
    number(text.get(1..)?, 16, 2, 1)
}

fn backslash(text: &[u8]) -> Option<Escape> {
    let Some(&letter) = text.get(1) else {
        return Some(Escape::Open);
    };
    let byte = match letter {
        b'u' => return number(text.get(2..)?, 16, 4, 2),
        b'x' => return number(text.get(2..)?, 16, 2, 2),
        b'"' | b'\\' | b'/' | b'\'' => letter,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        _ => return None,
    };
    Some(Escape::Whole { byte, n_bytes: 2 })
}

fn entity(text: &[u8]) -> Option<Escape> {
    const NAMED: [(&[u8], u8); 5] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
    ];
    for (name, byte) in NAMED {
        if text.starts_with(name) {
            let n_bytes = name.len();
            return Some(Escape::Whole { byte, n_bytes });
        }
        if name.starts_with(text) {
            return Some(Escape::Open);
        }
    }
    if text.len() < 3 {
        return b"&#x".starts_with(text).then_some(Escape::Open);
    }
    let body = text.strip_prefix(b"&#")?;
    let (digits, radix, n_before) = match body.split_first() {
        Some((b'x' | b'X', digits)) => (digits, 16, 3),
        _ => (body, 10, 2),
    };
    let n_digits = digits
        .iter()
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    match digits.get(n_digits) {
        None if text.len() < MAX_ESCAPE_BYTES => Some(Escape::Open),
        Some(b';') if n_digits > 0 => number(digits, radix, n_digits, n_before).map(with_semicolon),
        _ => None,
    }
}

fn with_semicolon(escape: Escape) -> Escape {
    match escape {
        Escape::Whole { byte, n_bytes } => Escape::Whole {
            byte,
            n_bytes: n_bytes + 1,
        },
        other => other,
    }
}

/// Reads a number of `n_digits` after `n_before` bytes of an escape. It must fit into one byte.
fn number(digits: &[u8], radix: u32, n_digits: usize, n_before: usize) -> Option<Escape> {
    let mut value = 0_u32;
    for idx in 0..n_digits {
        let Some(&digit) = digits.get(idx) else {
            return Some(Escape::Open);
        };
        value = value.checked_mul(radix)? + char::from(digit).to_digit(radix)?;
    }
    let n_bytes = n_before + n_digits;
    u8::try_from(value)
        .ok()
        .map(|byte| Escape::Whole { byte, n_bytes })
}
