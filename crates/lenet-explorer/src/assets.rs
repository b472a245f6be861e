//! The script modules, the style and the icon: part of the program, so that it works without its sources.

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Content type and text of an asset, by its file name.
pub(crate) fn asset(name: &str) -> Option<(&'static str, &'static str)> {
    ASSETS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|&(_, content_type, text)| (content_type, text))
}

/// Name, content type and text of every asset.
const ASSETS: &[(&str, &str, &str)] = &[
    ("api.js", SCRIPT, include_str!("../assets/api.js")),
    ("base64.js", SCRIPT, include_str!("../assets/base64.js")),
    ("chart.js", SCRIPT, include_str!("../assets/chart.js")),
    ("colour.js", SCRIPT, include_str!("../assets/colour.js")),
    (
        "compare-stage.js",
        SCRIPT,
        include_str!("../assets/compare-stage.js"),
    ),
    ("compare.js", SCRIPT, include_str!("../assets/compare.js")),
    ("dom.js", SCRIPT, include_str!("../assets/dom.js")),
    ("drawing.js", SCRIPT, include_str!("../assets/drawing.js")),
    ("explain.js", SCRIPT, include_str!("../assets/explain.js")),
    ("explorer.js", SCRIPT, include_str!("../assets/explorer.js")),
    ("figure.js", SCRIPT, include_str!("../assets/figure.js")),
    ("format.js", SCRIPT, include_str!("../assets/format.js")),
    ("gallery.js", SCRIPT, include_str!("../assets/gallery.js")),
    ("icon.svg", ICON, include_str!("../assets/icon.svg")),
    ("layers.js", SCRIPT, include_str!("../assets/layers.js")),
    ("link.js", SCRIPT, include_str!("../assets/link.js")),
    ("main.js", SCRIPT, include_str!("../assets/main.js")),
    ("message.js", SCRIPT, include_str!("../assets/message.js")),
    ("networks.js", SCRIPT, include_str!("../assets/networks.js")),
    ("picture.js", SCRIPT, include_str!("../assets/picture.js")),
    (
        "prediction.js",
        SCRIPT,
        include_str!("../assets/prediction.js"),
    ),
    ("seen.js", SCRIPT, include_str!("../assets/seen.js")),
    ("state.js", SCRIPT, include_str!("../assets/state.js")),
    ("style.css", STYLE, include_str!("../assets/style.css")),
    ("tabs.js", SCRIPT, include_str!("../assets/tabs.js")),
    ("theme.js", SCRIPT, include_str!("../assets/theme.js")),
    ("training.js", SCRIPT, include_str!("../assets/training.js")),
    ("types.js", SCRIPT, include_str!("../assets/types.js")),
    ("unit.js", SCRIPT, include_str!("../assets/unit.js")),
    ("units.js", SCRIPT, include_str!("../assets/units.js")),
];
