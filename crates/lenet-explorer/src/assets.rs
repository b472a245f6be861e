//! The script modules, the style and the icon: part of the program, so that it works without its sources.

/// Content type and text of an asset, by its file name.
pub(crate) fn asset(_name: &str) -> Option<(&'static str, &'static str)> {
    None
}
