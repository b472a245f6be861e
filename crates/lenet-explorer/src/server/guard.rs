//! The guard against other origins: pages of other sites must not read or change anything here.
//!
//! A page of another site can send requests to this address, and after DNS rebinding even from an origin that the
//! browser takes for this one. The first shows in `Origin` and `Sec-Fetch-Site`, the second in `Host`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The hosts under which this server is addressed.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    allowed: Arc<[String]>,
    port: u16,
    /// The server listens on all addresses of the machine, so that every IP address may be one of them. That is
    /// safe: DNS rebinding needs a name.
    any_ip: bool,
}

impl Hosts {
    /// `given` is the host on the command line, `address` that of the listener.
    pub(crate) fn new(given: &str, address: SocketAddr) -> Self {
        let port = address.port();
        let bare = given.trim_start_matches('[').trim_end_matches(']');
        let given = if bare.contains(':') {
            format!("[{bare}]")
        } else {
            bare.to_ascii_lowercase()
        };
        let mut names = vec![
            "127.0.0.1".to_owned(),
            "localhost".to_owned(),
            "[::1]".to_owned(),
        ];
        // The printed address has the number, whatever name was given for it. An address cannot be rebound.
        let number = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        for name in [given, number] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut allowed: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            // Browsers leave the default port out.
            allowed.extend(names);
        }
        Self {
            allowed: allowed.into(),
            port,
            any_ip: address.ip().is_unspecified(),
        }
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.allowed.contains(&host) {
            return true;
        }
        let address = host
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, 80)));
        self.any_ip && address.is_some_and(|address| address.port() == self.port)
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let foreign = || {
            ApiError::forbidden(format!(
                "this server only answers requests to {}: open the address that it printed",
                self.allowed.join(", ")
            ))
        };
        let host = only(request.headers(), &HOST)?.ok_or_else(foreign)?;
        // A proxy's form of request names the host a second time.
        let authority = request.uri().authority().map(Authority::as_str);
        if ![Some(host), authority]
            .into_iter()
            .flatten()
            .all(|host| self.allows(host))
        {
            return Err(foreign());
        }

        let refused = || {
            ApiError::forbidden(
                "the request comes from a page of another site, which must not use this server",
            )
        };
        let site = only(request.headers(), &SEC_FETCH_SITE)?;
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_page = is_read && request.uri().path() == "/";
        // A link to the page is harmless; older browsers do not say where a request comes from.
        if !is_page && !matches!(site, None | Some("same-origin" | "none")) {
            return Err(refused());
        }
        let origin = only(request.headers(), &ORIGIN)?;
        let is_own = |origin: &str| {
            let host = origin.strip_prefix("http://");
            host.is_some_and(|host| self.allows(host))
        };
        if !is_read && !origin.is_none_or(is_own) {
            return Err(refused());
        }
        Ok(())
    }
}

/// The value of a header that must not occur twice.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let value = first.map(|value| value.to_str()).transpose();
    match (value, second) {
        (Ok(value), None) => Ok(value),
        _ => Err(ApiError::malformed(format!(
            "the header {name} must occur once, and be plain text"
        ))),
    }
}

/// Refuses requests that are not addressed to this server, or come from another site.
pub(super) async fn guard(
    State(hosts): State<Hosts>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    hosts.check(&request)?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_server_are_allowed() {
        let hosts = Hosts::new("127.0.0.1", "127.0.0.1:8080".parse().unwrap());
        for host in ["127.0.0.1:8080", "LOCALHOST:8080", "[::1]:8080"] {
            assert!(hosts.allows(host), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:8080",
            "10.0.0.1:8080",
            "",
        ] {
            assert!(!hosts.allows(host), "{host}");
        }
        let everywhere = Hosts::new("0.0.0.0", "0.0.0.0:8080".parse().unwrap());
        assert!(everywhere.allows("192.168.1.5:8080"));
        assert!(!everywhere.allows("192.168.1.5:8081"));
        assert!(!everywhere.allows("evil.example:8080"));
        let default_port = Hosts::new("lenet.example", "10.0.0.1:80".parse().unwrap());
        assert!(default_port.allows("lenet.example"));
        assert!(default_port.allows("10.0.0.1"));
        assert!(!default_port.allows("10.0.0.2"));
    }

    #[test]
    fn the_printed_address_is_allowed_however_it_was_given() {
        for (given, address) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("127.2", "127.0.0.2:8080"),
            ("desk", "192.168.1.5:8080"),
            ("fe80:0::1", "[fe80::1]:8080"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("::", "[::]:8080"),
        ] {
            let address = address.parse().unwrap();
            let url = crate::server::url(address);
            let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
            assert!(Hosts::new(given, address).allows(host), "{given}: {host}");
        }
    }
}
