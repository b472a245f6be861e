//! The page: everything that does not depend on a network or an image. The script modules in `assets/` fill
//! in the rest.

use maud::{DOCTYPE, Markup, html};

/// The one page of the explorer. It contains no script and no style: `Content-Security-Policy` forbids both.
pub(crate) fn page() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="description" content="Draw a digit, drop a picture or choose a test image, and see what each layer of a LeNet makes of it.";
                meta name="color-scheme" content="light dark";
                title { "LeNet explorer" }
                link rel="icon" type="image/svg+xml" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/style.css";
                // Not a module: it sets the theme before the first paint.
                script src="/assets/theme.js" {}
                script type="module" src="/assets/main.js" {}
            }
            body {
                a.skip href="#layers" { "Skip to the layers" }
                (header())
                noscript { p.notice { "The explorer needs JavaScript: please switch it on for this page." } }
                div #toast hidden {
                    p #message role="alert" {}
                    button #dismiss-message type="button" aria-label="Dismiss the message" { "✕" }
                }
                main {
                    (input())
                    (compare())
                    (layers())
                    (output())
                    (training())
                }
                footer {
                    p {
                        "Everything is computed on this computer: no drawing, picture or network leaves it."
                    }
                }
                div #drop-overlay hidden { p { "Drop a picture to see what the network makes of it" } }
                (camera())
                p #announcer.visually-hidden aria-live="polite" {}
            }
        }
    }
}

fn header() -> Markup {
    html! {
        header.top {
            h1 {
                img src="/assets/icon.svg" alt="" width="32" height="32";
                "LeNet explorer"
            }
            div.network-choice {
                label for="network" { "Network" }
                select #network {}
                (own_weights())
                a #download-weights.button href="/api/networks" download { "Download" }
            }
            p #network-facts.quiet {}
            nav aria-label="Sections" {
                a.narrow href="#input" data-section { "Input" }
                a.narrow href="#prediction-card" data-section { "Output" }
                a.narrow href="#layers-section" data-section { "Layers" }
                a href="#training-section" data-section { "Train" }
            }
            div.actions {
                button #copy-link type="button" { "Copy link" }
                button #theme type="button" aria-label="Colours: as the system" { "◐" }
            }
        }
    }
}

fn own_weights() -> Markup {
    html! {
        details #own-weights {
            summary.button { "Your weights…" }
            div.card {
                p.quiet { "A safetensors file, a burn record or a PyTorch state_dict (.pt). Files that contain their configuration ignore the first choice." }
                div.fields {
                    label { "Layers" select #network-preset {
                        option value="modern" { "modern: ReLU, max pooling" }
                        option value="classic" { "classic: sigmoid, average" }
                    } }
                    label { "Names of the classes" select #network-dataset {
                        option value="mnist" { "MNIST" }
                        option value="fashion-mnist" { "Fashion-MNIST" }
                        option value="kmnist" { "KMNIST" }
                    } }
                }
                div.tools {
                    input #network-file.visually-hidden type="file" accept=".safetensors,.bpk,.mpk,.pt,.pth,.bin";
                    label.button.primary for="network-file" { "Open a file…" }
                }
            }
        }
    }
}

fn input() -> Markup {
    html! {
        section #input.column aria-labelledby="input-title" tabindex="-1" {
            h2 #input-title.visually-hidden { "Input" }
            div.card {
                div.tabs role="tablist" aria-label="Where the image comes from" {
                    button #tab-draw type="button" role="tab" aria-selected="true" aria-controls="panel-draw" { "Draw" }
                    button #tab-picture type="button" role="tab" aria-selected="false" aria-controls="panel-picture" tabindex="-1" { "Picture" }
                    button #tab-images type="button" role="tab" aria-selected="false" aria-controls="panel-images" tabindex="-1" { "Test images" }
                }
                (draw())
                (picture())
                (images())
            }
            div.card.seen-card {
                h3 { "What the network sees" }
                div.seen-row {
                    canvas #seen role="img" aria-label="The image as the network sees it" width="280" height="280" {}
                    div.beside {
                        p #image-title.strong {}
                        button #pin type="button" { "Compare with this" }
                    }
                }
                p #rule.quiet {}
            }
        }
    }
}

fn draw() -> Markup {
    html! {
        div #panel-draw role="tabpanel" aria-labelledby="tab-draw" {
            div.drawing-frame {
                canvas #drawing width="280" height="280" tabindex="0" role="application" aria-roledescription="drawing area"
                    aria-label="Draw here" aria-describedby="drawing-help" {}
                div #drawing-cursor hidden {}
                p #drawing-hint aria-hidden="true" { "Draw here" }
            }
            div.tools {
                button #erase type="button" aria-pressed="false" { "Erase" }
                button #undo type="button" disabled { "Undo" }
                button #clear type="button" disabled { "Clear" }
                input #brush type="range" min="10" max="56" value="26" step="2" aria-label="Brush size" title="Brush size";
            }
            p #drawing-help.quiet {
                "By keyboard: arrow keys move the pen, space puts it down or lifts it."
            }
        }
    }
}

fn picture() -> Markup {
    html! {
        div #panel-picture role="tabpanel" aria-labelledby="tab-picture" hidden {
            div.picture-frame {
                canvas #picture-preview role="img" aria-label="The picture" width="280" height="280" hidden {}
                p #picture-hint { "Drop a picture anywhere on the page, paste one, or choose one:" }
            }
            div.tools {
                input #picture-file.visually-hidden type="file" accept="image/png,image/jpeg,image/gif,image/bmp,image/webp,.pnm,.pgm,.ppm";
                label.button for="picture-file" { "Choose a file…" }
                button #camera type="button" { "Camera" }
            }
            label.row { "Subject"
                select #polarity {
                    option value="auto" { "found by the border" }
                    option value="light-on-dark" { "light on dark" }
                    option value="dark-on-light" { "dark on light" }
                }
            }
        }
    }
}

fn images() -> Markup {
    html! {
        div #panel-images role="tabpanel" aria-labelledby="tab-images" hidden {
            div.fields {
                label { "Data set" select #dataset {} }
                label { "Class" select #class-filter { option value="" { "all" } } }
            }
            div.tools {
                button #random-image type="button" { "Random" }
                button #misclassified-image type="button" { "Misclassified" }
            }
            label.check { input #gallery-misclassified type="checkbox"; "Show only misclassified images" }
            ul #gallery aria-label="Test images" {}
            div.tools.pager {
                button #gallery-previous type="button" aria-label="Previous images" { "‹" }
                p #gallery-position.quiet {}
                button #gallery-next type="button" aria-label="Next images" { "›" }
            }
        }
    }
}

fn layers() -> Markup {
    html! {
        section #layers-section.column aria-labelledby="layers-title" tabindex="-1" {
            div.bar {
                h2 #layers-title { "Layers" }
                p #layers-help.quiet { "Point at a unit to see what it looks at. Click it, or use the arrow keys on a map, to pick it." }
                button #scale type="button" aria-pressed="true" title="Colours: one scale for all maps of a stage, or one for each map" { "Shared scale" }
            }
            div #layers tabindex="-1" role="region" aria-label="Activations of every layer" {}
        }
    }
}

fn output() -> Markup {
    html! {
        section #output.column aria-labelledby="output-title" {
            h2 #output-title.visually-hidden { "Output" }
            div #prediction-card.card tabindex="-1" {
                h3 { "Prediction" }
                p #prediction aria-live="polite" {}
                p #truth.quiet {}
                ul #probabilities aria-label="Probability of every class" {}
                p #entropy.quiet {}
            }
            div #unit.card {
                div.bar { h3 { "Unit" } button #unpick.small type="button" hidden { "Clear" } }
                p #unit-facts.strong { "No unit picked." }
                div #unit-maps hidden {
                    figure {
                        canvas #unit-kernel role="img" aria-label="Weights of the unit" width="1" height="1" {}
                        figcaption.quiet { "its weights" }
                    }
                    figure {
                        canvas #unit-patch role="img" aria-label="The part of the image that the unit sees" width="1" height="1" {}
                        figcaption.quiet { "what it sees" }
                    }
                }
                p #unit-words.quiet { "Click a unit in any map: its kernel, its value and the part of the image that it sees appear here." }
            }
            div #explanation-card.card {
                h3 { "Which pixels speak for it" }
                div.fields {
                    label { "Class" select #explain-class {} }
                    label { "Method" select #explain-method {
                        option value="gradient" { "gradient" }
                        option value="occlusion" { "occlusion" }
                    } }
                }
                div.seen-row {
                    canvas #explanation role="img" aria-label="Pixels that speak for and against the class" width="28" height="28" {}
                    p #explanation-words.quiet {}
                }
                canvas #explanation-legend.legend role="img" aria-label="Colours: from against the class to for the class" width="128" height="1" {}
                p.ends.quiet aria-hidden="true" { span { "against" } span { "for" } }
            }
        }
    }
}

fn compare() -> Markup {
    html! {
        section #compare.card aria-labelledby="compare-title" hidden {
            div.bar {
                h2 #compare-title { "Side by side" }
                button #unpin type="button" { "Close" }
            }
            div.pair {
                figure {
                    canvas #compare-a role="img" aria-label="Image A" width="28" height="28" {}
                    figcaption { strong { "A " } span #compare-a-text {} }
                }
                figure {
                    canvas #compare-b role="img" aria-label="Image B" width="28" height="28" {}
                    figcaption { strong { "B " } span #compare-b-text {} }
                }
                figure {
                    canvas #compare-difference role="img" aria-label="B minus A" width="28" height="28" {}
                    figcaption { strong { "B − A " } }
                }
            }
            ul #compare-words {}
            div #compare-maps {}
        }
    }
}

fn training() -> Markup {
    html! {
        section #training-section.card aria-labelledby="training-title" tabindex="-1" {
            h2 #training-title { "Train a network" }
            div.training-grid {
                form #training {
                    div.fields {
                        label { "Data set" select name="dataset" required {} }
                        label { "Layers" select name="preset" {
                            option value="modern" { "modern: ReLU, max pooling" }
                            option value="classic" { "classic: sigmoid, average" }
                            option value="tweakable" { "tweakable: padding 2" }
                        } }
                        label { "Kernel size" input name="kernel_size" type="number" min="1" max="15" value="5" required; }
                        label { "Channels of the convolutions" input name="out_channels" type="text" inputmode="numeric" value="6, 16" pattern=r" *\d+( *, *\d+)* *" title="Numbers with commas between them, such as 6, 16" required; }
                        label { "Units of the hidden dense layers" input name="hidden_dims" type="text" inputmode="numeric" value="120, 84" pattern=r" *(\d+( *, *\d+)*)? *" title="Numbers with commas between them, such as 120, 84"; }
                        label { "Learning rate" input name="learning_rate" type="number" min="0.0001" max="10" step="any" value="0.1" required; }
                        label { "Epochs" input name="epochs" type="number" min="1" max="100" value="5" required; }
                        label { "Images per batch" input name="batch_size" type="number" min="1" max="4096" value="128" required; }
                        label { "Training images" input name="images" type="number" min="100" max="60000" value="60000" required; }
                        label { "Seed" input name="seed" type="number" min="0" max="4294967295" value="0" required; }
                    }
                    div.tools {
                        button #start-training.primary type="submit" { "Start" }
                        button #stop-training type="button" disabled { "Stop" }
                        button #explore-training type="button" disabled { "Explore this network" }
                    }
                }
                div {
                    p #training-status data-status="idle" role="status" { "No training has run yet." }
                    progress #training-progress max="1" value="0" aria-label="Progress of the training" hidden {}
                    div #loss-chart role="img" aria-label="Training loss and validation accuracy: no training has run yet" {}
                    p #training-numbers.quiet {}
                }
            }
        }
    }
}

fn camera() -> Markup {
    html! {
        dialog #camera-dialog aria-labelledby="camera-title" {
            h2 #camera-title { "Camera" }
            video #camera-video autoplay playsinline muted aria-label="What the camera sees" {}
            div.tools {
                button #camera-take.primary type="button" { "Take a picture" }
                button #camera-cancel type="button" { "Cancel" }
            }
        }
    }
}
