//! The plan of the house: which file knows which, and what its names mean. Read from the parsed
//! source, so that a rule sees what the compiler sees; `scripts/house` prints the counts.

mod circles;
mod counts;
mod imports;
mod names;
mod sources;
mod words;
