//! Three nodes in one directory: databases made by `initdb`, each on its own, and the three configuration files.

use super::Said;
use super::node::Node;
use super::programs::Programs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The role that the clients write as; it can do nothing else.
pub const CLIENT: &str = "demo";

/// Name in the cluster and `role` in the configuration, in the members' order.
const MEMBERS: [(&str, &str); 3] = [
    ("data1", "primary"),
    ("data2", "secondary"),
    ("monitor", "monitor"),
];

/// What the primary's database holds before Yoke first sees it.
const TABLE: &str = "\
CREATE ROLE demo LOGIN;
CREATE TABLE writes (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
ALTER TABLE writes OWNER TO demo;
";

/// Where one node is to listen, and how its daemon is run.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where the daemon listens.
    pub address: SocketAddr,
    /// PostgreSQL's port.
    pub pg_port: u16,
    /// What the daemon is run by, if not directly.
    pub wrapper: Vec<String>,
}

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// An empty directory.
    pub dir: PathBuf,
    /// The daemon's program.
    pub program: PathBuf,
    /// The three nodes' places: primary, secondary, monitor.
    pub places: [Place; 3],
    /// Which addresses the clients come from, as `pg_hba.conf` writes it.
    pub clients: String,
    /// More lines for section `[config]` of every node.
    pub more: String,
    /// Ours for as long as the plan or its cluster lives.
    _ports: Arc<Ports>,
}

/// Three nodes.
#[derive(Debug)]
pub struct Cluster {
    /// Where everything is.
    pub dir: PathBuf,
    /// Which PostgreSQL.
    pub programs: Programs,
    /// The nodes, in the members' order.
    pub nodes: Vec<Node>,
    _ports: Arc<Ports>,
}

/// A block of ports that no other demo takes, even while what listens there is down: the next demo's clients would write
/// to this one's databases.
#[derive(Debug)]
struct Ports {
    /// The first daemon's; the others' follow.
    daemons: u16,
    /// The first database's; the others' follow.
    databases: u16,
    /// Its name is the block's; it is free again when we end, however that is.
    _taken: UnixListener,
}

impl Plan {
    /// On this machine alone, on ports that are free now: the tutorial's where they are.
    ///
    /// # Errors
    /// Too few ports are free.
    pub fn local(dir: PathBuf, program: PathBuf) -> Said<Plan> {
        let ports = Ports::take()?;
        let place = |i: u16| Place {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ports.daemons + i),
            pg_port: ports.databases + i,
            wrapper: Vec::new(),
        };
        Ok(Plan {
            dir,
            program,
            places: [place(0), place(1), place(2)],
            clients: "127.0.0.1/32".to_owned(),
            more: String::new(),
            _ports: Arc::new(ports),
        })
    }
}

impl Cluster {
    /// Makes the directories, the configuration files and both databases. Nothing runs yet.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn make(plan: &Plan, programs: Programs) -> Said<Cluster> {
        let cluster = Cluster::without_databases(plan, programs)?;
        cluster.init_databases(&plan.clients)?;
        cluster.prepare(&cluster.nodes[0].data, TABLE)?;
        Ok(cluster)
    }

    /// Makes the directories and the configuration files alone.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn without_databases(plan: &Plan, programs: Programs) -> Said<Cluster> {
        let mut nodes = Vec::new();
        for (i, place) in plan.places.iter().enumerate() {
            let (name, role) = MEMBERS[i];
            let dir = plan.dir.join((i + 1).to_string());
            let node = Node {
                name,
                role,
                address: place.address,
                pg_port: place.pg_port,
                data: dir.join("data"),
                config: plan.dir.join(format!("{}.ini", i + 1)),
                log: plan.dir.join(format!("{}.log", i + 1)),
                dir,
                program: plan.program.clone(),
                wrapper: place.wrapper.clone(),
                child: None,
                started: None,
            };
            std::fs::create_dir(&node.dir).map_err(|e| cannot("make", &node.dir, &e))?;
            let account = &programs.account;
            account
                .own(&node.dir)
                .map_err(|e| cannot("hand over", &node.dir, &e))?;
            std::fs::write(&node.config, ini(plan, &node))
                .map_err(|e| cannot("write", &node.config, &e))?;
            nodes.push(node);
        }
        Ok(Cluster {
            dir: plan.dir.clone(),
            programs,
            nodes,
            _ports: Arc::clone(&plan._ports),
        })
    }

    /// `initdb` for both data nodes, each on its own, at once.
    ///
    /// # Errors
    /// What `initdb` says.
    pub fn init_databases(&self, clients: &str) -> Said<()> {
        let data: Vec<&Path> = self.data_nodes().map(|n| n.data.as_path()).collect();
        let begun: Vec<Child> = data
            .iter()
            .map(|dir| begin(&mut self.initdb(dir)))
            .collect::<Said<_>>()?;
        for child in begun {
            finish(child, "initdb")?;
        }
        // The superuser gets in by its operating system account alone, the clients' role by TCP from here.
        let rules = format!("local all all peer\nhost postgres {CLIENT} {clients} trust\n");
        for dir in data {
            let file = dir.join("pg_hba.conf");
            std::fs::write(&file, &rules).map_err(|e| cannot("write", &file, &e))?;
        }
        Ok(())
    }

    /// Runs statements as the superuser in a database that nothing runs on, by a server of its own that nobody else can
    /// reach. (A single-user server would do too, but gives its tables the numbers of system tables.)
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn prepare(&self, data: &Path, statements: &str) -> Said<()> {
        let socket = data.parent().unwrap_or(data);
        let log = socket.join("prepare.log");
        let options = format!("-c listen_addresses='' -k '{}'", socket.display());
        let server = |action: &str| {
            let mut command = self.programs.command("pg_ctl");
            command.args([action, "--wait", "--silent", "-D"]).arg(data);
            command
        };
        let mut start = server("start");
        start.arg("-l").arg(&log).args(["-o", &options]);
        run(&mut start)?;
        let mut client = self.programs.command("psql");
        client
            .args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"])
            .args(["-d", "postgres", "-c", statements, "-h"])
            .arg(socket);
        let result = run(&mut client);
        run(server("stop").args(["-m", "fast"])).and(result)
    }

    /// The nodes with data.
    pub fn data_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.holds_data())
    }

    /// The command that finds the primary.
    pub fn psql(&self) -> String {
        let of = |value: fn(&Node) -> String| {
            let values: Vec<String> = self.data_nodes().map(value).collect();
            values.join(",")
        };
        format!(
            "psql 'host={} port={} user={CLIENT} dbname=postgres target_session_attrs=read-write'",
            of(|n| n.ip().to_string()),
            of(|n| n.pg_port.to_string()),
        )
    }

    /// Starts every daemon that does not run.
    ///
    /// # Errors
    /// Which cannot be started.
    pub fn start(&mut self) -> Said<()> {
        self.nodes
            .iter_mut()
            .filter_map(|node| (!node.is_running()).then(|| node.start()))
            .collect()
    }

    fn initdb(&self, data: &Path) -> Command {
        let mut command = self.programs.command("initdb");
        command
            .args(["--encoding=UTF8", "--locale=C", "--auth=peer", "-D"])
            .arg(data);
        command
    }
}

/// One node's file, as the tutorial writes it.
fn ini(plan: &Plan, node: &Node) -> String {
    let [primary, secondary, monitor] = plan.places.each_ref().map(|p| p.address);
    format!(
        "\
[config]
  advertise_ip={ip}
  advertise_port={port}
  data_dir={data}
  status_dir={status}
  pg_port={pg_port}
  role={role}
  peers={primary},{secondary},{monitor}
  monitor={monitor}
  primary={primary}
  secondary={secondary}
{more}",
        ip = node.ip(),
        port = node.address.port(),
        data = node.data.display(),
        status = node.dir.display(),
        pg_port = node.pg_port,
        role = node.role,
        more = plan.more,
    )
}

impl Ports {
    /// The tutorial's ports if they are free, else the next ones.
    fn take() -> Said<Ports> {
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        for block in 0..100 {
            let (daemons, databases) = (4401 + 10 * block, 5431 + 10 * block);
            let name = UnixAddr::from_abstract_name(format!("yoke-demo-{block}"));
            let Ok(taken) = name.and_then(|name| UnixListener::bind_addr(&name)) else {
                continue;
            };
            if (0..3).all(|i| is_free(daemons + i) && is_free(databases + i)) {
                return Ok(Ports {
                    daemons,
                    databases,
                    _taken: taken,
                });
            }
        }
        Err("no block of free ports was found between 4401 and 6430".to_owned())
    }
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Said<()> {
    let name = command.get_program().display().to_string();
    finish(begin(command)?, &name)
}

fn begin(command: &mut Command) -> Said<Child> {
    let command = command
        .stdin(Stdio::null())
        // A server that stays would keep a pipe open for ever.
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|e| cannot("run", Path::new(command.get_program()), &e))
}

/// Waits for a program's end.
fn finish(child: Child, name: &str) -> Said<()> {
    let output = child
        .wait_with_output()
        .map_err(|e| format!("cannot wait for {name}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{name} failed ({}): {}",
            output.status,
            last_line(&said)
        )),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("")
}

pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
