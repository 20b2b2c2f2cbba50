//! No two files of a crate import each other, directly or around a circle. A file of a circle can
//! neither be understood nor changed alone.
#![allow(clippy::unwrap_used, reason = "whatever fails here fails its test")]

use std::path::Path;

use kana_test_source::{circles, imports};

/// The crates that have no circle, by their roots.
const CRATES: [&str; 11] = [
    "bench/src/main.rs",
    "crates/kana-api/src/lib.rs",
    "crates/kana-core/src/lib.rs",
    "crates/kana-dashboard/src/lib.rs",
    "crates/kana-graphql/src/lib.rs",
    "crates/kana-http/src/lib.rs",
    "crates/kana-service/src/lib.rs",
    "crates/kana-store/src/lib.rs",
    "crates/kana-test-source/src/lib.rs",
    "crates/kana-test-stripe/src/lib.rs",
    "crates/kana/src/main.rs",
];

#[test]
fn no_files_of_a_crate_import_each_other() {
    // Cargo runs tests in the directory of their package.
    let workspace = Path::new("../..");
    for root in CRATES {
        let imports = imports(&workspace.join(root)).unwrap();
        assert!(imports.len() > 3, "no imports were found in {root}");
        let circles = circles(&imports);
        assert!(circles.is_empty(), "files that import each other:\n\n{}", circles.join("\n"));
    }
}

/// Returns how many imports each circle of a crate with these files has.
fn imports_of_circles(files: &[(&str, &str)]) -> Vec<usize> {
    let directory = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let file = directory.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, source).unwrap();
    }
    let circles = circles(&imports(&directory.path().join("lib.rs")).unwrap());
    circles.iter().map(|circle| circle.lines().count()).collect()
}

#[test]
fn a_circle_is_found_however_it_is_imported() {
    let lib = ("lib.rs", "mod a; mod b;");
    let b = ("b.rs", "pub(crate) struct B; fn f(a: crate::a::A) {}");
    for a in [
        "use crate::b::B;",
        "use super::b;",
        "use crate::{b::{self}};",
        "use super::{b::B as C,};",
        "use crate::b::*;",
        "fn f() { loop { g(&[crate::b::B]) } }",
        "fn f() -> Vec<super::b::B> {}",
        "mod tests { use super::super::b::B; }",
        "macro_rules! b { () => { $crate::b::B } }",
        "fn f<'a>() -> impl X + use<'a> {} use crate::b::B;",
    ] {
        assert_eq!(imports_of_circles(&[lib, ("a.rs", a), b]), [2], "{a}");
    }
    for a in [
        "",
        "//! See [`crate::b`].\n/// `use crate::b::B;`\nstruct A; // use crate::b::B;",
        "const A: &str = \"use crate::b::B;\";",
        "use b::B; use other::b::B;",
        "fn b() {} fn f() { b(); Self::b(); <A as other::b>::b() }",
        "fn f<'a>() -> impl X + use<'a> {}",
        "mod tests { use super::*; }",
    ] {
        assert_eq!(imports_of_circles(&[lib, ("a.rs", a), b]), [0; 0], "{a}");
    }
}

#[test]
fn a_name_that_a_module_hands_on_from_its_children_counts_where_it_is_defined() {
    let face = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B; pub use other::C;");
    let a = ("a.rs", "use crate::B;");
    assert_eq!(imports_of_circles(&[face, a, ("b.rs", "")]), [0; 0]);
    assert_eq!(imports_of_circles(&[face, a, ("b.rs", "use crate::A;")]), [2]);
    // Neither what the module defines itself nor what it has from elsewhere is its children's.
    for lib in ["mod a; use a::A; struct C;", "mod a; use a::A; use other::C;"] {
        assert_eq!(imports_of_circles(&[("lib.rs", lib), ("a.rs", "use crate::C;")]), [2]);
    }
    // Nor is b a child of a.
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    let (a, c) = (("a.rs", "pub use crate::b::B;"), ("c.rs", "use crate::a::B;"));
    assert_eq!(imports_of_circles(&[lib, a, ("b.rs", ""), c]), [0; 0]);
    assert_eq!(imports_of_circles(&[lib, a, ("b.rs", "use crate::c::C;"), c]), [3]);
}

#[test]
fn a_circle_is_found_around_folders_and_by_itself() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a/mod.rs", "mod inner;"),
        ("a/inner.rs", "use crate::b::below::B;"),
        ("b.rs", "pub(crate) mod below;"),
        ("b/below.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::inner::I; use crate::d::D;"),
        ("d.rs", ""),
    ];
    // d is imported by the circle and is none of it.
    assert_eq!(imports_of_circles(&files), [3]);
}
