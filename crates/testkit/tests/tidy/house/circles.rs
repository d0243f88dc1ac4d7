//! Circles in a graph: the groups of files of which each leads to each other.

use std::collections::BTreeMap;

use super::imports::Imports;

/// The circles of at least two files, as their places in the list.
pub fn circles(imports: &Imports) -> Vec<Vec<usize>> {
    let reach: Vec<Vec<bool>> = (0..imports.len())
        .map(|from| reached(imports, from))
        .collect();
    let mut by_first = BTreeMap::<usize, Vec<usize>>::new();
    for (file, reached) in reach.iter().enumerate() {
        let first = (0..imports.len()).find(|other| reached[*other] && reach[*other][file]);
        if let Some(first) = first {
            by_first.entry(first).or_default().push(file);
        }
    }
    by_first.into_values().collect()
}

/// What can be reached from a file in one step or more.
fn reached(imports: &Imports, from: usize) -> Vec<bool> {
    let mut seen = vec![false; imports.len()];
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for next in imports[file].keys() {
            if !seen[*next] {
                seen[*next] = true;
                waiting.push(*next);
            }
        }
    }
    seen
}
