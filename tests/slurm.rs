//! A comparison as an array of a real Slurm with two nodes, one of which dies in the middle.
//!
//! Skipped if Slurm is not installed, or if the test does not run as root, as whom the daemons run.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{COMPARISON, results};
use crate::support::{lenet_process, program_path};

const PARTS: usize = 4;
const NODES: [&str; 2] = ["n1", "n2"];

/// Epochs of a trial: enough for a node to die in the middle of one.
const EPOCHS: &str = "8";

/// The daemons of a small cluster; they are killed at the end.
struct Slurm {
    folder: PathBuf,
    /// munged, slurmctld, and a slurmd for each node.
    daemons: Vec<(&'static str, Child)>,
}

impl Slurm {
    /// Starts the daemons, or returns why that is impossible.
    fn start(folder: &Path) -> Result<Self, String> {
        for program in ["munged", "slurmctld", "slurmd", "sbatch"] {
            let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
                .iter()
                .any(|folder| Path::new(folder).join(program).exists());
            if !found {
                return Err(format!("{program} is not installed"));
            }
        }
        let user = Command::new("id").arg("-u").output().unwrap();
        if user.stdout != b"0\n" {
            return Err("the daemons must run as root".to_owned());
        }
        let mut slurm = Self {
            folder: folder.to_owned(),
            daemons: Vec::new(),
        };
        slurm.start_munge();
        fs::write(slurm.path("slurm.conf"), slurm.configuration()).unwrap();
        for spool in ["state", "spool-n1", "spool-n2"] {
            fs::create_dir(slurm.path(spool)).unwrap();
        }
        slurm.daemon("slurmctld", "slurmctld", &["-D"]);
        for node in NODES {
            slurm.daemon(node, "slurmd", &["-D", "-N", node]);
        }
        slurm.wait("both nodes are idle", || {
            slurm
                .command("sinfo", &["-h", "-N", "-t", "idle"])
                .lines()
                .count()
                == 2
        });
        Ok(slurm)
    }

    fn start_munge(&mut self) {
        // Munge refuses sockets in directories that others may enter with files that they may write.
        fs::set_permissions(&self.folder, Permissions::from_mode(0o755)).unwrap();
        let key: Vec<u8> = (0..128_u8).collect();
        fs::write(self.path("munge.key"), key).unwrap();
        fs::set_permissions(self.path("munge.key"), Permissions::from_mode(0o400)).unwrap();
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let flags = [
            flag("key-file", "munge.key"),
            flag("socket", "munge.socket"),
            flag("pid-file", "munge.pid"),
            flag("log-file", "munge.log"),
            flag("seed-file", "munge.seed"),
        ];
        let mut arguments = vec!["--foreground", "--force"];
        arguments.extend(flags.iter().map(String::as_str));
        self.daemon("munged", "munged", &arguments);
        self.wait("munge listens", || self.path("munge.socket").exists());
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        let ports = free_ports(3);
        let nodes = NODES.iter().zip(&ports[1..]).map(|(node, port)| {
            format!(
                "NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=1\n"
            )
        });
        let nodes: String = nodes.collect();
        format!(
            "ClusterName=test\n\
             SlurmctldHost=localhost(127.0.0.1)\n\
             SlurmctldPort={controller}\n\
             SlurmUser=root\n\
             SlurmdUser=root\n\
             AuthType=auth/munge\n\
             # Requeued jobs wait until their old credentials have expired.\n\
             AuthInfo=socket={folder}/munge.socket,cred_expire=5\n\
             StateSaveLocation={folder}/state\n\
             SlurmdSpoolDir={folder}/spool-%n\n\
             SlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/slurmd-%n.pid\n\
             SlurmctldLogFile={folder}/slurmctld.log\n\
             SlurmdLogFile={folder}/slurmd-%n.log\n\
             SlurmdParameters=config_overrides\n\
             ProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\n\
             MpiDefault=none\n\
             ReturnToService=2\n\
             JobRequeue=1\n\
             SelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\n\
             SchedulerType=sched/backfill\n\
             SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=1000\n\
             SlurmdTimeout=5\n\
             {nodes}\
             PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n",
            controller = ports[0],
        )
    }

    fn daemon(&mut self, name: &'static str, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.path(&format!("{name}.out"))).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env("PATH", path_with(None))
            .env("SLURM_CONF", self.path("slurm.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.daemons.push((name, child.unwrap()));
    }

    /// Runs a client, and returns what it printed.
    fn command(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", path_with(program_path().parent()))
            .env("SLURM_CONF", self.path("slurm.conf"))
            .env("LENET_OFFLINE", "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program}: {stderr}\n{}",
            self.logs()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait(&self, what: &str, is_true: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "waiting until {what}\n{}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The processes of the jobs on a node, and their supervisors.
    fn jobs_on(&self, node: &str) -> Vec<String> {
        let mark = format!("SLURMD_NODENAME={node}");
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            let mut variables = environment.split(|&byte| byte == 0);
            // One that has ended meanwhile has no status.
            if variables.any(|variable| variable == mark.as_bytes())
                && let Ok(status) = fs::read_to_string(path.join("status"))
            {
                let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
                found.push(parent.unwrap().trim().to_owned());
                found.push(entry.file_name().into_string().unwrap());
            }
        }
        found
    }

    /// Kills a node as a power failure would: its daemon, its jobs and their supervisors.
    fn kill_node(&mut self, node: &str) {
        let victims = self.jobs_on(node);
        let daemon = self.daemons.iter_mut().find(|(name, _)| *name == node);
        daemon.unwrap().1.kill().unwrap();
        Command::new("kill")
            .arg("-KILL")
            .args(victims)
            .status()
            .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The last lines of all logs.
    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(&self.folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".log") || name.ends_with(".out") {
                let log = fs::read(entry.path()).unwrap();
                let log = String::from_utf8_lossy(&log);
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(12)..].join("\n  ");
                text += &format!("{name}:\n  {last}\n");
            }
        }
        text
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for (_, daemon) in self.daemons.iter_mut().rev() {
            // Those of a killed node have ended already.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The search path with the daemons' directory, and one more.
fn path_with(folder: Option<&Path>) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = folder.map_or(String::new(), |folder| format!("{}:", folder.display()));
    format!("{folder}{path}:/usr/sbin:/usr/local/sbin")
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap())
        .collect();
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port());
    ports.collect()
}

#[test]
#[ignore = "needs Slurm; .ci/run includes it"]
fn an_array_that_loses_a_node_ends_with_the_results_of_one_process() {
    let (parts, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut slurm = match Slurm::start(parts.path()) {
        Ok(slurm) => slurm,
        Err(reason) => {
            assert!(
                std::env::var_os("LENET_REQUIRE_SLURM").is_none(),
                "{reason}"
            );
            println!("skipped: {reason}");
            return;
        }
    };
    let begun = Instant::now();
    let comparison = [&COMPARISON[..], &["--epochs", EPOCHS]].concat();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/slurm/sweep.sbatch");
    let array = format!("--array=1-{PARTS}");
    let script = script.to_str().unwrap();
    let submit = ["--parsable", &array, "--cpus-per-task=1", "--mem=0", script];
    slurm.command("sbatch", &[&submit[..], &comparison].concat());

    let lines = |part: usize| {
        let file = slurm.path(&format!("channels-trials.{part}-of-{PARTS}.jsonl"));
        fs::read(file).map_or(0, |bytes| {
            bytes.iter().filter(|&&byte| byte == b'\n').count()
        })
    };
    slurm.wait("the first trial is complete", || {
        (1..=PARTS).any(|part| lines(part) > 1)
    });
    slurm.wait("a job runs on n1", || !slurm.jobs_on("n1").is_empty());
    slurm.kill_node("n1");
    slurm.command(
        "scontrol",
        &["update", "nodename=n1", "state=down", "reason=killed"],
    );
    slurm.wait("the queue is empty", || {
        slurm.command("squeue", &["-h"]).is_empty()
    });
    println!(
        "{PARTS} parts, one node killed: {:.0} s",
        begun.elapsed().as_secs_f64()
    );

    for folder in [parts.path(), whole.path()] {
        // As the script runs it on one CPU.
        let arguments = [&comparison[..], &["--jobs", "1"]].concat();
        let output = lenet_process(folder, &arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{stderr}");
        let is_merge = stdout.contains("all 8 trials are on disk already");
        assert_eq!(
            is_merge,
            folder == parts.path(),
            "{stdout}\n{}",
            slurm.logs()
        );
    }
    assert_eq!(results(parts.path()), results(whole.path()));
}
