use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

use crate::paths::{Found, find};

/// The imports of a crate's files: who imports from whom, and which paths say so.
pub type Imports = BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>;

/// Names handed on that are followed one after the other. More are a circle of names.
const HANDED_ON_MAX: usize = 16;

/// A module by its names from the root, which has none.
type ModuleName = Vec<String>;

struct Module {
    file: PathBuf,
    /// What its `use` items bring in, under their names.
    names: HashMap<String, Vec<String>>,
    paths: Vec<Vec<String>>,
}

/// Reads the imports of a crate that begins with the file `root`. Fails if a file of it cannot be
/// read.
pub fn imports(root: &Path) -> io::Result<Imports> {
    let mut modules = HashMap::new();
    let directory = root.parent().unwrap_or(Path::new(""));
    read_file(root, directory, Vec::new(), &mut modules)?;
    let mut imports = Imports::new();
    for (name, module) in &modules {
        for path in &module.paths {
            let imported = resolve(&modules, name, path, 0).and_then(|name| modules.get(&name));
            if let Some(imported) = imported.filter(|imported| imported.file != module.file) {
                let both = (module.file.clone(), imported.file.clone());
                imports.entry(both).or_default().insert(path.join("::"));
            }
        }
    }
    Ok(imports)
}

/// Reads a module and all below it. Files of its children are in `directory`.
fn read_file(
    file: &Path,
    directory: &Path,
    name: ModuleName,
    modules: &mut HashMap<ModuleName, Module>,
) -> io::Result<()> {
    let within = |error: &dyn std::fmt::Display| io::Error::other(format!("{file:?}: {error}"));
    let source = std::fs::read_to_string(file).map_err(|error| within(&error))?;
    let tokens = TokenStream::from_str(&source).map_err(|error| within(&error))?;
    read_module(file, directory, name, &tokens.into_iter().collect::<Vec<_>>(), modules)
}

fn read_module(
    file: &Path,
    directory: &Path,
    name: ModuleName,
    tokens: &[TokenTree],
    modules: &mut HashMap<ModuleName, Module>,
) -> io::Result<()> {
    let mut found = Vec::new();
    find(tokens, &mut found);
    let mut module = Module { file: file.to_owned(), names: HashMap::new(), paths: Vec::new() };
    for found in found {
        match found {
            Found::ModuleFile(child) => {
                let directory_of_child = directory.join(&child);
                let beside = directory.join(format!("{child}.rs"));
                let within = directory_of_child.join("mod.rs");
                let file_of_child = if beside.exists() { beside } else { within };
                let child = [name.as_slice(), &[child]].concat();
                read_file(&file_of_child, &directory_of_child, child, modules)?;
            }
            Found::InlineModule(child, tokens) => {
                let directory_of_child = directory.join(&child);
                let child = [name.as_slice(), &[child]].concat();
                read_module(file, &directory_of_child, child, &tokens, modules)?;
            }
            Found::Use { path, name } => {
                module.names.extend(name.map(|name| (name, path.clone())));
                module.paths.push(path);
            }
            Found::Path(path) => module.paths.push(path),
        }
    }
    modules.insert(name, module);
    Ok(())
}

/// The module that `path`, as it stands in the module `from`, leads to; `None` if that is of another
/// crate.
fn resolve(
    modules: &HashMap<ModuleName, Module>,
    from: &[String],
    path: &[String],
    handed_on: usize,
) -> Option<ModuleName> {
    let mut at = from.to_vec();
    let mut is_ours = false;
    for (index, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            _ => {
                let child = [at.as_slice(), std::slice::from_ref(segment)].concat();
                if modules.contains_key(&child) {
                    at = child;
                } else if is_ours {
                    let below = below(modules, &at, segment, &path[index + 1..], handed_on);
                    return Some(below.unwrap_or(at));
                } else {
                    return None;
                }
            }
        }
        is_ours = true;
    }
    Some(at)
}

/// The module below `face` that defines `name`, if `face` only hands it on.
fn below(
    modules: &HashMap<ModuleName, Module>,
    face: &[String],
    name: &str,
    rest: &[String],
    handed_on: usize,
) -> Option<ModuleName> {
    let target = modules.get(face)?.names.get(name).filter(|_| handed_on < HANDED_ON_MAX)?;
    let target = [target.as_slice(), rest].concat();
    let found = resolve(modules, face, &target, handed_on + 1)?;
    (found.len() > face.len() && found.starts_with(face)).then_some(found)
}
