//! Which file of a crate takes names from which other.
//!
//! A name counts for the file that defines it: what a `mod.rs` only hands on (`pub use`) ties
//! nobody to the `mod.rs`. Declaring a module is no import either.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::sources::Source;

/// For each file, by its place in the list, the files that it knows and a name taken from each.
pub type Imports = Vec<BTreeMap<usize, BTreeSet<String>>>;

/// Finds the imports of all files of one crate.
pub fn imports(sources: &[Source]) -> Imports {
    let crate_map = CrateMap::new(sources);
    let of_file = |(number, source): (usize, &Source)| {
        let mut seen = Seen {
            module: source.module.clone(),
            children: children(&source.items),
            paths: Vec::new(),
        };
        for item in &source.items {
            seen.visit_item(item);
        }
        let mut known = BTreeMap::<usize, BTreeSet<String>>::new();
        for path in seen.paths {
            if let Some((other, name)) = crate_map.home_of(&path)
                && other != number
            {
                known.entry(other).or_default().insert(name);
            }
        }
        known
    };
    sources.iter().enumerate().map(of_file).collect()
}

struct CrateMap {
    files: BTreeMap<Vec<String>, usize>,
    /// Module and name to the path that is handed on under that name.
    handed_on: BTreeMap<Vec<String>, Vec<String>>,
}

impl CrateMap {
    fn new(sources: &[Source]) -> CrateMap {
        let files = sources.iter().enumerate();
        let files = files.map(|(number, source)| (source.module.clone(), number));
        let mut handed_on = BTreeMap::new();
        for source in sources {
            let children = children(&source.items);
            for item in &source.items {
                if let syn::Item::Use(item) = item
                    && !matches!(item.vis, syn::Visibility::Inherited)
                {
                    for used in used_names(&item.tree) {
                        let mut own = source.module.clone();
                        own.push(used.shown_as);
                        if let Some(path) = absolute(&source.module, &children, &used.path) {
                            handed_on.insert(own, path);
                        }
                    }
                }
            }
        }
        CrateMap {
            files: files.collect(),
            handed_on,
        }
    }

    /// The file in which the item of an absolute path is defined, and the item's name.
    fn home_of(&self, path: &[String]) -> Option<(usize, String)> {
        let mut path = path.to_vec();
        // A name may be handed on several times.
        for _ in 0..8 {
            let next = (1..=path.len()).find_map(|length| {
                let target = self.handed_on.get(&path[..length])?;
                Some([target.clone(), path[length..].to_vec()].concat())
            });
            match next {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        let length = (0..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let name = path.get(length).or(path.last())?;
        Some((self.files[&path[..length]], name.clone()))
    }
}

fn children(items: &[syn::Item]) -> BTreeSet<String> {
    let declared = items.iter().filter_map(|item| match item {
        syn::Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    });
    declared.collect()
}

struct Used {
    path: Vec<String>,
    shown_as: String,
}

fn used_names(tree: &syn::UseTree) -> Vec<Used> {
    fn walk(tree: &syn::UseTree, before: &[String], found: &mut Vec<Used>) {
        let with = |name: &syn::Ident| [before.to_vec(), vec![name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => walk(&path.tree, &with(&path.ident), found),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    walk(tree, before, found);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => found.push(Used {
                path: before.to_vec(),
                shown_as: before.last().cloned().unwrap_or_default(),
            }),
            syn::UseTree::Name(name) => found.push(Used {
                path: with(&name.ident),
                shown_as: name.ident.to_string(),
            }),
            syn::UseTree::Rename(rename) => found.push(Used {
                path: with(&rename.ident),
                shown_as: rename.rename.to_string(),
            }),
            syn::UseTree::Glob(_) => found.push(Used {
                path: before.to_vec(),
                shown_as: "*".to_owned(),
            }),
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// The path from the crate's root; `None` if it leads into another crate.
fn absolute(
    module: &[String],
    children: &BTreeSet<String>,
    path: &[String],
) -> Option<Vec<String>> {
    let first = path.first()?;
    let rest = || path[1..].to_vec();
    match first.as_str() {
        "crate" => Some(rest()),
        "self" => Some([module.to_vec(), rest()].concat()),
        "super" => {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let above = module.len().checked_sub(supers)?;
            Some([module[..above].to_vec(), path[supers..].to_vec()].concat())
        }
        name if children.contains(name) && path.len() > 1 => {
            Some([module.to_vec(), path.to_vec()].concat())
        }
        _ => None,
    }
}

struct Seen {
    module: Vec<String>,
    children: BTreeSet<String>,
    paths: Vec<Vec<String>>,
}

impl Seen {
    fn add(&mut self, path: &[String]) {
        self.paths
            .extend(absolute(&self.module, &self.children, path));
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // What is only handed on is no knowledge of this file's; `::name` is another crate.
        if matches!(item.vis, syn::Visibility::Inherited) && item.leading_colon.is_none() {
            for used in used_names(&item.tree) {
                self.add(&used.path);
            }
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` says who may know, and knows nobody.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        let names: Vec<String> = names.collect();
        if path.leading_colon.is_none() {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }
}
