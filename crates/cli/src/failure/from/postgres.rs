//! What is wrong with a connection to PostgreSQL.

use engine::causes;

use crate::failure::{Failure, Kind};

impl From<postgres::ConfigError> for Failure {
    fn from(error: postgres::ConfigError) -> Failure {
        let what = format!(
            "cannot connect to PostgreSQL: {}",
            causes::in_one_line(&error)
        );
        Failure::new(Kind::Failed, what)
    }
}
