//! What never stands in the log and in traces, whatever is asked and however much is logged: keys, tokens, passwords,
//! what was asked, and who somebody is.

use std::io::{Read, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::collector::Collector;
use crate::engines::{Engine, engines};
use crate::process::{Server, text};

/// The address that all requests come from.
const CLIENT: &str = "127.0.0.77";
/// What is sent, and is nobody's business. A user's id looks like an e-mail.
const USER: &str = "hidden-id@user.example";
const OTHERS: [&str; 7] = [
    "hidden-name",
    "hidden-mail@user.example",
    "hidden-metadata",
    "hidden-password-1",
    "hidden-admin@kana.example",
    "hidden_alias",
    "hidden-key-of-idempotency",
];

/// A server that logs and traces everything, and what it must not tell.
struct Watched {
    server: Server,
    collector: Collector,
    secrets: Vec<String>,
    private: String,
    public: String,
    invitation: String,
}

impl Watched {
    fn start(engine: &Engine) -> Self {
        let init = engine.kana(&["init", "--app", "hidden-app"]).output().unwrap();
        let printed = text(&init.stdout);
        let after = |name: &str| {
            let line = printed.lines().find_map(|line| Some(line.split_once(name)?.1));
            line.unwrap().to_owned()
        };
        let (private, public) = (after("KANA_DEV_KEY="), after("KANA_DEV_PUBLIC_KEY="));
        let invitation = after("token=");
        let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0", "--log-level", "trace"]);
        let collector = Collector::start();
        serve.args(["--otlp-endpoint", &collector.url, "--trace-ratio", "1"]);
        let server = Server::start_with(&mut serve);
        let known = [&private, &public, &invitation].map(String::clone);
        let secrets = known.into_iter().chain(OTHERS.map(str::to_owned)).chain([
            USER.to_owned(),
            CLIENT.to_owned(),
            "hidden-app".to_owned(),
            "hidden-wrong-key".to_owned(),
        ]);
        Self { server, collector, secrets: secrets.collect(), private, public, invitation }
    }

    /// Sends a request from the address of the client, and returns the answer.
    fn send(&self, request_line: &str, headers: &str, body: &str) -> String {
        let server: SocketAddr = self.server.url.strip_prefix("http://").unwrap().parse().unwrap();
        let client: SocketAddr = format!("{CLIENT}:0").parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let connected = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(client).unwrap();
            socket.connect(server).await.unwrap()
        });
        let mut connection = connected.into_std().unwrap();
        connection.set_nonblocking(false).unwrap();
        write!(
            connection,
            "{request_line} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn graphql(&self, key: &str, query: &str, variables: &Value) -> Value {
        let headers = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = self.send("POST /graphql", &headers, &body);
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn use_the_admin_api(watched: &mut Watched) {
    let key = watched.private.clone();
    let model = r#"mutation {
        hidden_alias: createFeature(input: { id: "hidden-feature", name: "hidden-name", type: CONSUMABLE }) { id }
        createPackage(input: { id: "hidden-package", name: "hidden-name", features: { id: "hidden-feature" } }) { id }
        publishPackage(id: "hidden-package") { id }
    }"#;
    let made = watched.graphql(&key, model, &json!({}));
    assert!(made["errors"].is_null(), "{made}");
    let user = json!({ "input": {
        "id": USER, "name": "hidden-name", "email": "hidden-mail@user.example",
        "metadata": { "hidden-metadata": "hidden-metadata" },
    }, "user": USER });
    let create = "mutation($input: CreateUserInput!, $user: String!) {
        createUser(input: $input) { id }
        subscribe(packageIds: \"hidden-package\", userId: $user) { id }
        generateUserToken(userId: $user) { token }
    }";
    let created = watched.graphql(&key, create, &user);
    let token = created["data"]["generateUserToken"]["token"].as_str();
    let token = token.unwrap_or_else(|| panic!("{created}")).to_owned();
    // The same again is refused, as is what is not there.
    watched.graphql(&key, create, &user);
    let usage = json!({ "user": USER, "feature": "hidden-feature" });
    let ask = "query($user: String!, $feature: String!) {
        canUseFeature(userId: $user, featureId: $feature) { access } user(id: $user) { id name email metadata } }";
    for _ in 0..3 {
        watched.graphql(&key, ask, &usage);
        watched.graphql(
            &key,
            "mutation($user: String!, $feature: String!) {
                createUsageEvent(input: { userId: $user, featureId: $feature, delta: 1,
                    idempotencyKey: \"hidden-key-of-idempotency\" })
            }",
            &usage,
        );
    }
    watched.graphql(
        &key,
        ask,
        &json!({ "user": "hidden-mail@user.example", "feature": "hidden-feature" }),
    );
    watched.graphql(&key, "{ hidden_alias: nothing(of: \"hidden-name\") }", &json!({}));
    watched.graphql(&key, "{ hidden_alias: ", &json!({}));
    watched.graphql("hidden-wrong-key", "{ __typename }", &json!({}));
    let by_get = "GET /graphql?query=%7Bhidden_alias:__typename%7D";
    watched.send(by_get, &format!("Authorization: {key}\r\n"), "");
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = json!({ "query": "{ currentUser { id email } }" }).to_string();
    assert!(watched.send("POST /client/graphql", &headers, &body).contains(USER));
    watched.secrets.push(token);
    let headers = format!(
        "Authorization: {}\r\nX-User-ID: {USER}\r\nContent-Type: application/json\r\n",
        watched.public
    );
    assert!(watched.send("POST /client/graphql", &headers, &body).contains(USER));
}

fn use_what_is_beside_graphql(watched: &Watched) {
    let key = format!("Authorization: {}\r\n", watched.private);
    let event = json!({
        "specversion": "1.0", "id": "hidden-key-of-idempotency", "source": "hidden-name",
        "type": "kana.usage", "data": { "userId": USER, "featureId": "hidden-feature", "delta": 1 },
    });
    for (content_type, body) in [
        ("application/cloudevents+json", event.to_string()),
        ("application/x-ndjson", format!("{event}\n{{\"id\": \"hidden-name\"}}\n")),
        ("application/cloudevents+json", "{ hidden-name".to_owned()),
    ] {
        watched.send("POST /events", &format!("{key}Content-Type: {content_type}\r\n"), &body);
    }
    watched.send("GET /cli/pull", &key, "");
    let configuration = json!({ "features": [{ "hidden-feature": "hidden-name" }] }).to_string();
    for call in ["/cli/validate", "/cli/publish"] {
        watched.send(&format!("POST {call}"), &key, &configuration);
    }
    watched.send(&format!("GET /hidden-name/{USER}?hidden-name"), &key, "");
    watched.send("GET / nonsense hidden-name", &format!("Cookie: hidden-name\r\n{key}"), "");
    let too_long = format!("X-Request-Id: hidden name\r\ntraceparent: hidden-name\r\n{key}");
    watched.send("GET /healthz", &too_long, "");
}

fn use_the_dashboard(watched: &mut Watched) {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("{form}Origin: {}\r\n", watched.server.url);
    let welcome = format!("GET /dashboard/welcome?token={}", watched.invitation);
    assert!(watched.send(&welcome, "", "").starts_with("HTTP/1.1 200"));
    let body = format!(
        "token={}&email=hidden-admin%40kana.example&password=hidden-password-1&\
         repeated=hidden-password-1",
        watched.invitation,
    );
    let mut answers = vec![watched.send("POST /dashboard/welcome", &form, &body)];
    for password in ["hidden-password-1", "hidden-name"] {
        let body = format!("email=hidden-admin%40kana.example&password={password}");
        answers.push(watched.send("POST /dashboard/sign-in", &form, &body));
    }
    let cookies = answers.iter().flat_map(|answer| answer.lines()).filter_map(|line| {
        let cookie = line.strip_prefix("set-cookie: kana_session=")?;
        cookie.split(';').next().filter(|secret| !secret.is_empty()).map(str::to_owned)
    });
    let cookies: Vec<String> = cookies.collect();
    let cookie = cookies.first().unwrap_or_else(|| panic!("nobody is signed in: {answers:?}"));
    let headers = format!("Cookie: kana_session={cookie}\r\n");
    for page in [
        "/dashboard/test/users",
        "/dashboard/test/users?q=hidden-mail%40user.example",
        "/dashboard/test/user?id=hidden-id%40user.example",
        "/dashboard/test/features",
        "/dashboard/nowhere/hidden-name",
    ] {
        watched.send(&format!("GET {page}"), &headers, "");
    }
    watched.secrets.extend(cookies);
}

#[test]
fn nothing_secret_and_nothing_of_a_person_is_logged_or_traced_on_any_surface() {
    for engine in engines() {
        let mut watched = Watched::start(&engine);
        use_the_admin_api(&mut watched);
        use_what_is_beside_graphql(&watched);
        use_the_dashboard(&mut watched);
        let Watched { mut server, collector, secrets, .. } = watched;
        server.signal("TERM");
        server.wait();
        let log = server.log();
        assert!(log.lines().filter(|line| line.contains("\"request\"")).count() > 20, "{log}");
        assert!(secrets.len() > 16);
        let exported: Vec<String> = collector
            .received()
            .iter()
            .map(|it| String::from_utf8_lossy(&it.body).into_owned())
            .collect();
        let spans = collector.spans().len();
        assert!(spans > 60, "{spans}");
        for secret in secrets {
            // As it was sent, and as it stands in an address.
            for form in [secret.clone(), secret.replace('@', "%40")] {
                let found = log.lines().find(|line| line.contains(&form));
                assert_eq!(found, None, "{form}");
                assert!(exported.iter().all(|body| !body.contains(&form)), "{form} is exported");
            }
        }
    }
}
