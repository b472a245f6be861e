//! `lenet serve-device`: lets programs on other machines compute on a device of this one.

use std::env::VarError;
use std::fs::create_dir_all;
use std::io::{Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use burn::remote::IrohIdentity;
use burn::server::{
    AuthorizationRequest, BURN_REMOTE_ALPN, Endpoint, PeerAuthorizer, RemoteServer, TokenAuthorizer,
};
use burn::tensor::Device;
use clap::Args;
use iroh::endpoint::{QuicTransportConfig, VarInt, presets};
use iroh::protocol::Router;
use iroh::{RelayMode, SecretKey};
use lenet_core::{DeviceChoice, REMOTE_TOKEN, RemoteAddress};

use crate::session::interrupt;

pub(crate) const ABOUT: &str = "Let programs on other machines compute on a device of this one";

pub(crate) const LONG_ABOUT: &str = "Let programs on other machines compute on a device of this one\n\n\
    They name it with --device remote:ID@ADDRESS:PORT, as this command prints it, and prove with the token in \
    LENET_REMOTE_TOKEN that they may use it. Connections are encrypted, and the id proves which server answers. Both \
    programs must be built with the same release of burn. Ctrl-C and SIGTERM end the server, which then exits with 0.";

/// How soon the server notices a signal.
const POLL: Duration = Duration::from_millis(50);

/// How long the server waits for its clients to hear that it ends.
const GRACE: Duration = Duration::from_millis(500);

/// After how many milliseconds of silence both ends take the other for dead; each sends a sign of life every 5 s.
const SILENCE: u32 = 15_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeDeviceArgs {
    /// Device to serve
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: DeviceChoice,

    /// Address to listen on; 127.0.0.1, the default, is reached from this machine only [default with --relays: all]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,

    /// UDP port [default: a free one]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,

    /// Be reachable from anywhere, through the public relays of iroh
    #[arg(long)]
    relays: bool,

    /// File of the server's secret key, created if missing, which keeps its id the same; servers that run at the same
    /// time need one each [default: lenet/serve-device.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(crate) fn run(args: &ServeDeviceArgs) -> Result<()> {
    if let DeviceChoice::Remote(_) = args.device {
        bail!(
            "a remote device cannot be served again: run this command on the machine that has it"
        );
    }
    let token = given_token()?;
    let device = args.device.select()?;
    let identity = identity(args.identity.as_deref())?;
    let stop = interrupt::flag()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    say!("serving   {}", device.description);
    let served = runtime.block_on(serve(args, device.device, &identity, token, &stop));
    // Sessions may be computing, and are not waited for.
    runtime.shutdown_background();
    served?;
    say!("stopped");
    Ok(())
}

/// The token in the environment, if there is one.
fn given_token() -> Result<Option<String>> {
    match std::env::var(REMOTE_TOKEN) {
        Ok(token) if token.is_empty() => {
            bail!("{REMOTE_TOKEN} is empty: set it to a token, or unset it for a random one")
        }
        Ok(token) => Ok(Some(token)),
        Err(VarError::NotPresent) => Ok(None),
        // Its value is a secret.
        Err(VarError::NotUnicode(_)) => bail!("{REMOTE_TOKEN} is not valid UTF-8"),
    }
}

fn identity(path: Option<&Path>) -> Result<IrohIdentity> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => dirs::data_local_dir()
            .context("this user has no data directory: choose a file for the key with --identity")?
            .join("lenet/serve-device.key"),
    };
    let load = || {
        if let Some(folder) = path.parent() {
            create_dir_all(folder)?;
        }
        IrohIdentity::load_or_create(&path)
    };
    load().with_context(|| format!("cannot use the key in {}", path.display()))
}

/// Says on standard error who connects.
struct Reported(TokenAuthorizer);

impl PeerAuthorizer for Reported {
    fn authorize(&self, request: AuthorizationRequest<'_>) -> Result<(), String> {
        let client = request.client;
        let result = self.0.authorize(request);
        match &result {
            Ok(()) => eprintln!("{client} connected"),
            Err(_) => eprintln!("{client} was refused: its token is not the one of this server"),
        }
        result
    }
}

async fn serve(
    args: &ServeDeviceArgs,
    device: Device,
    identity: &IrohIdentity,
    token: Option<String>,
    stop: &AtomicBool,
) -> Result<()> {
    let builder = if args.relays {
        Endpoint::builder(presets::N0)
    } else {
        Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled)
    };
    let unless_told = if args.relays {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };
    let address = SocketAddr::new(args.host.unwrap_or(unless_told.into()), args.port);
    // Segmentation offload is off at burn's own endpoints, too: https://github.com/n0-computer/iroh/issues/4555.
    let transport = QuicTransportConfig::builder()
        .enable_segmentation_offload(false)
        .max_idle_timeout(Some(VarInt::from_u32(SILENCE).into()));
    let endpoint = builder
        .secret_key(SecretKey::from_bytes(&identity.to_bytes()))
        .transport_config(transport.build())
        .clear_ip_transports()
        .bind_addr(address)
        .with_context(|| format!("cannot listen on {address}"))?
        .bind()
        .await
        .with_context(|| {
            format!(
                "cannot listen on {address}: is the port in use? leave --port out for a free one"
            )
        })?;
    let bound = endpoint.bound_sockets();
    let bound = bound
        .first()
        .copied()
        .context("the endpoint has no address")?;

    let is_given = token.is_some();
    // 256 random bits from the operating system, like any other secret key.
    let token = token.unwrap_or_else(|| {
        let bytes = SecretKey::generate().to_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    let authorizer = TokenAuthorizer::new(token.as_str())?;
    let protocol = RemoteServer::new([device])
        .with_authorizer(Reported(authorizer))
        .into_protocol(&endpoint)?;
    let router = Router::builder(endpoint)
        .accept(BURN_REMOTE_ALPN, protocol)
        .spawn();

    let direct = (!args.relays).then_some(bound);
    let remote = DeviceChoice::Remote(RemoteAddress::new(*identity.id().as_bytes(), direct));
    say!("device    --device {remote}");
    if is_given {
        say!("token     the one in {REMOTE_TOKEN}");
    } else {
        say!("token     {REMOTE_TOKEN}={token}");
    }
    if args.relays {
        say!("warning   reachable from anywhere: whoever has the token can compute here");
    } else if bound.ip().is_unspecified() {
        say!(
            "warning   reachable on every network of this machine; put its address in place of {}",
            bound.ip()
        );
    } else if !bound.ip().is_loopback() {
        say!("warning   reachable from other machines: whoever has the token can compute here");
    }
    // At once, even into a pipe.
    let _ = stdout().flush();

    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(POLL).await;
    }
    // Ends the sessions; clients that still answer learn it at once.
    let _ = tokio::time::timeout(GRACE, router.shutdown()).await;
    Ok(())
}
