//! The flags of `lenet explore`, and how it starts and ends.

use std::io::{self, Write, stdout};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Command, FromArgMatches};
use lenet_cli::Subcommand;
use lenet_core::{DeviceChoice, Preset, Weights};
use lenet_data::KnownDataset;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::App;
use crate::error::report;
use crate::gallery::Gallery;
use crate::networks::Networks;
use crate::server::work::Work;
use crate::server::{Hosts, router, serve, url};
use crate::training::{Training, publish_changes};

const ABOUT: &str = "See what each layer makes of a drawing, in the browser";

const AFTER_HELP: &str = "The page works without a network connection. The server stops after Ctrl-C or SIGTERM, \
     within a second, and the exit code is then 0. Networks that were trained in the page are lost unless they were \
     downloaded.";

/// Time for a training to stop when the server ends.
const LAST_STEP: Duration = Duration::from_millis(300);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

#[derive(Clone, Debug, Args)]
struct ExploreArgs {
    /// Port [default: a free one]
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// Address to listen on; others than 127.0.0.1 make the page available to other machines
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// Do not open the page in the browser
    #[arg(long)]
    no_open: bool,

    /// Network to show first, such as mnist-modern, or the file name of --weights in lower case without its extension
    #[arg(long, value_name = "NAME")]
    network: Option<String>,

    /// Your own weights: safetensors, burn records or PyTorch files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    weights: Vec<PathBuf>,

    /// Assume classic LeNets (sigmoid, average pooling) if the weights do not contain their configuration
    #[arg(long, requires = "weights")]
    classic: bool,

    /// The data set that your weights were trained on, for the names of the classes: mnist, fashion-mnist or kmnist
    #[arg(long, value_name = "NAME", requires = "weights")]
    classes: Option<KnownDataset>,

    /// Directory to search first for data sets; then LENET_DATA_DIR, datasets/ and the user's cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Device
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: DeviceChoice,
}

/// The subcommand `explore`, for [`lenet_cli::main`].
pub fn subcommand() -> Subcommand {
    let command = Command::new("explore").about(ABOUT).after_help(AFTER_HELP);
    Subcommand {
        command: ExploreArgs::augment_args(command),
        run: |matches| run(&ExploreArgs::from_arg_matches(matches)?),
    }
}

fn run(args: &ExploreArgs) -> Result<()> {
    let networks = Networks::new(args.device.select()?.device)?;
    for path in &args.weights {
        open_weights(&networks, path, args).with_context(|| path.display().to_string())?;
    }
    let fragment = match &args.network {
        Some(id) => {
            let known = || {
                let ids: Vec<String> = networks.all().iter().map(|n| n.id().to_owned()).collect();
                format!("unknown network '{id}': expected one of {}", ids.join(", "))
            };
            networks.get(id).map_err(|_| anyhow!(known()))?;
            format!("#network={id}")
        }
        None => String::new(),
    };
    let address = address(&args.host, args.port.unwrap_or(0))?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the server")?;
    runtime.block_on(async {
        // Before the address is printed, so that a signal from then on ends the server properly.
        let signal = signal().context("cannot handle Ctrl-C")?;
        let listener = listen(address)?;
        let address = listener.local_addr().context("the address of the server")?;
        let url = url(address);

        let (end, shutdown) = watch::channel(false);
        let app = Arc::new(App {
            networks,
            gallery: Gallery::new(args.data_dir.clone()),
            training: Training::new(),
            work: Work::new(),
            shutdown: shutdown.clone(),
        });
        let router = router(Arc::clone(&app), Hosts::new(&args.host, address));
        let server = tokio::spawn(serve(listener, router, shutdown));
        tokio::spawn(publish_changes(Arc::clone(&app)));

        // Before the address, on which others may act at once.
        if !address.ip().is_loopback() {
            report(&format!(
                "warning: everyone who reaches {} over the network can use this server; there is no password and no \
                 encryption",
                args.host
            ));
        }
        let page = format!("{url}{fragment}");
        announce(&page)?;
        if !args.no_open {
            open_browser(page);
        }

        signal.await;
        let _ = end.send(true);
        // There may be none.
        let _ = app.training.stop();
        let _ = server.await;
        app.training.wait(LAST_STEP).await;
        Ok::<_, anyhow::Error>(())
    })?;
    // Work on blocking threads, such as a download, is not waited for.
    runtime.shutdown_background();
    Ok(())
}

fn open_weights(networks: &Networks, path: &Path, args: &ExploreArgs) -> Result<()> {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    ensure!(path.is_file(), "there is no such file");
    let weights = Weights::open(path)?;
    let (preset, other) = if args.classic {
        (Preset::Classic, "leave --classic out")
    } else {
        (Preset::Modern, "give --classic")
    };
    if weights.config().is_err() {
        report(&format!(
            "note: {} does not contain its configuration, so it is taken for a {preset} LeNet; {other} if it is not",
            path.display()
        ));
    }
    networks.open(weights, &name, preset, args.classes)?;
    Ok(())
}

/// The address to listen on.
fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut addresses = (bare, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find the address of --host {host}"))?;
    addresses
        .next()
        .with_context(|| format!("--host {host} has no address"))
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    };
    let listener = socket.and_then(|socket| {
        // A restart may use the port of a server that ended just now. On Windows, the option would allow two servers.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listener.map_err(|error| {
        let (ip, port) = (address.ip(), address.port());
        match error.kind() {
            io::ErrorKind::AddrInUse => anyhow!(
                "port {port} of {ip} is in use: choose another one with --port, leave --port out for a free one, or \
                 stop the program that uses it"
            ),
            io::ErrorKind::PermissionDenied => anyhow!(
                "no permission to listen on port {port} of {ip}: choose one above 1023 with --port, or leave --port \
                 out for a free one"
            ),
            io::ErrorKind::AddrNotAvailable => anyhow!(
                "{ip} is not an address of this machine: leave --host out to listen on 127.0.0.1"
            ),
            _ => anyhow!(error).context(format!("cannot listen on port {port} of {ip}")),
        }
    })
}

/// Prints the address at once, even into a pipe.
fn announce(url: &str) -> Result<()> {
    let mut stdout = stdout().lock();
    let printed =
        writeln!(stdout, "exploring at {url} (Ctrl-C stops it)").and_then(|()| stdout.flush());
    match printed {
        // A closed standard output does not end the server.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot print the address"),
    }
}

/// Opens the page, on a thread because a browser may take its time.
fn open_browser(url: String) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = open::that_detached(&url) {
            report(&format!(
                "note: no browser could be opened ({error}); open {url} yourself"
            ));
        }
    });
}

/// Completes at Ctrl-C or SIGTERM.
#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
