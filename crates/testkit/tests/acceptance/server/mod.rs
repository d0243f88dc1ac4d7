//! The Barman server: the `barman` command on a host of its own, beside Python Barman.

mod configuration;
mod host;
mod no_loss;
mod receiving;
