//! What is asked of footage that is due to go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// To know what is due, or to have it go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpireAsk {
    /// Of which camera, with all of its streams, or of which stream; of all where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// What is held of the camera, because it is most of what there is, is to go.
    pub confirm: bool,
    /// Nothing is done, and it is said what is due.
    pub dry_run: bool,
    /// The configuration that is meant, as an absolute path; whichever where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}
