//! A login that is not of the configuration, and lines of one.

use std::path::PathBuf;

use super::CommandError;
use crate::config::password_in;

/// Who logs in.
#[derive(Clone, Debug, Default)]
pub struct LoginRequest {
    /// The name; none where nobody does.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
}

impl LoginRequest {
    /// The password, where a file is named.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn password(&self) -> Result<Option<String>, CommandError> {
        let password = self.password_file.as_deref().map(password_in).transpose();
        let password = password.map_err(CommandError::Usage)?;
        Ok(password.map(|password| password.reveal().to_owned()))
    }

    /// The same as lines of a section of the configuration.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        if let Some(name) = &self.username {
            text += &format!("username = {}\n", toml_text(name));
        }
        if let Some(file) = &self.password_file {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            text += &format!("password_file = {}\n", toml_text(&file.display().to_string()));
        }
        text
    }
}

/// A basic string (TOML 1.0); its escapes are those of JSON.
pub(super) fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
