//! Results for standard output: text for people, JSON for programs.

pub mod console;
pub mod json;
pub mod next_steps;
pub mod stages;
pub mod terminal;
