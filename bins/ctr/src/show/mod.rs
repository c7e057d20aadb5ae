//! What the user sees: tables as docker prints them, logs, JSON.

pub mod ago;
pub mod df;
pub mod disk;
pub mod events;
pub mod format;
pub mod history;
pub mod image_filter;
pub mod images;
pub mod info;
pub mod inspect;
pub mod logs;
pub mod places;
pub mod port;
pub mod ps;
pub mod quote;
pub mod stats;
pub mod table;
pub mod template;
pub mod top;
pub mod version;
pub mod when;
