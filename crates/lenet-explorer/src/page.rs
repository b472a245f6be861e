//! The page.

use maud::{DOCTYPE, Markup, html};

/// The one page of the explorer.
pub(crate) fn page() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { title { "LeNet explorer" } }
            body { p { "The page is missing in this build." } }
        }
    }
}
