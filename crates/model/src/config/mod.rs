//! The configuration of a Barman host: `/etc/barman.conf` and the files beside it.
//!
//! [`table`] has all options and [`options`] says what an option is; [`ini`] reads a file,
//! [`values`] a value, [`sections`] makes the settings of each section of them, [`complaints`] says
//! what does not fit, and [`server`] is one server as the commands see it, with what keeps it from
//! working. Which files there are is the engine's to find out.

pub mod complaints;
pub mod faults;
pub mod ini;
pub mod options;
pub mod sections;
pub mod server;
pub mod settings;
pub mod table;
pub mod values;

#[cfg(test)]
mod tests;
