//! `lenet serve-device`: lets programs on other machines compute on a device of this one.

use std::io::{Write, stdout};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use burn::remote::IrohIdentity;
use burn::server::{BURN_REMOTE_ALPN, Endpoint, RemoteServer, TokenAuthorizer};
use burn::tensor::Device;
use clap::Args;
use iroh::endpoint::presets;
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

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeDeviceArgs {
    /// Device to serve
    #[arg(long, value_name = "NAME", default_value = "auto")]
    device: DeviceChoice,

    /// Address to listen on; the default is reached from this machine only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

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

    /// Keep the server's key in this file, so that its id stays the same; created if missing [default: a new id each
    /// time]
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(crate) fn run(args: &ServeDeviceArgs) -> Result<()> {
    let device = args.device.select()?;
    let identity = match &args.identity {
        Some(path) => IrohIdentity::load_or_create(path)
            .with_context(|| format!("cannot use the key in {}", path.display()))?,
        None => IrohIdentity::random(),
    };
    let token = std::env::var(REMOTE_TOKEN).ok();
    let token = token.filter(|token| !token.is_empty());
    let stop = interrupt::flag()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    say!("serving   {}", device.description);
    runtime.block_on(serve(args, device.device, &identity, token, &stop))?;
    say!("stopped");
    Ok(())
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
    let address = SocketAddr::new(args.host, args.port);
    let endpoint = builder
        .secret_key(SecretKey::from_bytes(&identity.to_bytes()))
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
        .with_authorizer(authorizer)
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
    // Ends the sessions; clients learn it at once.
    let _ = router.shutdown().await;
    Ok(())
}
