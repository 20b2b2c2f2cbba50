//! `kana admins`, and the link of the first start.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::process::{Server, kana, run, text};

const PASSWORD: &str = "correct horse battery";

/// Runs the program with a password on standard input.
fn run_with_password(in_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = kana(in_dir, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // One that refuses its arguments ends without reading.
    let _ = writeln!(input, "{PASSWORD}");
    drop(input);
    child.wait_with_output().unwrap()
}

fn listed(in_dir: &Path) -> Vec<Vec<String>> {
    let list = run(in_dir, &["admins", "list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    let lines = text(&list.stdout).lines().skip(1);
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn assert_is_link(line: &str, base: &str) {
    let token = line.strip_prefix(&format!("{base}/dashboard/welcome?token="));
    let token = token.unwrap_or_else(|| panic!("{line} is no link of {base}"));
    assert_eq!(token.len(), 40);
    assert!(token.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
}

/// The link that the first start printed.
fn first_link(out: &str) -> &str {
    let last = out.lines().last().unwrap();
    last.strip_prefix("# Dashboard: ").unwrap_or_else(|| panic!("{last}"))
}

#[test]
fn the_first_start_prints_a_link_as_the_settings_say() {
    let dir = || TempDir::new().unwrap();
    let init = run(dir().path(), &["init"]);
    assert_is_link(first_link(text(&init.stdout)), "http://127.0.0.1:4000");
    let init = run(dir().path(), &["init", "--listen", ":8080"]);
    assert_is_link(first_link(text(&init.stdout)), "http://localhost:8080");
    let public = ["init", "--public-url", "https://Kana.example.com/"];
    let init = run(dir().path(), &public);
    assert_is_link(first_link(text(&init.stdout)), "https://kana.example.com");

    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let init = run(dir().path(), &[&["init"], &tls[..]].concat());
    assert_is_link(first_link(text(&init.stdout)), "https://127.0.0.1:4000");
    let by_variables = kana(dir().path(), &["init", "--public-url", "http://kana.example.com"])
        .envs([("KANA_TLS_CERT", "cert.pem"), ("KANA_TLS_KEY", "key.pem")])
        .output()
        .unwrap();
    assert_is_link(first_link(text(&by_variables.stdout)), "http://kana.example.com");

    for without in [&["init", "--no-dashboard"][..], &["init", "--no-dashboard=true"]] {
        let init = run(dir().path(), without);
        assert_eq!(text(&init.stdout).lines().count(), 4, "{}", text(&init.stdout));
    }
    let directory = dir();
    std::fs::write(directory.path().join("kana.toml"), "no_dashboard = true\n").unwrap();
    let init = run(directory.path(), &["init"]);
    assert_eq!(text(&init.stdout).lines().count(), 4, "{}", text(&init.stdout));
    let directory = dir();
    let mut init = kana(directory.path(), &["init"]);
    let init = init.env("KANA_NO_DASHBOARD", "1").output().unwrap();
    assert_eq!(text(&init.stdout).lines().count(), 4, "{}", text(&init.stdout));
}

#[test]
fn a_public_url_that_is_none_is_wrong_use() {
    let dir = TempDir::new().unwrap();
    for bad in ["kana.example.com", "ftp://kana.example.com", "https://kana.example.com/path"] {
        for command in [&["init"][..], &["serve"], &["admins", "list"]] {
            let output = run(dir.path(), &[command, &["--public-url", bad]].concat());
            assert_eq!(output.status.code(), Some(2), "{bad}");
            assert!(text(&output.stderr).contains("--public-url"), "{}", text(&output.stderr));
        }
    }
    assert!(!dir.path().join("kana-data").exists());
}

#[test]
fn the_first_servers_link_names_its_port_and_leads_in() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    let out = server.first_lines(5);
    let link = first_link(&out);
    assert_is_link(link, &server.url);
    let page = ureq::get(link).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("Welcome to Kana"), "{page}");
    let token = link.rsplit('=').next().unwrap();
    assert!(!server.log().contains(token));
}

#[test]
fn without_a_dashboard_its_paths_are_not_found() {
    let dir = TempDir::new().unwrap();
    let mut command = Server::command(dir.path());
    let server = Server::start_with(command.arg("--no-dashboard"));
    for path in ["/dashboard", "/dashboard/sign-in", "/dashboard/welcome?token=a", "/"] {
        let asked = ureq::get(format!("{}{path}", server.url)).header("Accept", "text/html");
        match asked.call() {
            Err(ureq::Error::StatusCode(404)) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
}

fn kana_on(engine: &Engine, arguments: &[&str]) -> Output {
    engine.kana(arguments).output().unwrap()
}

#[test]
fn admins_are_created_listed_reset_and_removed() {
    for engine in engines() {
        kana_on(&engine, &["init"]);
        let created = kana_on(&engine, &["admins", "create", "--email", "Ada@example.com"]);
        assert!(created.status.success(), "{}", text(&created.stderr));
        let link = text(&created.stdout).strip_suffix('\n').unwrap();
        assert_is_link(link, "http://127.0.0.1:4000");
        assert_eq!(text(&created.stdout).lines().count(), 1, "only the link");

        let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let reset = [&["admins", "reset-password", "ada@example.com"], &tls[..]].concat();
        let reset = kana_on(&engine, &reset);
        let link = text(&reset.stdout).strip_suffix('\n').unwrap();
        assert_is_link(link, "https://127.0.0.1:4000");

        let again = ["admins", "create", "--email", "ada@EXAMPLE.com", "--role", "viewer"];
        let again = kana_on(&engine, &again);
        assert_eq!((again.status.code(), text(&again.stdout)), (Some(1), ""));
        assert!(text(&again.stderr).contains("another admin"), "{}", text(&again.stderr));

        let reset = ["admins", "--public-url", "https://a.b", "reset-password", "ada@example.com"];
        let reset = kana_on(&engine, &reset);
        assert_is_link(text(&reset.stdout).trim_end(), "https://a.b");
        assert_ne!(reset.stdout, created.stdout);

        let removed = kana_on(&engine, &["admins", "remove", "ada@example.com"]);
        assert_eq!(removed.status.code(), Some(1));
        assert!(text(&removed.stderr).contains("last owner"), "{}", text(&removed.stderr));
        for wrong in [["admins", "remove", "eve@b.co"], ["admins", "reset-password", "eve@b.co"]] {
            let output = kana_on(&engine, &wrong);
            assert_eq!(output.status.code(), Some(1), "{wrong:?}");
            let said = text(&output.stderr);
            assert!(said.contains("no such admin") && !said.contains("eve@"), "{said}");
        }
        let other = ["admins", "create", "--email", "bob@example.com", "--role", "owner"];
        assert!(kana_on(&engine, &other).status.success());
        let removed = kana_on(&engine, &["admins", "remove", "ADA@example.com"]);
        assert!(removed.status.success(), "{}", text(&removed.stderr));
        assert_eq!(text(&removed.stdout), "");
        let list = kana_on(&engine, &["admins", "list"]);
        let list = text(&list.stdout);
        assert_eq!(list.lines().count(), 2, "{list}");
        assert!(list.ends_with(" invited\n") && list.contains("bob@example.com owner"), "{list}");
    }
}

#[test]
fn with_a_password_on_standard_input_an_admin_is_ready_at_once() {
    let dir = TempDir::new().unwrap();
    run(dir.path(), &["init"]);
    let create = ["admins", "create", "--email", "ada@example.com", "--password-stdin"];
    let created = run_with_password(dir.path(), &[&create[..], &["--role", "editor"]].concat());
    assert!(created.status.success(), "{}", text(&created.stderr));
    assert_eq!(text(&created.stdout), "");
    let lines = listed(dir.path());
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line[..2], ["ada@example.com", "editor"]);
    assert_eq!(line[3..], ["-", "active"]);

    let weak = ["admins", "create", "--email", &PASSWORD.replace(' ', "@"), "--password-stdin"];
    assert_eq!(run_with_password(dir.path(), &weak).status.code(), Some(2), "two @");
    let reset = ["admins", "reset-password", "ada@example.com", "--password-stdin"];
    let reset = run_with_password(dir.path(), &reset);
    assert_eq!((reset.status.code(), text(&reset.stdout)), (Some(0), ""));
    let no_password = run(dir.path(), &create);
    assert_eq!(no_password.status.code(), Some(1));
    assert!(!text(&no_password.stderr).contains(PASSWORD));
}

/// Signs in, and returns the session's cookie.
fn sign_in(server: &Server) -> String {
    let asked = ureq::post(format!("{}/dashboard/sign-in", server.url))
        .config()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .header("Sec-Fetch-Site", "same-origin");
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    let answer = asked.send_form(form).unwrap();
    assert_eq!(answer.status(), 303);
    let cookies = answer.headers().get_all("set-cookie").into_iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.find(|cookie| cookie.starts_with("kana_session=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// The status of a page for whoever has the cookie.
fn status(server: &Server, cookie: &str) -> u16 {
    let asked = ureq::get(format!("{}/dashboard/account", server.url))
        .config()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    asked.header("Cookie", cookie).call().unwrap().status().as_u16()
}

#[test]
fn a_running_server_obeys_a_removal_within_five_seconds() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path());
    for email in ["ada@example.com", "bob@example.com"] {
        let create = ["admins", "create", "--email", email, "--password-stdin"];
        assert!(run_with_password(dir.path(), &create).status.success());
    }
    let cookie = sign_in(&server);
    assert_eq!(status(&server, &cookie), 200);
    assert!(run(dir.path(), &["admins", "remove", "ada@example.com"]).status.success());
    let removed_at = Instant::now();
    while status(&server, &cookie) == 200 {
        assert!(removed_at.elapsed().as_secs() < 5, "the removal is not obeyed");
    }
    assert_eq!(status(&server, &cookie), 303);
    let log = server.log();
    assert!(!log.contains("ada@") && !log.contains(PASSWORD), "{log}");
}
