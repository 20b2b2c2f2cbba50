//! Secrets that stand in files of their own: `--database-url-file` for `--database-url`.

use std::io::Read as _;
use std::path::Path;

/// How a setting is called that names a file with another setting's value.
const SUFFIX: &str = "_file";
/// The maximum size of such a file, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// Returns the setting whose value stands in the file that the setting `id` names.
pub(super) fn secret_of(id: &str) -> Option<&str> {
    id.strip_suffix(SUFFIX)
}

/// Reads a secret of one line, without the line end that follows it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > BYTES_MAX => Err("it has more than 64 KiB".to_owned()),
        Ok(_) => {
            let secret = text.strip_suffix('\n').unwrap_or(&text);
            let secret = secret.strip_suffix('\r').unwrap_or(secret);
            if secret.is_empty() {
                Err("it is empty".to_owned())
            } else if secret.contains(['\n', '\r']) {
                Err("it has more than one line".to_owned())
            } else {
                Ok(secret.to_owned())
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err("it is not UTF-8".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (text, secret) in [
            ("a b", Ok("a b")),
            ("a\n", Ok("a")),
            ("a\r\n", Ok("a")),
            ("a\n\n", Err("it has more than one line")),
            ("a\nb\n", Err("it has more than one line")),
            ("a\rb", Err("it has more than one line")),
            ("", Err("it is empty")),
            ("\n", Err("it is empty")),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path), secret.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read(&path), Err("it is not UTF-8".to_owned()));
        std::fs::write(&path, "a".repeat(64 * 1024 + 1)).unwrap();
        assert_eq!(read(&path), Err("it has more than 64 KiB".to_owned()));
        assert!(read(directory.path()).is_err());
        assert!(read(&directory.path().join("absent")).unwrap_err().contains("No such file"));
    }
}
