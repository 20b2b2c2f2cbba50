//! Files of pricing as code, read, written and edited.
//!
//! The input is a file and, after a line `# ---`, another that it is edited to say.
#![no_main]
// The modules have more than what is called here.
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (before, wanted) = input.split_once("\n# ---\n").unwrap_or((input, ""));
    pricing::run(before, wanted);
});

/// The modules of the program, which has no library that would export them.
#[path = "../../crates/kana/src/commands/pricing"]
mod pricing {
    mod edit;
    mod failure;
    mod file;
    mod scalars;
    mod writing;
    mod yaml;

    use file::{File, Said, said};

    pub fn run(before: &str, wanted: &str) {
        let before = File { text: before.to_owned(), read: said(before) };
        match &before.read {
            Err(wrong) => {
                assert!(!wrong.is_empty());
                let lines = before.text.split(['\n', '\r']).count();
                for wrong in wrong {
                    assert!((1..=lines + 1).contains(&wrong.position.line));
                    assert!(wrong.position.column >= 1);
                }
            }
            Ok(read) => says_the_same(&writing::write(&read.configuration.to_json("app")), read),
        }
        let Ok(wanted) = said(wanted) else { return };
        let value = wanted.configuration.to_json("app");
        if let Some(text) = edit::edited(&before, &value, &wanted.configuration) {
            says_the_same(&text, &wanted);
            // What says it already is left as it is.
            let file = File { read: said(&text), text };
            let again = edit::edited(&file, &value, &wanted.configuration);
            assert_eq!(again.as_ref(), Some(&file.text));
        }
    }

    fn says_the_same(text: &str, as_before: &Said) {
        let Ok(now) = said(text) else { panic!("cannot be read:\n{text}") };
        assert!(now.configuration.says_the_same_as(&as_before.configuration), "says else:\n{text}");
    }
}
