//! What names mean, and shapes of code that hide a meaning: a type's name stands for one thing in
//! the whole program, a pair has a name, and a flag is asked with `if`.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use super::sources::{CRATES, Source, sources};

/// Names that every command or folder has by design: the arguments of a command.
const SHARED_BY_DESIGN: [&str; 1] = ["Args"];

/// Each type name of the program with the files that define it.
pub fn types() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for source in CRATES.iter().flat_map(|name| sources(name)) {
        for item in &source.items {
            let name = match item {
                syn::Item::Struct(it) => &it.ident,
                syn::Item::Enum(it) => &it.ident,
                syn::Item::Trait(it) => &it.ident,
                syn::Item::Type(it) => &it.ident,
                _ => continue,
            };
            let places = found.entry(name.to_string()).or_default();
            places.push(source.path.clone());
        }
    }
    found
}

/// The type names that mean more than one thing.
pub fn doubled() -> BTreeMap<String, Vec<String>> {
    let mut types = types();
    types.retain(|name, places| places.len() > 1 && !SHARED_BY_DESIGN.contains(&name.as_str()));
    types
}

/// A line of a file and what is wrong with it.
pub type Finding = (String, String);

/// Public functions that take a tuple, and `match`es on a flag.
pub fn shapes() -> (Vec<Finding>, Vec<Finding>) {
    let (mut tuples, mut flags) = (Vec::new(), Vec::new());
    for source in CRATES.iter().flat_map(|name| sources(name)) {
        let mut seen = Shapes::default();
        for item in &source.items {
            seen.visit_item(item);
        }
        tuples.extend(named(&source, seen.tuples));
        flags.extend(named(&source, seen.flags));
    }
    (tuples, flags)
}

fn named(source: &Source, found: Vec<String>) -> impl Iterator<Item = Finding> {
    found.into_iter().map(|what| (source.path.clone(), what))
}

#[derive(Default)]
struct Shapes {
    function: String,
    tuples: Vec<String>,
    flags: Vec<String>,
}

impl Shapes {
    fn see(&mut self, visibility: &syn::Visibility, signature: &syn::Signature) {
        self.function = signature.ident.to_string();
        if matches!(visibility, syn::Visibility::Inherited) {
            return;
        }
        for input in &signature.inputs {
            if let syn::FnArg::Typed(typed) = input
                && is_tuple(&typed.ty)
            {
                self.tuples.push(self.function.clone());
            }
        }
    }
}

fn is_tuple(kind: &syn::Type) -> bool {
    match kind {
        syn::Type::Reference(reference) => is_tuple(&reference.elem),
        syn::Type::Tuple(tuple) => tuple.elems.len() > 1,
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Shapes {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.see(&item.vis, &item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.see(&item.vis, &item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        let is_flag = |arm: &syn::Arm| {
            matches!(&arm.pat, syn::Pat::Lit(literal)
                if matches!(literal.lit, syn::Lit::Bool(_)))
        };
        // Several flags at once are a table, and so is a flag with a guard.
        if expression.arms.iter().all(is_flag) {
            self.flags.push(self.function.clone());
        }
        visit::visit_expr_match(self, expression);
    }
}
