//! Everything that a network computes from a drawing, a picture or an image.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use lenet_data::{Picture, Polarity};
use serde::{Deserialize, Serialize};

use super::{App, binary};
use crate::engine::{self, ViewHeader};
use crate::error::ApiError;
use crate::gallery::excerpt;
use crate::server::extract::{Body, Query};

/// Largest height and width of a drawing, in pixels.
const MAX_SIDE: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    network: String,
    source: Source,
    /// Of a drawing or of pixels.
    width: Option<usize>,
    height: Option<usize>,
    /// Of a picture.
    polarity: Option<String>,
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    /// Grey bytes, light strokes on black, of any size.
    Drawing,
    /// A picture file.
    Picture,
    /// Grey bytes that are an image of the family already.
    Pixels,
}

/// The header of the answer.
#[derive(Debug, Serialize)]
struct Header<'a> {
    network: &'a str,
    step: Option<usize>,
    /// What was done to make the image.
    rule: String,
    inverted: bool,
    #[serde(flatten)]
    view: ViewHeader,
}

pub(super) async fn view(
    State(app): State<Arc<App>>,
    Query(request): Query<Request>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let network = app.networks.get(&request.network)?;
    let image_size = network.image_size();
    let source = request.source;
    let picture = match source {
        Source::Picture => {
            let polarity: Polarity = match request.polarity.as_deref() {
                None | Some("") => Polarity::Auto,
                Some(name) => name.parse().map_err(|_| {
                    ApiError::invalid(format!(
                        "unknown polarity '{}': expected auto, light-on-dark or dark-on-light",
                        excerpt(name)
                    ))
                })?,
            };
            let decode = move || Ok(Picture::from_bytes(&body, image_size, polarity)?);
            app.work.decode(decode).await?
        }
        Source::Drawing | Source::Pixels => {
            let size = size(&request, &body)?;
            let convert = move || match source {
                Source::Drawing => Ok(Picture::from_drawing(&body, size, image_size)?),
                _ => Ok(Picture::from_pixels(&body, size, image_size)?),
            };
            app.work.infer(convert).await?
        }
    };
    let device = app.networks.device().clone();
    let work = app.work.clone();
    let message = work
        .infer(move || {
            // As late as possible: training may be at a later step by now.
            let weighted = network.look();
            let view = engine::view(&weighted.lenet, &picture, &device)?;
            let mut header = view.header();
            header.prediction = header.prediction.with_names(network.classes());
            let header = Header {
                network: network.id(),
                step: weighted.step,
                rule: rule(source, &request, &picture),
                inverted: picture.is_inverted(),
                view: header,
            };
            Ok(engine::message(&header, view.values()))
        })
        .await?;
    Ok(binary(message))
}

/// Height and width of the body, which has as many bytes.
fn size(request: &Request, body: &Bytes) -> Result<[usize; 2], ApiError> {
    let (Some(width), Some(height)) = (request.width, request.height) else {
        return Err(ApiError::malformed(
            "the query is not valid: grey pixels need a width and a height",
        ));
    };
    for (name, side) in [("width", width), ("height", height)] {
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(ApiError::invalid(format!(
                "{name} is {side}: expected a number of pixels from 1 to {MAX_SIDE}"
            )));
        }
    }
    if body.len() != width * height {
        return Err(ApiError::invalid(format!(
            "the body has {} bytes: expected {} for {height}×{width} grey pixels",
            body.len(),
            width * height
        )));
    }
    Ok([height, width])
}

/// What was done to make the image, in a sentence.
fn rule(source: Source, request: &Request, picture: &Picture) -> String {
    let [height, width] = picture.image_size();
    match source {
        Source::Drawing if picture.pixels().iter().all(|&pixel| pixel == 0) => {
            "Nothing is drawn yet: the image is black.".to_owned()
        }
        Source::Drawing => format!(
            "As MNIST's authors did: cropped to the ink, scaled to fit a box of 20/28 of the {height}×{width} pixels, \
             brightened to the brightest stroke, and moved so that its centre of mass is in the middle, or as near as \
             the edges allow."
        ),
        Source::Picture => {
            let polarity = match (picture.is_inverted(), request.polarity.as_deref()) {
                (true, None | Some("" | "auto")) => "inverted because its border is light",
                (true, Some(_)) => "inverted, as chosen",
                (false, None | Some("" | "auto")) => "not inverted because its border is dark",
                (false, Some(_)) => "not inverted, as chosen",
            };
            format!(
                "Converted to grey, {polarity}, scaled as a whole to fit {height}×{width} pixels, and centred on black."
            )
        }
        Source::Pixels if (request.height, request.width) == (Some(height), Some(width)) => {
            "Used as it is: it already is an image for this network.".to_owned()
        }
        Source::Pixels => {
            format!("Scaled to fit the {height}×{width} pixels of this network's images.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(pixels: &[u8], size: [usize; 2], image_size: [usize; 2]) -> String {
        let request = Request {
            network: String::new(),
            source: Source::Drawing,
            width: Some(size[1]),
            height: Some(size[0]),
            polarity: None,
        };
        let picture = Picture::from_drawing(pixels, size, image_size).unwrap();
        rule(request.source, &request, &picture)
    }

    #[test]
    fn the_rule_of_a_drawing_has_every_step_in_its_order() {
        let found = rule_of(&[90; 12], [3, 4], [28, 56]);
        let steps = [
            "cropped to the ink",
            "a box of 20/28 of the 28×56 pixels",
            "brightened to the brightest stroke",
            "its centre of mass is in the middle, or as near as the edges allow",
        ];
        let places: Vec<_> = steps.iter().map(|step| found.find(step)).collect();
        assert!(places.iter().all(Option::is_some), "{found}");
        assert!(places.is_sorted(), "{found}");
        assert_eq!(
            rule_of(&[0; 12], [3, 4], [28, 28]),
            "Nothing is drawn yet: the image is black."
        );
    }
}
