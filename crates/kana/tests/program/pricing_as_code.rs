//! Pricing as code as a team uses it: a file in a repository, reviewed, published to test and then to
//! live; and the three calls as an old client makes them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::pricing_files::on_a_terminal;
use crate::process::{Server, kana, run, text};

/// A server, and a repository beside it in which the keys stand in `.env`.
pub(crate) struct Shop {
    pub(crate) server: Server,
    pub(crate) repository: TempDir,
    /// Test, then live.
    pub(crate) keys: [String; 2],
    _data: Engine,
}

impl Shop {
    pub(crate) fn open() -> Self {
        Self::open_on(Engine::embedded())
    }

    fn open_on(engine: Engine) -> Self {
        let (server, keys) = engine.start_with_keys();
        let repository = TempDir::new().unwrap();
        let mut env = format!("# The server\nKANA_URL={}\n", server.url);
        for (name, key) in &keys {
            env += &format!("export {name}={key}\n");
        }
        std::fs::write(repository.path().join(".env"), env).unwrap();
        let key = |wanted: &str| {
            let (_, key) = keys.iter().find(|(name, _)| name == wanted).unwrap();
            key.clone()
        };
        let keys = [key("KANA_DEV_KEY"), key("KANA_LIVE_KEY")];
        Self { server, repository, keys, _data: engine }
    }

    /// A shop to whose test environment the example was published.
    pub(crate) fn with_example() -> Self {
        Self::with_example_on(Engine::embedded())
    }

    fn with_example_on(engine: Engine) -> Self {
        let shop = Self::open_on(engine);
        shop.done(&["bootstrap"]);
        std::fs::copy(shop.path("kana.example.yaml"), shop.path("kana.dev.yaml")).unwrap();
        shop.done(&["publish", "--yes"]);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.repository.path().join("kana").join(name)
    }

    pub(crate) fn file(&self) -> String {
        std::fs::read_to_string(self.path("kana.dev.yaml")).unwrap()
    }

    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        std::fs::write(self.path("kana.dev.yaml"), text).unwrap();
    }

    pub(crate) fn replace(&self, from: &str, to: &str) {
        let before = self.file();
        assert!(before.contains(from), "{from}: {before}");
        self.write(before.replacen(from, to, 1));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(self.repository.path(), arguments)
    }

    /// Runs a command that is done, and answers what it printed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(text(&output.stderr), "", "{arguments:?}: {}", text(&output.stdout));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stdout));
        text(&output.stdout).to_owned()
    }

    /// Runs a command that exits with 1, and answers what it printed.
    #[track_caller]
    pub(crate) fn failed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {all}");
        all
    }

    /// What an environment holds, as an old client pulls it.
    pub(crate) fn held(&self, key: &str) -> Value {
        let (status, body) = curl(&self.server, key, "pull", None);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn budget(&self, user: &str) -> Value {
        let query = format!(
            r#"{{ canUseFeature(userId: "{user}", featureId: "api-calls") {{
                consumption {{ budget }} }} }}"#
        );
        self.server.data(&self.keys[0], &query)["canUseFeature"]["consumption"]["budget"].clone()
    }
}

/// A call as an old client makes it, by curl: its status and its body.
fn curl(server: &Server, key: &str, call: &str, body: Option<&str>) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--write-out", "\n%{http_code}", "--header"]);
    command.arg(format!("Authorization: {key}"));
    if let Some(body) = body {
        command.args(["--header", "Content-Type: application/json", "--data-binary", body]);
    }
    let output = command.arg(format!("{}/cli/{call}", server.url)).output().unwrap();
    let (body, status) = text(&output.stdout).rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn git(in_dir: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    let output =
        Command::new("git").current_dir(in_dir).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

#[test]
fn a_team_keeps_its_prices_beside_its_code() {
    for shop in engines().map(Shop::open_on) {
        let repository = shop.repository.path();
        git(repository, &["init", "--quiet"]);
        std::fs::write(repository.join(".gitignore"), ".env\n").unwrap();

        // An example to begin from goes to test as it is.
        shop.done(&["bootstrap"]);
        std::fs::copy(shop.path("kana.example.yaml"), shop.path("kana.dev.yaml")).unwrap();
        let plan = shop.done(&["validate"]);
        assert!(plan.ends_with("7 changes to test: 0 errors, 0 warnings.\n"), "{plan}");
        assert!(shop.done(&["publish", "--yes"]).ends_with("Published to test.\n"));
        git(repository, &["add", "--all"]);
        git(repository, &["commit", "--quiet", "--message", "Keep prices beside the code"]);
        assert_eq!(shop.done(&["validate"]), "Nothing would change in test.\n");
        assert_eq!(shop.done(&["publish"]), "Nothing would change in test.\n");
        assert_eq!(shop.done(&["pull"]), "kana/kana.dev.yaml is up to date with test.\n");

        // Somebody subscribes, and a limit is changed.
        let (server, [key, live]) = (&shop.server, &shop.keys);
        server.data(key, r#"mutation { createUser(input: { id: "124" }) { id } }"#);
        server.data(key, r#"mutation { subscribe(userId: "124", packageIds: ["pro"]) { id } }"#);
        assert_eq!(shop.budget("124"), 10_000);
        shop.replace("limit: 10000", "limit: 20000");
        let plan = shop.failed(&["validate"]);
        let line = shop.file().lines().position(|line| line.contains("20000")).unwrap();
        assert_eq!(
            plan,
            format!(
                "kana/kana.dev.yaml:{line}:11: [ERROR] the package pro changes for everyone \
                 subscribed: api-calls (limit 10000 per MONTH, overage) → (limit 20000 per MONTH, \
                 overage); it has 1 active subscriber\n\
                 1 change to test: 1 error, 0 warnings.\n"
            )
        );
        let refused = shop.failed(&["publish", "--yes"]);
        assert!(refused.ends_with("--force publishes in spite of errors.\n"), "{refused}");
        assert_eq!(shop.budget("124"), 10_000);
        shop.done(&["publish", "--force", "--yes"]);
        assert_eq!(shop.budget("124"), 20_000);
        // The file is as it was written: the diff is one line.
        let diff = git(repository, &["diff", "--numstat"]);
        assert_eq!(diff, "1\t1\tkana/kana.dev.yaml\n");

        // What has proved itself goes to live.
        std::fs::copy(shop.path("kana.dev.yaml"), shop.path("kana.yaml")).unwrap();
        shop.done(&["publish", "--live", "--yes"]);
        assert_eq!(shop.held(live), shop.held(key));
        assert_eq!(shop.done(&["validate", "--live"]), "Nothing would change in live.\n");
        assert_eq!(
            git(repository, &["status", "--porcelain"]),
            " M kana/kana.dev.yaml\n?? kana/kana.yaml\n"
        );
    }
}

#[test]
fn an_old_client_pulls_validates_and_publishes() {
    for shop in engines().map(Shop::with_example_on) {
        let (server, key) = (&shop.server, &shop.keys[0]);
        let mut file = shop.held(key);
        assert_eq!(file["app"], "Acme");
        assert_eq!(curl(server, key, "validate", Some(&file.to_string())).0, 200);
        file["packages"]["published"][0]["name"] = json!("Starter");
        let (status, body) = curl(server, key, "validate", Some(&file.to_string()));
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_str(&body).unwrap();
        let line = "[WARNING] the name of the package free changes: \"Free\" → \"Starter\"";
        assert_eq!(answer["data"], json!([line]));
        let (status, body) = curl(server, key, "publish", Some(&file.to_string()));
        assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, file.clone()));
        assert_eq!(shop.held(key), file);
        file["features"][0]["type"] = json!("CONSUMABLE");
        let (status, body) = curl(server, key, "publish", Some(&file.to_string()));
        assert_eq!(status, 400);
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert!(answer["error"].as_str().unwrap().contains("features[0]"), "{answer}");
        assert_eq!(curl(server, "prv_test_nobody", "pull", None).0, 401);
    }
}

#[test]
fn features_that_draw_on_another_are_pulled_and_published() {
    let shop = Shop::open();
    let key = &shop.keys[0];
    shop.server.data(
        key,
        r#"mutation {
            a: createFeature(input: {id: "credits", type: CONSUMABLE}) { id }
            b: createFeature(input: {id: "image", type: CONSUMABLE, drawsOn: "credits", cost: 5}) { id }
            c: createPackage(input: {id: "pro", features: [{id: "image"}]}) { id }
        }"#,
    );
    shop.done(&["pull"]);
    let file = shop.file();
    assert!(file.contains("    type: CONSUMABLE\n    draws_on: credits\n    cost: 5\n"), "{file}");
    assert!(file.contains("      features:\n        - id: image\n"), "{file}");
    assert_eq!(shop.done(&["validate"]), "Nothing would change in test.\n");
    shop.replace("cost: 5", "cost: 7");
    shop.done(&["publish", "--yes"]);
    assert_eq!(shop.held(key)["features"][1]["cost"], 7);
}

#[test]
fn pull_writes_a_file_and_changes_one_where_it_stands() {
    let shop = Shop::open();
    let key = &shop.keys[0];
    assert_eq!(shop.done(&["pull"]), "kana/kana.dev.yaml was written from test.\n");
    assert_eq!(
        shop.file(),
        "version: 1.0.0\nfeatures: []\npackages:\n  draft: []\n  published: []\n\
         addons:\n  draft: []\n  published: []\n"
    );
    shop.server.data(
        key,
        r#"mutation {
            a: createFeature(input: {id: "api-calls", name: "API: calls", type: CONSUMABLE}) { id }
            b: createPackage(input: {id: "pro", features: [{id: "api-calls", entitlement:
                {limit: 5, resetPeriod: DAY}}]}) { id }
        }"#,
    );
    shop.done(&["pull"]);
    assert_eq!(
        shop.file(),
        "version: 1.0.0\nfeatures:\n  - id: api-calls\n    name: \"API: calls\"\n    \
         type: CONSUMABLE\npackages:\n  draft:\n    - id: pro\n      name: pro\n      \
         features:\n        - id: api-calls\n          limit: 5\n          reset_period: DAY\n  \
         published: []\naddons:\n  draft: []\n  published: []\n"
    );
    assert_eq!(shop.done(&["validate"]), "Nothing would change in test.\n");
    // A comment survives what is changed elsewhere, and what is added.
    shop.replace("  - id: api-calls\n", "  # ours\n  - id: api-calls # dear\n");
    shop.server.data(
        key,
        r#"mutation {
            a: updateFeature(id: "api-calls", input: {name: "Calls"}) { id }
            b: createFeature(input: {id: "sso", type: BINARY}) { id }
        }"#,
    );
    let expected = shop.file().replace("\"API: calls\"", "Calls").replace(
        "type: CONSUMABLE\n",
        "type: CONSUMABLE\n  - id: sso\n    name: sso\n    type: BINARY\n",
    );
    shop.done(&["pull"]);
    assert_eq!(shop.file(), expected);
    assert!(
        !std::fs::read_dir(shop.path(""))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(".tmp") })
    );
}

#[test]
fn a_publish_asks_unless_it_is_told_not_to() {
    let shop = Shop::with_example();
    shop.replace("name: Free", "name: Starter");
    let before = shop.held(&shop.keys[0]);
    let answered = |answer: &str| {
        let mut command = kana(shop.repository.path(), &["publish"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    for no in ["n\n", "\n", "", "yes please\n"] {
        let output = answered(no);
        assert_eq!(output.status.code(), Some(1), "{no:?}");
        assert_eq!(text(&output.stderr), "Publish kana/kana.dev.yaml to test? [y/N] ");
        assert!(text(&output.stdout).ends_with("Nothing was published.\n"));
        assert_eq!(shop.held(&shop.keys[0]), before);
    }
    let output = answered("y\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(shop.held(&shop.keys[0])["packages"]["published"][0]["name"], "Starter");
}

#[test]
fn a_program_reads_the_plan_as_json() {
    let shop = Shop::with_example();
    shop.replace("limit: 10000", "limit: 20000");
    let line = shop.file().lines().position(|line| line.contains("20000")).unwrap();
    let expected = json!({
        "file": "kana/kana.dev.yaml",
        "environment": "test",
        "changes": 1,
        "errors": 1,
        "warnings": 0,
        "findings": [{
            "severity": "error",
            "message": "the package pro changes for everyone subscribed: api-calls (limit 10000 \
                        per MONTH, overage) → (limit 20000 per MONTH, overage); it has no active \
                        subscribers",
            "refused": false,
            "place": "packages.published[1].features[1]",
            "line": line,
            "column": 11,
        }],
    });
    let output = shop.run(&["validate", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected);
    let output = shop.run(&["publish", "--json", "--force", "--yes"]);
    assert_eq!(output.status.code(), Some(0));
    let mut published = expected;
    published["published"] = json!(true);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), published);
    let pulled: Value = serde_json::from_str(&shop.done(&["pull", "--json"])).unwrap();
    assert_eq!(
        pulled,
        json!({ "file": "kana/kana.dev.yaml", "environment": "test", "written": false })
    );
}

#[test]
fn a_feature_that_is_kept_comes_back_into_the_file_when_something_is_published() {
    let shop = Shop::with_example();
    let key = &shop.keys[0];
    shop.server
        .data(key, r#"mutation { createFeature(input: {id: "old", type: CONSUMABLE}) { id } }"#);
    shop.server.data(key, r#"mutation { createUser(input: { id: "124" }) { id } }"#);
    shop.server.data(
        key,
        r#"mutation { recordUsage(input: {userId: "124", featureId: "old"}) { recorded } }"#,
    );
    let kept = "[WARNING] the feature old is not in the file and is kept: it has usage, or was given to users";
    let plan = shop.done(&["publish"]);
    assert!(plan.contains(kept) && plan.ends_with("Nothing would change in test.\n"), "{plan}");
    shop.replace("name: Free", "name: Starter");
    let expected = shop.file().replacen(
        "    name: Seats\n    type: CONSUMABLE\n",
        "    name: Seats\n    type: CONSUMABLE\n  - id: old\n    name: old\n    type: CONSUMABLE\n",
        1,
    );
    shop.done(&["publish", "--yes"]);
    assert_eq!(shop.file(), expected);
}

#[test]
fn the_page_shows_a_file_that_publishes_and_the_plan_as_it_is() {
    let page = include_str!("../../../../docs/pricing-as-code.md");
    let fenced = |start: &str| {
        let after = page.split(start).nth(1).unwrap();
        after.split_once("```").unwrap().0
    };
    let shop = Shop::open();
    std::fs::create_dir(shop.path("")).unwrap();
    shop.write(fenced("```yaml\n"));
    shop.done(&["publish", "--yes"]);
    let (server, key) = (&shop.server, &shop.keys[0]);
    for user in ["1", "2", "3"] {
        let create = format!(r#"mutation {{ createUser(input: {{ id: "{user}" }}) {{ id }} }}"#);
        server.data(key, &create);
        let subscribe =
            format!(r#"mutation {{ subscribe(userId: "{user}", packageIds: ["pro"]) {{ id }} }}"#);
        server.data(key, &subscribe);
    }
    shop.replace("limit: 1000", "limit: 2000");
    let plan: Value = serde_json::from_str(&shop.failed(&["validate", "--json"])).unwrap();
    let shown: Value = serde_json::from_str(fenced("```json\n")).unwrap();
    assert_eq!(plan, shown);
    shop.replace("reset_period: MONTH", "reset_period: DAY");
    shop.replace("name: Dashboard", "name: The dashboard");
    shop.replace(
        "    unit_label_plural: API calls\n",
        "    unit_label_plural: API calls\n  - { id: seats, name: Seats, type: CONSUMABLE }\n",
    );
    shop.replace("        - id: dashboard\n", "        - { id: seats, limit: 5 }\n");
    let terminal = on_a_terminal(&shop, 100, &[("NO_COLOR", "1")]);
    let shown = fenced("```text\n");
    assert_eq!(terminal.replace(&server.url, "http://127.0.0.1:4000"), shown);
}

#[test]
fn usage_is_counted_again_under_the_file_before_it_is_published() {
    for engine in engines() {
        let shop = Shop::with_example_on(engine);
        let usage = r#"mutation {
            createUser(input: { id: "ada" }) { id }
            subscribe(userId: "ada", packageIds: ["free"]) { id }
            recordUsage(input: { userId: "ada", featureId: "api-calls", delta: 60 }) { recorded }
            more: recordUsage(input: { userId: "ada", featureId: "api-calls", delta: 30 }) { recorded }
        }"#;
        shop.server.data(&shop.keys[0], usage);
        shop.replace("limit: 100\n", "limit: 70\n");
        let tomorrow = kana_core::Timestamp::from_ms(now_ms() + 86_400_000).to_string();
        let yesterday = kana_core::Timestamp::from_ms(now_ms() - 86_400_000).to_string();
        let asked = ["simulate", "--from", &yesterday, "--to", &tomorrow];
        let shown = shop.done(&asked);
        assert!(shown.starts_with("2 events of test, "), "{shown}");
        let row = shown.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(row, ["free", "api-calls", "1", "1", "60", "30", "0"]);
        let json: Value =
            serde_json::from_str(&shop.done(&[&asked[..], &["--json"]].concat())).unwrap();
        assert_eq!((&json["events"], &json["rows"][0]["refused"]), (&json!(2), &json!(30)));
        assert_eq!(shop.budget("ada"), json!(100), "nothing was published");

        shop.write("version: 1.0.0\nfeatures: 7\n");
        let failed = shop.failed(&asked);
        assert!(failed.contains("kana.dev.yaml:2:1"), "{failed}");
        let wrong = shop.run(&["simulate", "--from", "now", "--to", "2026-01-01"]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(text(&wrong.stderr).contains("must be like 2026-11-01"), "{}", text(&wrong.stderr));
    }
}

fn now_ms() -> i64 {
    kana_service::Clock::now(&kana_service::SystemClock).as_ms()
}
