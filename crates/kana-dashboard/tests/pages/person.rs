//! Somebody with a browser: follows links by their names, fills forms in by their labels, keeps cookies,
//! and fails for what is not there.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use scraper::{ElementRef, Html, Selector};
use tower::ServiceExt as _;

/// The most redirects that a browser follows.
const REDIRECTS_MAX: usize = 5;

/// Somebody with a browser.
pub(crate) struct Person {
    router: Router,
    cookies: BTreeMap<String, String>,
    /// How each cookie was set: its whole header.
    cookies_as_set: BTreeMap<String, String>,
    address: String,
    status: StatusCode,
    headers: HeaderMap,
    /// What was answered, as it came.
    text: String,
    html: Html,
    bytes: usize,
}

/// A form that is being filled in.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    name: String,
    action: String,
    method: String,
    /// Whether it is sent as one that has files.
    has_files: bool,
    /// Each field: label, name, value, and whether it is sent.
    fields: Vec<Field>,
    buttons: Vec<(String, Option<(String, String)>)>,
}

#[derive(Debug, Clone)]
struct Field {
    label: String,
    /// The group that it stands in; empty if it stands in none.
    group: String,
    kind: Kind,
    name: String,
    value: String,
    is_sent: bool,
    /// What is in a file.
    content: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    /// Each option: its label and its value.
    Select(Vec<(String, String)>),
    Checkbox,
    Radio,
    Hidden,
    /// Its value is the name of the file.
    File,
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

fn text_of(element: ElementRef<'_>) -> String {
    let words = element.text().flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// What separates the fields of a form with files.
const BOUNDARY: &str = "----kana-test";

/// Writes a form with files as a browser does, in the order of its fields.
fn multipart<'a>(
    fields: impl Iterator<Item = &'a Field>,
    pressed: Option<&(String, String)>,
) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |name: &str, file: Option<&str>, content: &[u8]| {
        let file = file.map(|file| format!("; filename={file:?}\r\nContent-Type: text/csv"));
        let file = file.unwrap_or_default();
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name={name:?}{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    for field in fields {
        match field.kind {
            Kind::File => part(&field.name, Some(&field.value), &field.content),
            _ => part(&field.name, None, field.value.as_bytes()),
        }
    }
    if let Some((name, value)) = pressed {
        part(name, None, value.as_bytes());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// A body that arrives in pieces, as over a network.
fn in_pieces(content: &[u8]) -> Body {
    let pieces: Vec<Result<Vec<u8>, std::convert::Infallible>> =
        content.chunks(16 * 1024).map(|piece| Ok(piece.to_vec())).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

impl Person {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router,
            cookies: BTreeMap::new(),
            cookies_as_set: BTreeMap::new(),
            address: String::new(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            text: String::new(),
            html: Html::parse_document(""),
            bytes: 0,
        }
    }

    /// Opens an address and follows where it leads.
    pub(crate) async fn visit(&mut self, address: &str) -> StatusCode {
        self.send(Method::GET, address, None, &[]).await
    }

    /// Sends a form as a browser does, with the button of this name.
    pub(crate) async fn submit(&mut self, form: Form, button: &str) -> StatusCode {
        let pressed = form.buttons.iter().find(|(name, _)| name == button);
        let (_, pressed) = pressed.unwrap_or_else(|| {
            panic!("no button {button:?} in {:?}: {:?}", form.name, form.buttons)
        });
        let fields = form.fields.iter().filter(|field| field.is_sent);
        if form.has_files {
            let body = multipart(fields, pressed.as_ref());
            let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
            let headers = [("sec-fetch-site", "same-origin")];
            return self.send_body(&form.action, (&media_type, body), &headers).await;
        }
        let pairs = fields.map(|field| (field.name.clone(), field.value.clone()));
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.chain(pressed.clone()))
            .finish();
        if form.method == "get" {
            let path = form.action.split('?').next().unwrap_or_default();
            return self.send(Method::GET, &format!("{path}?{body}"), None, &[]).await;
        }
        self.send(Method::POST, &form.action, Some(body), &[("sec-fetch-site", "same-origin")])
            .await
    }

    /// Sends a form for files that has nothing but its token.
    pub(crate) async fn send_form_for_files(
        &mut self,
        address: &str,
        token: &str,
        headers: &[(&'static str, &str)],
    ) -> StatusCode {
        let head = "Content-Disposition: form-data; name=\"csrf\"";
        let body = format!("--{BOUNDARY}\r\n{head}\r\n\r\n{token}\r\n--{BOUNDARY}--\r\n");
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send_body(address, (&media_type, body.into_bytes()), headers).await
    }

    /// Sends a request with these headers beside the cookies, and follows where it leads.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        address: &str,
        body: Option<String>,
        headers: &[(&'static str, &str)],
    ) -> StatusCode {
        let media_type = "application/x-www-form-urlencoded";
        let body = body.map(|body| (media_type, body.into_bytes()));
        self.send_any(method, address, body, headers).await
    }

    /// Sends a POST with a body of this media type, and follows where it leads.
    pub(crate) async fn send_body(
        &mut self,
        address: &str,
        body: (&str, Vec<u8>),
        headers: &[(&'static str, &str)],
    ) -> StatusCode {
        self.send_any(Method::POST, address, Some(body), headers).await
    }

    async fn send_any(
        &mut self,
        method: Method,
        address: &str,
        body: Option<(&str, Vec<u8>)>,
        headers: &[(&'static str, &str)],
    ) -> StatusCode {
        let (mut method, mut body) = (method, body);
        let mut address = address.to_owned();
        for _ in 0..REDIRECTS_MAX {
            let mut request = Request::builder().method(method.clone()).uri(&address);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if !self.cookies.is_empty() {
                let cookies: Vec<_> =
                    self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                request = request.header(header::COOKIE, cookies.join("; "));
            }
            let content = match body.take() {
                Some((media_type, content)) => {
                    request = request.header(header::CONTENT_TYPE, media_type);
                    content
                }
                None => Vec::new(),
            };
            let request = request.body(in_pieces(&content)).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            self.status = response.status();
            self.headers = response.headers().clone();
            self.keep_cookies();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            self.address = address.clone();
            match self.headers.get(header::LOCATION) {
                Some(location) if self.status == StatusCode::SEE_OTHER => {
                    location.to_str().unwrap().clone_into(&mut address);
                    method = Method::GET;
                }
                _ => {
                    self.read(&bytes);
                    return self.status;
                }
            }
        }
        panic!("{address} leads in a circle");
    }

    fn keep_cookies(&mut self) {
        for cookie in self.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
                self.cookies_as_set.insert(name.to_owned(), text.to_owned());
            }
        }
    }

    /// Reads a page. Each must be whole HTML, and safe by its headers.
    fn read(&mut self, bytes: &[u8]) {
        self.bytes = bytes.len();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.text.clone_from(&text);
        let media_type =
            self.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap());
        if media_type != Some("text/html; charset=utf-8") {
            self.html = Html::parse_document("");
            return;
        }
        self.html = Html::parse_document(&text);
        assert!(self.html.errors.is_empty(), "{}: {:?}\n{text}", self.address, self.html.errors);
        assert!(self.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{}", self.address);
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        for forbidden in [" style=", " onclick=", "javascript:", "<style"] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", self.address);
        }
        self.check_ids();
    }

    /// An id stands once, and what names another element names one that is there.
    fn check_ids(&self) {
        let with_id = selector("[id]");
        let mut ids: Vec<&str> =
            self.html.select(&with_id).filter_map(|element| element.attr("id")).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{}: an id stands twice", self.address);
        for name in ["for", "aria-describedby", "aria-labelledby", "list"] {
            for element in self.html.select(&selector(&format!("[{name}]"))) {
                for id in element.attr(name).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(&id), "{}: {name} names {id}", self.address);
                }
            }
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes the page has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// How the server set a cookie: its whole header.
    pub(crate) fn cookie_as_set(&self, name: &str) -> &str {
        &self.cookies_as_set[name]
    }

    /// The token against forged requests of the page that is shown.
    pub(crate) fn csrf(&self) -> String {
        let token = self.html.select(&selector("input[name=csrf]")).next();
        let token = token.unwrap_or_else(|| panic!("no token at {}", self.address));
        token.attr("value").unwrap().to_owned()
    }

    pub(crate) fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    pub(crate) fn cookies_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.cookies
    }

    /// What was answered, as it came.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The title of the document.
    pub(crate) fn title(&self) -> String {
        self.only("title")
    }

    /// The one heading.
    pub(crate) fn heading(&self) -> String {
        self.only("main h1")
    }

    /// The text of the page's main part.
    pub(crate) fn main(&self) -> String {
        self.only("main")
    }

    /// What the page says was done.
    pub(crate) fn status_text(&self) -> String {
        self.only("[role=status]")
    }

    /// What the page says is wrong.
    pub(crate) fn alert(&self) -> String {
        self.only("[role=alert]")
    }

    fn only(&self, path: &str) -> String {
        let found: Vec<_> = self.html.select(&selector(path)).collect();
        assert_eq!(
            found.len(),
            1,
            "{path} at {} ({}): {}",
            self.address,
            self.status,
            self.html.html()
        );
        text_of(found[0])
    }

    /// The text of each element that a selector finds.
    pub(crate) fn all_text(&self, path: &str) -> Vec<String> {
        self.html.select(&selector(path)).map(text_of).collect()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.html.select(&selector(path)).next().is_some()
    }

    /// The names of the links of a navigation.
    pub(crate) fn navigation(&self, name: &str) -> Vec<String> {
        let path = format!("nav[aria-label={name:?}] a");
        self.html.select(&selector(&path)).map(text_of).collect()
    }

    /// Where a link leads.
    pub(crate) fn link(&self, name: &str) -> String {
        let links = selector("a");
        let link = self.html.select(&links).find(|link| text_of(*link) == name);
        let link = link.unwrap_or_else(|| panic!("no link {name:?} at {}", self.address));
        link.attr("href").unwrap().to_owned()
    }

    pub(crate) fn has_link(&self, name: &str) -> bool {
        self.html.select(&selector("a")).any(|link| text_of(link) == name)
    }

    /// Follows a link.
    pub(crate) async fn follow(&mut self, name: &str) -> StatusCode {
        let address = self.link(name);
        self.visit(&address).await
    }

    /// The rows of a table, each cell's text, without its head.
    pub(crate) fn table(&self, caption: &str) -> Vec<Vec<String>> {
        let tables = selector("table");
        let caption_of = selector("caption");
        let table = self.html.select(&tables).find(|table| {
            table.select(&caption_of).next().is_some_and(|it| text_of(it) == caption)
        });
        let table = table.unwrap_or_else(|| panic!("no table {caption:?} at {}", self.address));
        let (rows, cells) = (selector("tbody tr"), selector("th, td"));
        table.select(&rows).map(|row| row.select(&cells).map(text_of).collect()).collect()
    }

    /// What stands in a field outside the forms, as one that is shown once.
    pub(crate) fn input(&self, label: &str) -> String {
        let inputs = selector("main input[readonly]");
        let input = self.html.select(&inputs).find(|input| self.label(*input) == label);
        let input = input.unwrap_or_else(|| panic!("no field {label:?} at {}", self.address));
        input.attr("value").unwrap_or_default().to_owned()
    }

    /// The form of this name, as the page shows it.
    pub(crate) fn form(&self, name: &str) -> Form {
        let path = selector(&format!("form[aria-label={name:?}]"));
        let forms: Vec<_> = self.html.select(&path).collect();
        assert_eq!(forms.len(), 1, "form {name:?} at {} ({})", self.address, self.status);
        let form = forms[0];
        let (controls, pressed) = (selector("input, select, textarea"), selector("button"));
        let fields = form.select(&controls).map(|control| self.field(control));
        let buttons = form.select(&pressed).map(|button| {
            let pair = button
                .attr("name")
                .map(|name| (name.to_owned(), button.attr("value").unwrap_or_default().to_owned()));
            (text_of(button), pair)
        });
        Form {
            name: name.to_owned(),
            action: form.attr("action").unwrap().to_owned(),
            method: form.attr("method").unwrap().to_owned(),
            has_files: form.attr("enctype") == Some("multipart/form-data"),
            fields: fields.collect(),
            buttons: buttons.collect(),
        }
    }

    fn field(&self, control: ElementRef<'_>) -> Field {
        let name = control.attr("name").unwrap_or_default().to_owned();
        let element = control.value().name();
        let kind = match control.attr("type").unwrap_or_default() {
            _ if element == "select" => {
                let options = selector("option");
                let pair = |option: ElementRef<'_>| {
                    let label = text_of(option);
                    (label.clone(), option.attr("value").map_or(label, str::to_owned))
                };
                Kind::Select(control.select(&options).map(pair).collect())
            }
            "checkbox" => Kind::Checkbox,
            "radio" => Kind::Radio,
            "hidden" => Kind::Hidden,
            "file" => Kind::File,
            _ => Kind::Text,
        };
        let value = match &kind {
            Kind::Select(options) => {
                let chosen = selector("option[selected]");
                let chosen = control.select(&chosen).next();
                let chosen = chosen.and_then(|option| option.attr("value")).map(str::to_owned);
                chosen.unwrap_or_else(|| options.first().map(|it| it.1.clone()).unwrap_or_default())
            }
            _ if element == "textarea" => {
                control.text().collect::<String>().trim_start_matches('\n').to_owned()
            }
            _ => control.attr("value").unwrap_or_default().to_owned(),
        };
        let is_ticked = control.attr("checked").is_some();
        let label = if kind == Kind::Hidden { String::new() } else { self.label(control) };
        let is_sent = !matches!(kind, Kind::Checkbox | Kind::Radio) || is_ticked;
        let group = Self::group(control);
        Field { label, group, kind, name, value, is_sent, content: Vec::new() }
    }

    /// The name of the group around a control.
    fn group(control: ElementRef<'_>) -> String {
        let legend = selector("legend");
        let around = control.ancestors().filter_map(ElementRef::wrap);
        let group = around.into_iter().find(|element| element.value().name() == "fieldset");
        group.and_then(|group| group.select(&legend).next()).map(text_of).unwrap_or_default()
    }

    /// The label of a control. Each has one.
    fn label(&self, control: ElementRef<'_>) -> String {
        let id = control.attr("id").unwrap_or_else(|| panic!("no id: {}", control.html()));
        let path = selector(&format!("label[for={id:?}]"));
        let around = control.ancestors().filter_map(ElementRef::wrap);
        let label = self
            .html
            .select(&path)
            .next()
            .or_else(|| around.into_iter().find(|element| element.value().name() == "label"));
        text_of(label.unwrap_or_else(|| panic!("no label: {}", control.html())))
    }
}

impl Form {
    /// A field by its label, after its group's name and a colon where others have the same label.
    fn field_mut(&mut self, label: &str) -> &mut Field {
        let labels: Vec<String> = self.fields.iter().map(|field| field.label.clone()).collect();
        let mut found = self.fields.iter_mut().filter(|field| {
            field.label == label || format!("{}: {}", field.group, field.label) == label
        });
        let field = found.next();
        assert!(found.next().is_none(), "two fields {label:?} in {:?}", self.name);
        field.unwrap_or_else(|| panic!("no field {label:?} in {:?}: {labels:?}", self.name))
    }

    /// Writes into a field.
    pub(crate) fn fill(mut self, label: &str, value: &str) -> Self {
        let field = self.field_mut(label);
        assert_eq!(field.kind, Kind::Text, "{label:?} cannot be written into");
        value.clone_into(&mut field.value);
        self
    }

    /// Chooses a file.
    pub(crate) fn attach(mut self, label: &str, content: impl Into<Vec<u8>>) -> Self {
        let field = self.field_mut(label);
        assert_eq!(field.kind, Kind::File, "{label:?} takes no file");
        "users.csv".clone_into(&mut field.value);
        field.content = content.into();
        self
    }

    /// Chooses an option or a radio button, or ticks a box.
    pub(crate) fn choose(mut self, label: &str, option: &str) -> Self {
        let field = self.field_mut(label);
        let Kind::Select(options) = &field.kind else { panic!("{label:?} has no options") };
        let chosen = options.iter().find(|(name, _)| name == option);
        field.value = chosen.unwrap_or_else(|| panic!("no option {option:?}")).1.clone();
        self
    }

    /// Ticks a box, or chooses a radio button instead of the others of its name.
    pub(crate) fn tick(mut self, label: &str) -> Self {
        let field = self.field_mut(label).clone();
        for other in &mut self.fields {
            if other.kind == Kind::Radio && other.name == field.name {
                other.is_sent = false;
            }
        }
        self.field_mut(label).is_sent = true;
        self
    }

    /// What stands in a field.
    pub(crate) fn value(&mut self, label: &str) -> String {
        self.field_mut(label).value.clone()
    }

    /// Sends the form elsewhere, as a forger would.
    pub(crate) fn lead_to(mut self, address: &str) -> Self {
        address.clone_into(&mut self.action);
        self
    }

    /// Replaces a hidden field, as a forger would.
    pub(crate) fn forge(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|field| field.name == name).unwrap();
        value.clone_into(&mut field.value);
        self
    }
}
