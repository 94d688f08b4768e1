//! The body of a form with a file: `multipart/form-data` (RFC 7578).

use bytes::Bytes;

/// A form, encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EncodedForm {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// A file of a form.
pub(super) struct FormFile<'a> {
    pub(super) field: &'a str,
    pub(super) name: &'a str,
    pub(super) media_type: &'a str,
    pub(super) bytes: &'a [u8],
}

/// Encodes a form: its fields, then its file.
///
/// The fields come first, so that a server that reads the body as it comes knows what to do with the file.
pub(super) fn encode(fields: &[(&str, String)], file: &FormFile<'_>) -> EncodedForm {
    let boundary = boundary(fields, file);
    let mut body = Vec::with_capacity(file.bytes.len() + 1024);
    for (name, value) in fields {
        part(&mut body, &boundary, name);
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    part(&mut body, &boundary, file.field);
    let head = format!(
        "; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
        quoted(file.name),
        file.media_type
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    EncodedForm {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        body: body.into(),
    }
}

fn part(body: &mut Vec<u8>, boundary: &str, name: &str) {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
        quoted(name)
    );
    body.extend_from_slice(head.as_bytes());
}

/// What would end the quotes or the line, as browsers write it (the HTML standard, multipart/form-data).
fn quoted(text: &str) -> String {
    text.replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace('"', "%22")
}

/// Finds a boundary that stands nowhere in the content: content that was made to hold one cannot add a field.
fn boundary(fields: &[(&str, String)], file: &FormFile<'_>) -> String {
    let mut number = 0_u64;
    loop {
        let boundary = format!("openai-agents-form-{number:016x}");
        let stands_in = |bytes: &[u8]| memchr::memmem::find(bytes, boundary.as_bytes()).is_some();
        let is_free = !stands_in(file.bytes)
            && !stands_in(file.name.as_bytes())
            && !fields
                .iter()
                .any(|(name, value)| stands_in(name.as_bytes()) || stands_in(value.as_bytes()));
        if is_free {
            return boundary;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file<'a>(name: &'a str, bytes: &'a [u8]) -> FormFile<'a> {
        FormFile {
            field: "file",
            name,
            media_type: "audio/wav",
            bytes,
        }
    }

    #[test]
    fn form_has_the_bytes_of_the_standard() {
        let fields = [("model", "whisper-1".to_owned())];
        let form = encode(&fields, &file("a \"b\"\r\n.wav", b"RIFF"));
        let expect = "--openai-agents-form-0000000000000000\r\n\
            Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --openai-agents-form-0000000000000000\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"a %22b%22%0D%0A.wav\"\r\n\
            Content-Type: audio/wav\r\n\r\nRIFF\r\n\
            --openai-agents-form-0000000000000000--\r\n";
        assert_eq!(form.body, expect);
        assert_eq!(
            form.content_type,
            "multipart/form-data; boundary=openai-agents-form-0000000000000000"
        );
    }

    #[test]
    fn boundary_stands_nowhere_in_the_content() {
        let first = b"--openai-agents-form-0000000000000000";
        let second = "x openai-agents-form-0000000000000001".to_owned();
        let form = encode(&[("prompt", second)], &file("a.wav", first));
        assert_eq!(
            form.content_type,
            "multipart/form-data; boundary=openai-agents-form-0000000000000002"
        );
    }
}
