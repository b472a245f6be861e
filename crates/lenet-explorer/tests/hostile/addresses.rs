//! Addresses and queries that lead nowhere.

use super::{Table, request};
use crate::server::Server;

pub(super) fn addresses(server: &Server, table: &mut Table) {
    for (line, status, sentence) in [
        ("GET /nothing", 404, "nothing at this address"),
        (
            "GET /assets/../../Cargo.toml",
            404,
            "nothing at this address",
        ),
        (
            "GET /assets/..%2f..%2fCargo.toml",
            404,
            "nothing at this address",
        ),
        (
            "GET /api/networks/..%2f..%2fetc%2fpasswd/weights",
            404,
            "no network '../../etc/passwd'",
        ),
        ("GET /api/networks/%ff/weights", 400, "malformed"),
        (
            "GET /api/networks/resnet/weights",
            404,
            "no network 'resnet'",
        ),
        ("PUT /api/networks", 405, "this method"),
        ("GET /api/view", 405, "this method"),
        ("TRACE /", 405, "this method"),
        (
            "DELETE /api/networks/mnist-modern",
            403,
            "part of the program",
        ),
        ("DELETE /api/networks/resnet", 404, "no network"),
        ("GET /api/images/imagenet", 404, "no data set 'imagenet'"),
        (
            "GET /api/images/mnist",
            404,
            "mnist was not found. Searched:",
        ),
        ("GET /api/images/synthetic/99999", 404, "2000 images"),
        ("GET /api/images/synthetic/-1", 404, "2000 images"),
        ("GET /api/images/synthetic?class=10", 422, "no class '10'"),
        ("GET /api/images/synthetic?count=0", 422, "from 1 to 200"),
        (
            "GET /api/images/synthetic?count=1000000000",
            422,
            "from 1 to 200",
        ),
        ("GET /api/images/synthetic?offset=-1", 400, "invalid digit"),
        (
            "GET /api/images/synthetic?seed=99999999999999999999",
            400,
            "too large",
        ),
        (
            "GET /api/images/synthetic?order=sideways",
            400,
            "unknown variant `sideways`",
        ),
        (
            "GET /api/images/synthetic?misclassified=mnist-modern",
            422,
            "knows other classes",
        ),
        (
            "GET /api/images/synthetic?colour=red",
            400,
            "unknown field `colour`",
        ),
        (
            "GET /api/images/synthetic?count=1&count=2",
            400,
            "duplicate field",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv9&channel=0",
            422,
            "unknown stage 'conv9'",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv2&channel=16",
            422,
            "unknown channel 16",
        ),
        (
            "GET /api/unit?network=mnist-modern&stage=conv2",
            400,
            "missing field `channel`",
        ),
    ] {
        let answer = server.raw(&request(server, line, "", &[]));
        table.check(line, &answer, (Some(status), sentence));
    }
}
