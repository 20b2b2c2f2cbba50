use std::path::PathBuf;

use kana_api::client::AllowedOrigins;

use super::*;
use crate::settings::{KeysCommand, ServeSettings};

/// Returns what the settings result in, or all messages about them.
fn invoke(
    file: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Result<Invocation, String> {
    let arguments: Vec<OsString> =
        ["kana"].iter().chain(arguments).map(|argument| OsString::from(*argument)).collect();
    let variable = |name: &str| {
        let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
        Some(OsString::from(*value))
    };
    let read = |path: &Path| match path.to_str() {
        Some("kana.toml") => Ok(file.to_owned()),
        Some("other.toml") => Ok("listen = \":7\"".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    invocation(&arguments, &variable, &read).map_err(|unusable| match unusable {
        Unusable::CommandLine(error) => error.to_string(),
        Unusable::Settings(wrong) => wrong.join("\n"),
    })
}

fn parse(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Command, String> {
    invoke(file, variables, arguments).map(|invocation| invocation.command)
}

/// Returns each setting that is in force and where it came from, but for the defaults.
fn given(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<String> {
    let arguments = [&["config"], arguments].concat();
    let settings = invoke(file, variables, &arguments).unwrap().settings;
    let given = settings.into_iter().filter(|setting| setting.source != Source::Default);
    let shown = given.map(|setting| {
        let SettingInForce { name, value, from, .. } = setting;
        format!("{name} = {} from {}", value.unwrap_or_default(), from.unwrap_or_default())
    });
    shown.collect()
}

fn serve(
    file: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Result<ServeSettings, String> {
    match parse(file, variables, &[&["serve"], arguments].concat())? {
        Command::Serve(settings) => Ok(settings),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
    definition(Cli::command(), &mut HashMap::new()).debug_assert();
}

#[test]
fn every_setting_has_one_variable_named_like_its_flag() {
    let mut names = HashMap::new();
    definition(Cli::command(), &mut names);
    assert!(names.len() >= 10, "{names:?}");
    // Known by this name from before it was a flag.
    assert_eq!(names.remove("log_level").as_deref(), Some("KANA_LOG"));
    for (id, name) in names {
        assert_eq!(name, format!("KANA_{}", id.to_uppercase()));
    }
}

#[test]
fn a_flag_comes_before_a_variable_a_variable_before_the_file_and_the_file_before_the_default() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"/from/file\"";
    let variables = [("KANA_LISTEN", "127.0.0.1:2")];
    let listen = |variables, arguments: &[&str]| {
        serve(file, variables, arguments).unwrap().address.listen.at.to_string()
    };
    assert_eq!(listen(&variables, &["--listen", "127.0.0.1:3"]), "127.0.0.1:3");
    assert_eq!(listen(&variables, &[]), "127.0.0.1:2");
    assert_eq!(listen(&[], &[]), "127.0.0.1:1");
    let settings = serve(file, &variables, &["--listen", "127.0.0.1:3"]).unwrap();
    assert_eq!(settings.database.data_dir, PathBuf::from("/from/file"));
    assert_eq!(serve("", &[], &[]).unwrap().address.listen.at.to_string(), "127.0.0.1:4000");
}

#[test]
fn numbers_and_lists_stand_in_the_file_as_such() {
    let file = "user_token_days = 7\nclient_origins = [\"https://a.co\", \"https://b.co\"]";
    let settings = serve(file, &[], &[]).unwrap();
    assert_eq!(settings.tokens.user_token_days, 7);
    assert_eq!(settings.client_origins, "https://a.co,https://b.co".parse().unwrap());
}

#[test]
fn a_page_of_any_origin_may_call_by_default_and_with_a_star() {
    for (file, arguments) in [
        ("", &[][..]),
        ("", &["--client-origins", "*"]),
        ("client_origins = \"*\"", &[]),
        ("client_origins = [\"*\"]", &[]),
    ] {
        let settings = serve(file, &[], arguments).unwrap();
        assert_eq!(settings.client_origins, AllowedOrigins::Any);
    }
}

#[test]
fn a_setting_in_the_file_reaches_the_commands_below_a_command() {
    let file = "user_token_days = 7\ndata_dir = \"/from/file\"";
    let arguments = ["keys", "rotate-token-secret", "--env", "test"];
    let Command::Keys { database, command } = parse(file, &[], &arguments).unwrap() else {
        panic!("another command");
    };
    assert_eq!(database.data_dir, PathBuf::from("/from/file"));
    let KeysCommand::RotateTokenSecret { tokens, .. } = command else {
        panic!("another command");
    };
    assert_eq!(tokens.user_token_days, 7);
}

#[test]
fn the_database_may_be_named_before_and_after_a_subcommand() {
    let data_dir = |arguments: &[&str]| match parse(
        "data_dir = \"/file\"",
        &[("KANA_DATA_DIR", "/variable")],
        arguments,
    ) {
        Ok(Command::Keys { database, .. }) => database.data_dir,
        other => panic!("{other:?}"),
    };
    assert_eq!(data_dir(&["keys", "list"]), PathBuf::from("/variable"));
    for arguments in [
        &["keys", "list", "--data-dir", "/flag"][..],
        &["keys", "--data-dir", "/flag", "list"],
        &["keys", "create", "--env", "test", "--data-dir", "/flag", "--kind", "public"],
    ] {
        assert_eq!(data_dir(arguments), PathBuf::from("/flag"), "{arguments:?}");
    }
    let url = "postgres://kana:hunter2@db/kana";
    for arguments in
        [["keys", "list", "--database-url", url], ["keys", "--database-url", url, "list"]]
    {
        let Ok(Command::Keys { database, .. }) = parse("", &[], &arguments) else {
            panic!("{arguments:?}");
        };
        assert_eq!(database.database_url.unwrap().reveal(), url);
    }
}

#[test]
fn a_wrong_setting_is_named_with_where_it_comes_from() {
    for (file, variables, arguments, named) in [
        ("listne = \"x\"", &[][..], &[][..], &["kana.toml", "listne"][..]),
        ("app = \"not a setting\"", &[], &[], &["kana.toml", "app"]),
        ("listen = true", &[], &[], &["kana.toml", "listen"]),
        ("listen = ", &[], &[], &["kana.toml, line 1"]),
        ("listen = \"4000\"", &[], &[], &["--listen", "listen in kana.toml", "'4000'", ":4000"]),
        ("idempotency_days = 0", &[], &[], &["--idempotency-days", "in kana.toml", "1..=3650"]),
        ("client_origins = []", &[], &[], &["--client-origins", "in kana.toml"]),
        ("", &[("KANA_LISTEN", "nowhere")], &[], &["--listen", "from KANA_LISTEN", "'nowhere'"]),
        ("", &[("KANA_EVENTS_DAYS", "x")], &[], &["--events-days", "from KANA_EVENTS_DAYS"]),
        ("", &[], &["--listen", "nowhere"], &["--listen", "'nowhere'"]),
        ("", &[], &["--client-origins", ""], &["--client-origins"]),
    ] {
        let problem = serve(file, variables, arguments).unwrap_err();
        for named in named {
            assert!(problem.contains(named), "{file} {variables:?} {arguments:?}: {problem}");
        }
    }
    // With a valid flag, neither the variable nor the file matters.
    let arguments = ["--listen", ":1"];
    assert!(serve("listen = \"x\"", &[("KANA_LISTEN", "x")], &arguments).is_ok());
    assert!(serve("listen = \"x\"", &[("KANA_LISTEN", ":1")], &[]).is_ok());
}

#[test]
fn every_number_has_bounds_that_the_file_keeps_too() {
    for (file, flag) in [
        ("listen = 4000", "--listen"),
        ("user_token_days = 0", "--user-token-days"),
        ("idempotency_days = 0", "--idempotency-days"),
        ("events_days = 0", "--events-days"),
        ("connections_max = 0", "--connections-max"),
        ("idle_timeout_seconds = 0", "--idle-timeout-seconds"),
        ("database_connections = 5", "--database-connections"),
        ("client_origins = \"https://a.co/\"", "--client-origins"),
        ("client_origins = [\"https://a.co\", \"null\"]", "--client-origins"),
        ("data_dir = \"\"", "--data-dir"),
    ] {
        let problem = serve(file, &[], &[]).unwrap_err();
        assert!(problem.contains(flag) && problem.contains("kana.toml"), "{file}: {problem}");
    }
}

#[test]
fn a_word_that_is_not_allowed_is_answered_with_those_that_are() {
    for (variable, flag, problem) in [
        ("KANA_DATABASE_POOLER", "--database-pooler", "must be none or transaction"),
        ("KANA_LOG_FORMAT", "--log-format", "must be auto or text or json"),
        ("KANA_TRUST_PROXY", "--trust-proxy", "must be true or false"),
        ("KANA_NO_DASHBOARD", "--no-dashboard", "must be true or false"),
    ] {
        let of_variable = serve("", &[(variable, "session")], &[]).unwrap_err();
        let expected = format!("invalid value 'session' for {flag}, from {variable}: {problem}");
        assert_eq!(of_variable, expected);
        let key = flag.trim_start_matches('-').replace('-', "_");
        let of_file = serve(&format!("{key} = \"session\""), &[], &[]).unwrap_err();
        assert!(of_file.ends_with(problem), "{of_file}");
        let flags = [format!("{flag}=session"), "--events-days=0".to_owned()];
        let of_flags = serve("", &[], &flags.each_ref().map(String::as_str)).unwrap_err();
        assert!(of_flags.contains(problem), "{of_flags}");
    }
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let variables = [("KANA_LISTEN", "nowhere"), ("KANA_EVENTS_DAYS", "x")];
    let problems = serve("connections_max = 0", &variables, &[]).unwrap_err();
    assert_eq!(problems.lines().count(), 3, "{problems}");
    let problems = serve("a = 1\nb = 2", &[], &[]).unwrap_err();
    assert_eq!(problems.lines().count(), 2, "{problems}");
}

#[test]
fn all_wrong_flags_are_reported_with_the_rest() {
    let arguments = [
        "--listen=nowhere",
        "--events-days",
        "0",
        "--lissten",
        ":1",
        "--listne=:2",
        "--connections-max",
        "x",
    ];
    let problems = serve("", &[("KANA_CHANGES_DAYS", "x")], &arguments).unwrap_err();
    let expected = [
        "invalid value '0' for --events-days: 0 is not in 1..=36500",
        "invalid value 'nowhere' for --listen:",
        "invalid value 'x' for --changes-days, from KANA_CHANGES_DAYS:",
        "invalid value 'x' for --connections-max: invalid digit",
        "there is no flag --lissten; the nearest is --listen",
        "there is no flag --listne; the nearest is --listen",
    ];
    let mut lines: Vec<&str> = problems.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), expected.len(), "{problems}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    // What is missing without a wrong flag is there.
    let problem = parse("", &[], &["keys", "create", "--env", "prod", "--kind", "public"]);
    let problem = problem.unwrap_err();
    assert!(problem.contains("'prod'") && !problem.contains("required"), "{problem}");
}

#[test]
fn a_key_of_the_file_with_a_slip_is_named_with_the_nearest() {
    let problem = serve("listne = \":1\"", &[], &[]).unwrap_err();
    assert!(problem.contains("\"listne\"; the nearest is listen"), "{problem}");
}

#[test]
fn the_file_of_settings_can_be_chosen_and_then_must_be_there() {
    let other = "listen = :7 from other.toml".to_owned();
    assert_eq!(
        given("listen = \":1\"", &[], &["--config", "other.toml"]),
        ["config = other.toml from --config", &other]
    );
    let variable = [("KANA_CONFIG", "other.toml")];
    assert_eq!(given("", &variable, &[]), ["config = other.toml from KANA_CONFIG", &other]);
    let Ok(Command::Serve(settings)) = parse("", &variable, &["--config", "other.toml", "serve"])
    else {
        panic!("before the command");
    };
    assert_eq!(settings.address.listen.at.to_string(), ":7");
    let problem = serve("", &[], &["--config", "absent.toml"]).unwrap_err();
    assert!(problem.starts_with("the settings file absent.toml cannot be read:"), "{problem}");
    let problem = serve("config = \"other.toml\"", &[], &[]).unwrap_err();
    assert!(problem.contains("no setting \"config\""), "{problem}");
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url");
    let name = path.to_str().unwrap();
    let url = "postgres://kana:hunter2@db/kana";
    std::fs::write(&path, format!("{url}\n")).unwrap();
    let flag = ["--database-url-file", name];
    let settings = serve("", &[], &flag).unwrap();
    assert_eq!(settings.database.database_url.unwrap().reveal(), url);
    let variables = [("KANA_DATABASE_URL_FILE", name)];
    let shown = "database-url = postgres://kana:***@db/kana from KANA_DATABASE_URL_FILE";
    assert!(given("", &variables, &[]).contains(&shown.to_owned()));
    let in_file = format!("database_url_file = \"{name}\"");
    let settings = serve(&in_file, &[], &[]).unwrap();
    assert_eq!(settings.database.database_url.unwrap().reveal(), url);
    // The other form, wherever it stands.
    for (file, variables, arguments) in [
        ("", &[("KANA_DATABASE_URL", url)][..], &flag[..]),
        ("", &[("KANA_DATABASE_URL_FILE", name)], &["--database-url", url]),
        (&format!("database_url = \"{url}\""), &[("KANA_DATABASE_URL_FILE", name)], &[]),
    ] {
        let problem = serve(file, variables, arguments).unwrap_err();
        assert!(problem.contains("only one may be") && !problem.contains("hunter2"), "{problem}");
    }
    std::fs::write(&path, "mysql://kana:hunter2@db/kana").unwrap();
    let problem = serve("", &[], &flag).unwrap_err();
    assert!(problem.contains(name) && problem.contains("postgres://"), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
    std::fs::write(&path, format!("{url}\npostgres://other\n")).unwrap();
    let problem = serve("", &[], &flag).unwrap_err();
    assert!(problem.contains(name) && problem.contains("more than one line"), "{problem}");
    let problem = serve("", &[], &["--database-url-file", "/absent"]).unwrap_err();
    assert!(problem.contains("'/absent'") && problem.contains("No such file"), "{problem}");
}

#[test]
fn the_endpoint_of_traces_may_stand_in_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url");
    let name = path.to_str().unwrap();
    std::fs::write(&path, "https://kana:hunter2@collector\n").unwrap();
    let shown =
        |from: &str| vec![format!("otlp-endpoint = https://kana:***@collector from {from}")];
    let of_traces = |file: &str, variables: &[(&str, &str)], arguments: &[&str]| {
        let mut given = given(file, variables, arguments);
        given.retain(|setting| setting.starts_with("otlp-endpoint = "));
        given
    };
    let variable = ("KANA_OTLP_ENDPOINT_FILE", name);
    let in_file = format!("otlp_endpoint_file = \"{name}\"");
    assert_eq!(of_traces("", &[], &["--otlp-endpoint-file", name]), shown("--otlp-endpoint-file"));
    assert_eq!(of_traces("", &[variable], &[]), shown("KANA_OTLP_ENDPOINT_FILE"));
    assert_eq!(of_traces(&in_file, &[], &[]), shown("kana.toml"));
    // A variable of others counts where ours is not set in any form.
    let others = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    assert_eq!(of_traces("", &[variable, others], &[]), shown("KANA_OTLP_ENDPOINT_FILE"));
    let both = [variable, ("KANA_OTLP_ENDPOINT", "http://collector")];
    let problem = serve("", &both, &[]).unwrap_err();
    assert!(problem.contains("only one may be"), "{problem}");
    std::fs::write(&path, "grpc://kana:hunter2@collector").unwrap();
    let problem = serve("", &[variable], &[]).unwrap_err();
    assert!(problem.contains(name) && !problem.contains("hunter2"), "{problem}");
}

#[test]
fn what_is_in_force_comes_with_its_source() {
    let variables = [("KANA_EVENTS_DAYS", "7")];
    let file = "listen = \":1\"\nno_dashboard = true\nclient_origins = [\"https://a.co\"]";
    assert_eq!(
        given(file, &variables, &["--changes-days=9"]),
        [
            "listen = :1 from kana.toml",
            "no-dashboard = true from kana.toml",
            "client-origins = https://a.co from kana.toml",
            "events-days = 7 from KANA_EVENTS_DAYS",
            "changes-days = 9 from --changes-days",
        ]
    );
    let settings = invoke("", &[], &["config"]).unwrap().settings;
    let listen = settings.iter().find(|setting| setting.name == "listen").unwrap();
    assert_eq!(listen.value.as_deref(), Some("127.0.0.1:4000"));
    assert_eq!((listen.source, &listen.from), (Source::Default, &None));
}

#[test]
fn the_help_of_each_number_gives_its_range() {
    let definition = definition(Cli::command(), &mut HashMap::new());
    let serve = definition.find_subcommand("serve").unwrap();
    let mut numbers = 0;
    for arg in serve.get_arguments() {
        let is_number = check(arg, OsStr::new("x")).is_err_and(|problem| problem.contains("digit"));
        if !is_number {
            continue;
        }
        numbers += 1;
        let range = in_force::range(arg).unwrap_or_else(|| panic!("{}: no range", arg.get_id()));
        let (from, to) = range.split_once(" to ").unwrap();
        let [from, to]: [i64; 2] = [from, to].map(|bound| bound.parse().unwrap());
        for (number, is_allowed) in [(from - 1, false), (from, true), (to, true), (to + 1, false)] {
            let checked = check(arg, OsStr::new(&number.to_string()));
            assert_eq!(checked.is_ok(), is_allowed, "{} {number}", arg.get_id());
        }
    }
    assert!(numbers >= 8, "{numbers}");
}

#[test]
fn what_another_command_reads_is_not_looked_at() {
    let variables = [("KANA_CLIENT_ORIGINS", "nowhere"), ("KANA_EVENTS_DAYS", "x")];
    assert!(parse("connections_max = 0", &variables, &["init"]).is_ok());
}

#[test]
fn no_message_shows_a_password() {
    let url = "postgres://kana:hunter2@db";
    for (file, variables) in [
        (format!("database_url = \"{url}\""), &[][..]),
        (format!("database_url = \"{url}"), &[]),
        (format!("database_url = {url}"), &[]),
        (format!("database_url = [\"{url}\", 1]"), &[]),
        (String::new(), &[("KANA_DATABASE_URL", url)]),
        (String::new(), &[("KANA_LISTEN", url)]),
    ] {
        let problem = serve(&file, variables, &[]).unwrap_err();
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn the_name_of_an_app_has_the_bounds_of_names() {
    let long = "é".repeat(255);
    for name in ["Acme", "Käse & Söhne 🧀", long.as_str()] {
        let Ok(Command::Init(settings)) = parse("", &[], &["init", "--app", name]) else {
            panic!("{name} is refused");
        };
        assert_eq!(settings.app, name);
    }
    let longer = "é".repeat(256);
    for name in ["", "  ", "a\nb", "a\tb", "\u{7f}", longer.as_str()] {
        let problem = parse("", &[], &["init", "--app", name]).unwrap_err();
        assert!(problem.contains("--app"), "{problem}");
    }
}

#[test]
fn a_long_value_or_one_of_many_lines_is_reported_in_a_short_line() {
    let long = "x".repeat(5000);
    for value in ["two\nlines", "\u{1b}[2J", &long] {
        let problem = serve("", &[("KANA_LISTEN", value)], &[]).unwrap_err();
        assert!(problem.len() < 500 && !problem.contains(char::is_control), "{problem}");
    }
}
