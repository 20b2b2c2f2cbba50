use proc_macro2::{Delimiter, Spacing, TokenTree};

/// What a piece of source says about modules.
pub(crate) enum Found {
    /// `mod name;`
    ModuleFile(String),
    /// `mod name { … }`
    InlineModule(String, Vec<TokenTree>),
    /// A `use` of a path; the name that it brings in, unless that is all (`*`).
    Use { path: Vec<String>, name: Option<String> },
    /// A path in code.
    Path(Vec<String>),
}

/// Finds modules, imports and paths in `tokens`, except within inline modules.
pub(crate) fn find(tokens: &[TokenTree], found: &mut Vec<Found>) {
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        match rest {
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end), ..]
                if word == "mod" && end.as_char() == ';' =>
            {
                found.push(Found::ModuleFile(name.to_string()));
                at += 3;
            }
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(inside), ..]
                if word == "mod" && inside.delimiter() == Delimiter::Brace =>
            {
                let inside = inside.stream().into_iter().collect();
                found.push(Found::InlineModule(name.to_string(), inside));
                at += 3;
            }
            // `use<'a>` in a type imports nothing.
            [TokenTree::Ident(word), next, ..] if word == "use" && !is(next, '<') => {
                let end = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                find_uses(&rest[1..end], &[], found);
                at += end;
            }
            [TokenTree::Ident(_), ..] => {
                let path = path(rest);
                at += 3 * path.len() - 2;
                if path.len() > 1 {
                    found.push(Found::Path(path));
                }
            }
            // The rest of a path that begins with no name, such as `<T as Rule>::apply`.
            [first, second, TokenTree::Ident(_), ..] if is_double_colon(first, second) => {
                at += 3 * path(&rest[2..]).len();
            }
            [TokenTree::Group(inside), ..] => {
                find(&inside.stream().into_iter().collect::<Vec<_>>(), found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// The names with `::` between them that `tokens` begin with. Each but the last takes three tokens.
fn path(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(name), after @ ..] = rest {
        path.push(name.to_string());
        rest = match after {
            [first, second, next @ ..] if is_double_colon(first, second) => next,
            _ => break,
        };
    }
    path
}

/// Takes a `use` apart: `a::{b, c as d}` is `a::b` and `a::c`.
fn find_uses(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<Found>) {
    if tokens.is_empty() {
        // What follows the last comma.
        return;
    }
    let mut path = prefix.to_vec();
    let mut name = None;
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "as" => name = tokens.next().map(ToString::to_string),
            TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(inside) => {
                let inside: Vec<_> = inside.stream().into_iter().collect();
                for part in inside.split(|token| is(token, ',')) {
                    find_uses(part, &path, found);
                }
                return;
            }
            token if is(token, '*') => {
                found.push(Found::Use { path, name: None });
                return;
            }
            _ => {}
        }
    }
    let name = name.or_else(|| path.last().cloned());
    found.push(Found::Use { path, name });
}

fn is(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_double_colon(first: &TokenTree, second: &TokenTree) -> bool {
    let joint = matches!(first, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint);
    joint && is(first, ':') && is(second, ':')
}
