//! What the user sees: tables as docker prints them, logs, JSON.

pub mod ago;
pub mod format;
pub mod history;
pub mod image_filter;
pub mod images;
pub mod inspect;
pub mod logs;
pub mod port;
pub mod ps;
pub mod table;
pub mod when;
