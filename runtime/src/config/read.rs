//! A configuration's text: a file of reasonable size that is text.

use super::{Wrong, at, missing};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// More is no configuration.
const LONGEST: u64 = 1 << 20;

/// Reads the whole file.
///
/// # Errors
/// It cannot be read, or is no text: what was found, and what to do.
pub(super) fn text(path: &Path) -> Result<String, Wrong> {
    let bytes = bytes(path).map_err(|e| {
        missing(format!(
            "the configuration cannot be read: {e}{}",
            match e.kind() {
                ErrorKind::NotFound =>
                    "; correct the path, or have `yoke init` write the files of a new cluster",
                ErrorKind::IsADirectory => "; name the file in it",
                ErrorKind::PermissionDenied =>
                    "; give the account that runs yoke the right to read it",
                _ => "",
            }
        ))
    })?;
    of(&bytes)
}

/// The text that a file's bytes are.
///
/// # Errors
/// They are too many, or no text: what was found, and what to do.
pub(super) fn of(bytes: &[u8]) -> Result<String, Wrong> {
    if bytes.len() as u64 > LONGEST {
        return Err(missing(format!(
            "this is no configuration: it is longer than {} KiB",
            LONGEST >> 10
        )));
    }
    let line_of = |end: usize| 1 + bytes[..end].iter().filter(|b| **b == b'\n').count();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let place = e.valid_up_to();
            return Err(at(
                line_of(place),
                format!(
                    "byte 0x{:02x} is no UTF-8: expected a text file; save it as UTF-8",
                    bytes[place]
                ),
            ));
        }
    };
    let odd = text.char_indices().find(|(place, c)| match c {
        '\t' | '\n' => false,
        '\r' => bytes.get(place + 1) != Some(&b'\n'),
        c => c.is_control(),
    });
    match odd {
        Some((place, c)) => Err(at(
            line_of(place),
            format!(
                "the control character {} stands here: expected a text file with lines that end in a line feed",
                c.escape_default()
            ),
        )),
        None => Ok(text.to_owned()),
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, (Option<usize>, String)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        text(file.path()).map_err(|wrong| (wrong.line, wrong.what))
    }

    #[test]
    fn text_is_told_from_garbage() {
        assert_eq!(read(b"[a]\r\n\tb=\xc3\xbc\n").unwrap(), "[a]\r\n\tb=ü\n");
        let cases: [(&[u8], _, _); 4] = [
            (b"[a]\n\x7fELF\x02\x00\n", Some(2), "\\u{7f}"),
            (b"[a]\n\xff\xfe\n", Some(2), "byte 0xff is no UTF-8"),
            (b"[a]\rb=1\r", Some(1), "\\r"),
            (&[b'a'; (1 << 20) + 1], None, "longer than 1024 KiB"),
        ];
        for (bytes, line, why) in cases {
            let (found, said) = read(bytes).unwrap_err();
            assert_eq!(found, line, "{said}");
            assert!(said.contains(why), "{said}");
        }
        let endless = text(Path::new("/dev/zero")).unwrap_err();
        assert!(endless.what.contains("longer than"), "{}", endless.what);
    }
}
