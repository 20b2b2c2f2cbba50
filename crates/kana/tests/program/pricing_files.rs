//! Files that are wrong, and commands that are called wrongly: a clear error with the place, and
//! nothing has changed, neither on the server nor in the file.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::pricing_as_code::Shop;
use crate::process::{kana, run, text};

/// Sees that neither command does anything about the file but say why, and answers what it says.
#[track_caller]
fn refused(shop: &Shop, file: impl AsRef<[u8]>) -> String {
    let held = shop.held(&shop.keys[0]);
    shop.write(&file);
    let said = shop.failed(&["validate"]);
    assert_eq!(shop.failed(&["publish", "--force", "--yes"]), said);
    assert_eq!(std::fs::read(shop.path("kana.dev.yaml")).unwrap(), file.as_ref());
    assert_eq!(shop.held(&shop.keys[0]), held);
    said
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_line_and_column() {
    let shop = Shop::with_example();
    let good = shop.file();
    let place_of = |from: &str| {
        let before = &good[..good.find(from).unwrap()];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        (line, column)
    };
    for (from, to, said) in [
        ("name: Free", "name: 7", "must be text; it is 7: put it into quotes"),
        ("name: Free", "naem: Free", "is an unknown key: a package has id, name, features"),
        (
            "id: seats\n    name",
            "id: dashboard\n    name",
            "is \"dashboard\", which is the id of a feature already, at features[0]",
        ),
        ("id: free", "id: pro", "is \"pro\", which is the id of a package already"),
        (
            "id: seats\n          limit: 1\n",
            "id: sso\n          limit: 1\n",
            "names the feature \"sso\", which is not in the list features",
        ),
        ("limit: 100\n", "limit: lots\n", "or null for unlimited; it is \"lots\""),
        ("reset_period: MONTH # or", "reset_period: WEEKLY # or", "it is \"WEEKLY\""),
        ("base_packages: [pro]", "base_packages: pro", "must be a list; it is \"pro\""),
        (
            "version: 1.0.0",
            "version: 2.0.0",
            "must be 1.0.0, the format of this release; it is \"2.0.0\"",
        ),
    ] {
        let (line, column) = place_of(from);
        let output = refused(&shop, good.replacen(from, to, 1));
        let is_there = output.lines().any(|found| {
            let is_place = found
                .starts_with(&format!("kana/kana.dev.yaml:{line}:{column}: [ERROR] "))
                || to == "id: pro";
            is_place && found.contains(said)
        });
        assert!(is_there, "{line}:{column} {to}: {output}");
    }
}

#[test]
fn what_the_environment_forbids_is_told_with_its_place_too() {
    let shop = Shop::with_example();
    let file = shop.file();
    let (before, after) = file.split_once("  published:\n").unwrap();
    let file = format!("{before}{after}").replacen("addons:", "  published: []\naddons:", 1);
    let output = refused(&shop, &file);
    let line = file.lines().position(|line| line.contains("id: free")).unwrap() + 1;
    let said = format!(
        "kana/kana.dev.yaml:{line}:7: [ERROR] packages.draft[1]: the package free is PUBLISHED"
    );
    assert!(output.contains(&said), "{said}\n{output}");
    assert!(output.contains("Cannot be published: 2 errors.\n"), "{output}");
    let output = refused(&shop, shop.file().replacen("type: BINARY", "type: CONSUMABLE", 1));
    assert!(output.contains("[ERROR]"), "{output}");
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let shop = Shop::with_example();
    for (file, said) in [
        ("features: [\n", "kana/kana.dev.yaml:2:1: [ERROR] "),
        (
            "features: []\npackages: {}\nfeatures: []\n",
            "kana.dev.yaml:3:1: [ERROR] the key \"features\" is here twice",
        ),
        ("", "kana.dev.yaml:1:1: [ERROR] the file is empty"),
        ("# nothing\n", "[ERROR] the file is empty"),
        ("just text\n", "kana.dev.yaml:1:1: [ERROR] the file: must be a configuration"),
        ("--- {}\n--- {}\n", "kana.dev.yaml:2:1: [ERROR] a second document begins here"),
        ("features: *nope\n", "kana.dev.yaml:1:11: [ERROR] "),
        ("features: &a [*a]\n", "an alias cannot stand within what it repeats"),
        ("features: 'x\n", "[ERROR] "),
        ("\u{0}", "[ERROR] "),
    ] {
        let output = refused(&shop, file);
        assert!(output.contains(said), "{file}: {output}");
        assert!(!output.contains("panicked"), "{output}");
    }
    let not_text = refused(&shop, b"a: 1\nname: \xff\xfe");
    assert!(not_text.contains("kana/kana.dev.yaml is not valid UTF-8: see line 2"), "{not_text}");
}

#[test]
fn aliases_that_expand_without_end_are_refused() {
    let shop = Shop::with_example();
    let mut laughs =
        "features: []\npackages: {}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert!(refused(&shop, &laughs).contains("aliases repeat more than 1000000 values"));
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let shop = Shop::with_example();
    let said = "kana/kana.dev.yaml is larger than 8 MiB: nothing was done";
    assert!(refused(&shop, vec![b' '; 100 * 1024 * 1024]).contains(said));
    assert!(refused(&shop, "[".repeat(1_000_000)).contains("[ERROR] "));
    assert!(refused(&shop, "- ".repeat(1_000_000)).contains("[ERROR] "));
}

#[test]
fn aliases_can_share_what_packages_have_in_common() {
    let shop = Shop::with_example();
    shop.replace("      features:\n        - id: dashboard\n        - id: api-calls\n          limit: null # unlimited\n",
        "      features: &all\n        - id: dashboard\n        - id: api-calls\n          limit: null # unlimited\n");
    shop.replace("addons:", "    - id: same\n      name: Same\n      features: *all\naddons:");
    let file = shop.file();
    shop.done(&["publish", "--yes"]);
    assert_eq!(shop.file(), file, "nothing of it is written anew");
    let held = shop.held(&shop.keys[0]);
    assert_eq!(
        held["packages"]["published"][2]["features"],
        held["packages"]["draft"][0]["features"]
    );
}

#[test]
fn a_missing_key_or_a_wrong_call_exits_with_2() {
    let shop = Shop::with_example();
    let bare = TempDir::new().unwrap();
    let file = |directory: &std::path::Path| {
        std::fs::create_dir_all(directory.join("kana")).unwrap();
        std::fs::copy(shop.path("kana.dev.yaml"), directory.join("kana/kana.dev.yaml")).unwrap();
    };
    file(bare.path());
    for command in ["pull", "validate", "publish"] {
        for (arguments, named) in [
            (vec![command], "KANA_DEV_KEY is not set"),
            (vec![command, "--live"], "KANA_LIVE_KEY is not set"),
            (vec![command, "--colour"], "--colour"),
        ] {
            let output = run(bare.path(), &arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
        }
        let mut swapped = kana(bare.path(), &[command, "--live"]);
        let output = swapped.env("KANA_LIVE_KEY", &shop.keys[0]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("a key of the other environment, test"));
        let mut nowhere = kana(bare.path(), &[command]);
        nowhere.env("KANA_DEV_KEY", &shop.keys[0]).env("KANA_URL", "nowhere");
        let output = nowhere.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("KANA_URL must be an address"));
    }
}

#[test]
fn a_server_that_is_not_there_or_is_another_is_told() {
    let shop = Shop::with_example();
    // Variables count more than the file .env.
    let failed = |variables: &[(&str, &str)]| {
        let mut command = kana(shop.repository.path(), &["validate"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert_eq!(text(&output.stdout), "");
        text(&output.stderr).to_owned()
    };
    let said = failed(&[("KANA_URL", "http://127.0.0.1:1")]);
    assert!(said.contains("no answer from the server at http://127.0.0.1:1/cli"), "{said}");
    let elsewhere = format!("{}/nowhere", shop.server.url);
    let said = failed(&[("KANA_DEV_URL", &elsewhere)]);
    assert!(said.contains("status 404") && said.contains("KANA_URL"), "{said}");
    let unknown = format!("prv_test_{}", "x".repeat(40));
    let said = failed(&[("KANA_DEV_KEY", &unknown)]);
    assert!(said.contains("does not accept the key in KANA_DEV_KEY"), "{said}");
    assert!(!said.contains(&unknown), "{said}");
    let https = shop.server.url.replace("http://", "https://");
    let said = failed(&[("KANA_URL", &https)]);
    assert!(said.contains("no answer from the server at https://"), "{said}");
    // The address of the calls, as an existing client has it.
    let mut command = kana(shop.repository.path(), &["validate"]);
    command
        .env("KANA_DEV_URL", format!("{}/cli", shop.server.url))
        .env("KANA_URL", "http://127.0.0.1:1");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn a_missing_file_is_told_and_an_example_is_not_overwritten() {
    let shop = Shop::open();
    for command in ["validate", "publish"] {
        let said = shop.failed(&[command]);
        assert!(said.contains("there is no file kana/kana.dev.yaml"), "{said}");
    }
    shop.done(&["bootstrap"]);
    shop.done(&["bootstrap"]);
    std::fs::write(shop.path("kana.example.yaml"), "mine").unwrap();
    assert!(shop.failed(&["bootstrap"]).contains("kana/kana.example.yaml exists and was edited"));
    assert_eq!(std::fs::read_to_string(shop.path("kana.example.yaml")).unwrap(), "mine");
    shop.done(&["bootstrap", "--force"]);
    let json: Value = serde_json::from_str(&shop.done(&["bootstrap", "--json"])).unwrap();
    assert_eq!(json["written"], false);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_told_and_stays() {
    use std::os::unix::fs::PermissionsExt as _;

    let shop = Shop::with_example();
    let mode = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(shop.path("kana.dev.yaml"), permissions).unwrap();
    };
    mode(0o640);
    shop.server.data(
        &shop.keys[0],
        r#"mutation { createFeature(input: {id: "x", type: BINARY}) { id } }"#,
    );
    shop.done(&["pull"]);
    let permissions = std::fs::metadata(shop.path("kana.dev.yaml")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o640, "its mode stays");
    // A directory where the file should be.
    std::fs::remove_file(shop.path("kana.dev.yaml")).unwrap();
    std::fs::create_dir(shop.path("kana.dev.yaml")).unwrap();
    let said = shop.failed(&["pull"]);
    assert!(
        said.contains("cannot write kana/kana.dev.yaml")
            || said.contains("cannot read kana/kana.dev.yaml"),
        "{said}"
    );
}

#[test]
fn a_file_that_changes_while_the_question_stands_is_left_as_it_is() {
    let shop = Shop::with_example();
    let key = &shop.keys[0];
    // What is used is kept, and would come back into the file.
    shop.server.data(
        key,
        r#"mutation {
            old: createFeature(input: {id: "old", type: CONSUMABLE}) { id }
            user: createUser(input: {id: "124"}) { id }
            use: recordUsage(input: {userId: "124", featureId: "old"}) { recorded }
        }"#,
    );
    shop.replace("name: Free", "name: Starter");
    let mut command = kana(shop.repository.path(), &["publish"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let question = "Publish kana/kana.dev.yaml to test? [y/N] ";
    let mut asked = vec![0; question.len()];
    child.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
    assert_eq!(text(&asked), question);
    shop.replace("name: Pro", "name: Professional");
    let mine = shop.file();
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("published, but kana/kana.dev.yaml has changed meanwhile"), "{said}");
    assert_eq!(shop.file(), mine);
    let names = |list: &Value| list[0]["name"].clone();
    assert_eq!(names(&shop.held(key)["packages"]["published"]), "Starter");
}

#[test]
fn an_environment_that_changes_while_the_question_stands_is_left_as_it_is() {
    let shop = Shop::with_example();
    let key = &shop.keys[0];
    shop.replace("name: Free", "name: Starter");
    let mine = shop.file();
    let mut command = kana(shop.repository.path(), &["publish"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut asked = [0];
    child.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
    shop.server.data(key, r#"mutation { createFeature(input: {id: "new", type: BINARY}) { id } }"#);
    let held = shop.held(key);
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("have changed since the plan was made"), "{said}");
    assert_eq!((shop.held(key), shop.file()), (held, mine));
}

/// Runs `kana validate` on a terminal with so many columns, and answers what it shows.
pub(crate) fn on_a_terminal(shop: &Shop, columns: u16, variables: &[(&str, &str)]) -> String {
    let program = kana(shop.repository.path(), &["validate"]);
    let path = program.get_program().to_string_lossy();
    let line = format!("stty cols {columns} && exec {path} validate");
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.current_dir(shop.repository.path()).stdin(Stdio::null());
    script.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
    let output = script.output().expect("util-linux has it");
    text(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn colours_are_for_terminals_only() {
    let shop = Shop::with_example();
    shop.replace("limit: 100\n", "limit: 200\n");
    assert!(!shop.failed(&["validate"]).contains('\u{1b}'));
    let shown = on_a_terminal(&shop, 80, &[]);
    assert!(shown.contains("\u{1b}[1;31m[ERROR]"), "{shown}");
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&shop, 80, &[variables]);
        assert!(!shown.contains('\u{1b}') && shown.contains("[ERROR]"), "{shown}");
    }
}

#[test]
fn a_terminal_shows_the_plan_as_a_diff_that_fits_it() {
    let shop = Shop::with_example();
    shop.replace("limit: 100\n", "limit: 200\n");
    shop.replace("name: Pro", "name: Professional");
    let plan = |end: &str| {
        format!(
            "kana/kana.dev.yaml → test  {}\n\nPackages\n  ~ free  [ERROR] no active subscribers\n      \
             ~ api-calls  limit 100 per MONTH → limit 200 per MONTH\n  ~ pro   [WARNING] name \"Pro\" \
             → \"Professional\"\n\n2 changes to test: 2 changed, 1 error (needs --force), 1 {end}\n",
            shop.server.url
        )
    };
    assert_eq!(on_a_terminal(&shop, 80, &[("NO_COLOR", "1")]), plan("warning."));
    let narrow = on_a_terminal(&shop, 45, &[("NO_COLOR", "1")]);
    assert!(narrow.lines().all(|line| line.chars().count() <= 45), "{narrow}");
    assert_eq!(
        narrow.split_whitespace().collect::<Vec<_>>(),
        plan("warning.").split_whitespace().collect::<Vec<_>>()
    );
    // What is wrong with the file itself is shown with its line.
    shop.replace("limit: 200\n", "limit: lots\n");
    let shown = on_a_terminal(&shop, 120, &[("NO_COLOR", "1")]);
    assert!(shown.contains("\n    39 │           limit: lots\n"), "{shown}");
    assert!(shown.ends_with("\nCannot be published: 1 error.\n"), "{shown}");
}
