//! Which files of a crate import each other.
//!
//! An import is a `use` or a path in code that leads to another file: by `crate`, `super`, `self` or
//! the name of a child module. A name that a module hands on from its children
//! (`pub use child::Name`) counts where it is defined. `mod child;` is no import, and neither is a
//! call of a method, whose `impl` may stand in any file.

mod circles;
mod modules;
mod paths;

pub use circles::circles;
pub use modules::{Imports, imports};
