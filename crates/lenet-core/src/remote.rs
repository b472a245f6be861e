//! Devices of other machines: how they are addressed, and how a connection is opened.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;

/// The environment variable that holds the token which a server of a device asks for.
pub const REMOTE_TOKEN: &str = "LENET_REMOTE_TOKEN";

/// Where the device of another machine is served: the server's id, and the address at which it is reached directly.
///
/// As text it is `ID` or `ID@ADDRESS:PORT`, where the id is the server's public key in hexadecimal, as the server
/// prints it. Without an address, the server is looked up and reached through the public relays of iroh, burn's
/// transport. Either way the connection is encrypted, and the id proves which server answers.
///
/// ```
/// use lenet_core::RemoteAddress;
///
/// let id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
/// let address: RemoteAddress = format!("{id}@192.168.1.5:4433").parse()?;
/// assert_eq!(address.to_string(), format!("{id}@192.168.1.5:4433"));
/// assert!("gpu.example:4433".parse::<RemoteAddress>().is_err());
/// # Ok::<(), lenet_core::InvalidRemoteAddress>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteAddress {
    id: [u8; 32],
    address: Option<SocketAddr>,
}

/// A text that is not the address of a remote device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "invalid remote device '{found}': expected ID or ID@ADDRESS:PORT as `lenet serve-device` prints it, with 64 \
     hexadecimal digits as ID and numbers as ADDRESS, such as 192.168.1.5:4433"
)]
pub struct InvalidRemoteAddress {
    /// The text.
    pub found: String,
}

impl RemoteAddress {
    /// The server with this public key, reached at this address or, without one, through relays.
    pub fn new(id: [u8; 32], address: Option<SocketAddr>) -> Self {
        Self { id, address }
    }

    /// The server's public key.
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// The address at which the server is reached directly.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.id {
            write!(f, "{byte:02x}")?;
        }
        match self.address {
            Some(address) => write!(f, "@{address}"),
            None => Ok(()),
        }
    }
}

impl FromStr for RemoteAddress {
    type Err = InvalidRemoteAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRemoteAddress {
            found: text.to_owned(),
        };
        let (id, address) = match text.split_once('@') {
            Some((id, address)) => (id, Some(address.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let id = parse_id(id).ok_or_else(invalid)?;
        Ok(Self { id, address })
    }
}

/// 32 bytes in hexadecimal.
fn parse_id(text: &str) -> Option<[u8; 32]> {
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != 32 || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let mut id = [0; 32];
    for (byte, &[high, low]) in id.iter_mut().zip(digits) {
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(id)
}

#[cfg(feature = "remote")]
mod connection {
    use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};
    use burn::tensor::Device;

    use super::{REMOTE_TOKEN, RemoteAddress};

    impl RemoteAddress {
        /// Opens the first device of the server, with the token of [`REMOTE_TOKEN`]; the error is a reason with its
        /// remedy.
        pub(crate) fn connect(&self) -> Result<Device, String> {
            let id = EndpointId::from_bytes(&self.id)
                .map_err(|_| "its id is not a public key: copy it from the server".to_owned())?;
            let mut host = IrohHost::new(id);
            if let Some(address) = self.address {
                host = host.with_relays(IrohRelays::Disabled).with_address(address);
            }
            let mut host = RemoteHost::iroh(host);
            let token = std::env::var(REMOTE_TOKEN).unwrap_or_default();
            if !token.is_empty() {
                host = host.with_credential(token.as_str());
            }
            let device = Device::remote_options(&host).init();
            device.map_err(|error| reason(&error, token.is_empty()))
        }
    }

    fn reason(error: &ConnectError, without_token: bool) -> String {
        match error {
            ConnectError::Unauthorized if without_token => {
                format!("it asks for a token: set {REMOTE_TOKEN} to the one that it printed")
            }
            ConnectError::Unauthorized => {
                format!("it refuses the token in {REMOTE_TOKEN}: set it to the one that it printed")
            }
            ConnectError::IncompatibleProtocol { .. } | ConnectError::Handshake { .. } => {
                format!("{error}; both programs must be built with the same release of burn")
            }
            ConnectError::Unreachable { .. } | ConnectError::NoAddress => {
                format!("{error}; is `lenet serve-device` running there?")
            }
            _ => error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";

    #[test]
    fn an_address_is_printed_as_it_is_parsed() {
        for text in [
            ID.to_owned(),
            format!("{ID}@127.0.0.1:4433"),
            format!("{ID}@[::1]:4433"),
        ] {
            assert_eq!(text.parse::<RemoteAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            String::new(),
            ID[1..].to_owned(),
            format!("{ID}0"),
            format!("{ID}@"),
            format!("{ID}@gpu:4433"),
            format!("{ID}@127.0.0.1"),
            ID.replace('a', "g"),
            "é".repeat(32),
        ] {
            let error = text.parse::<RemoteAddress>().unwrap_err();
            assert_eq!(error.found, text);
        }
    }
}
