//! How far something is.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar up to `length`, which looks like `template`.
pub(super) fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
