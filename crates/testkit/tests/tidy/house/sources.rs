//! The source files of one crate as parsed modules, without their unit tests.

use crate::tree::{File, files};

/// The crates that make the programs.
pub const CRATES: [&str; 5] = ["model", "postgres", "engine", "cloud", "cli"];

/// One file of a crate.
pub struct Source {
    pub path: String,
    /// Its place in the crate: `backup::record` as two names, none for the crate's root.
    pub module: Vec<String>,
    pub items: Vec<syn::Item>,
}

/// All files of one crate that the program is built from.
pub fn sources(crate_name: &str) -> Vec<Source> {
    let all = files();
    let wanted = |file: &&File| file.crate_name() == Some(crate_name) && file.is_source();
    all.iter().filter(wanted).map(parse).collect()
}

fn parse(file: &File) -> Source {
    let parsed = syn::parse_file(&file.text);
    let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.path));
    Source {
        path: file.path.clone(),
        module: module_of(&file.path),
        items: parsed.items.into_iter().filter(|it| !is_test(it)).collect(),
    }
}

/// `crates/engine/src/backup/mod.rs` is `backup`, as `backup.rs` would be.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let names = inside.trim_end_matches(".rs").split('/');
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    if matches!(
        names.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        names.pop();
    }
    names
}

fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}
