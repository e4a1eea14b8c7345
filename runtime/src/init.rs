//! `yoke init`: the three configuration files of a new cluster, from three addresses.

use crate::config::{self, Configuration};
use crate::postgres::Said;
use clap::Args;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What can be chosen.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The host that the cluster begins with: [NAME@]IP[:PORT]
    primary: String,
    /// The other host with data
    secondary: String,
    /// The host that only votes
    monitor: String,
    /// Where the files are written
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Where the daemon keeps its own files, on each host
    #[arg(long, default_value = "/var/lib/postgresql/failover")]
    status_dir: PathBuf,
    /// PostgreSQL's data directory; by default `data` in the status directory
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// PostgreSQL's port
    #[arg(long, default_value_t = 5432)]
    pg_port: u16,
    /// The cluster's name
    #[arg(long, default_value = "yoke")]
    cluster: String,
    /// The network between the hosts is private by other means: connections are not encrypted
    #[arg(long)]
    allow_plain: bool,
}

const ROLES: [&str; 3] = ["primary", "secondary", "monitor"];

/// Writes the files; says what to do next.
///
/// # Errors
/// An address is wrong, or a file is there already: then nothing is written.
pub fn run(options: &Options) -> Said<String> {
    let hosts = Hosts::read(options)?;
    let files: Vec<(PathBuf, String)> = (0..ROLES.len())
        .map(|i| {
            let file = options.dir.join(format!("{}.ini", ROLES[i]));
            (file, hosts.file(options, i))
        })
        .collect();
    for (file, text) in &files {
        try_out(file, text)?;
    }
    if let Some((file, _)) = files.iter().find(|(file, _)| file.exists()) {
        return Err(format!(
            "{} is there already and is left as it is: move it away, or name another folder by --dir",
            file.display()
        ));
    }
    std::fs::create_dir_all(&options.dir)
        .map_err(|e| format!("cannot make {}: {e}", options.dir.display()))?;
    for (file, text) in &files {
        write(file, text)?;
    }
    Ok(next_steps(options, &hosts, &files))
}

/// A daemon will read it: it is read the same way before it is written.
fn try_out(file: &Path, text: &str) -> Said<()> {
    // Whether to allow plain connections is for the user to say.
    let said = text.replace("; allow_plain", "allow_plain");
    Configuration::parse_as(file, &said)
        .map(|_| ())
        .map_err(|e| format!("no file was written, for {e}"))
}

fn write(file: &Path, text: &str) -> Said<()> {
    let failed = |e: std::io::Error| match e.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already", file.display()),
        _ => format!("cannot write {}: {e}", file.display()),
    };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut new| new.write_all(text.as_bytes()))
        .map_err(failed)
}

struct Hosts {
    /// As they were written, the port added.
    written: [String; 3],
    addresses: [SocketAddr; 3],
    /// Several members on one host need directories and ports of their own.
    shared: bool,
}

impl Hosts {
    fn read(options: &Options) -> Said<Hosts> {
        let texts = [&options.primary, &options.secondary, &options.monitor];
        let mut written = [const { String::new() }; 3];
        let mut addresses = [SocketAddr::from(([0; 4], 0)); 3];
        for (i, text) in texts.into_iter().enumerate() {
            let (name, address) =
                config::address(text).map_err(|why| format!("{}: {why}", ROLES[i]))?;
            addresses[i] = address;
            written[i] = match name {
                Some(name) => format!("{name}@{address}"),
                None => address.to_string(),
            };
        }
        let shared = (0..3).any(|i| (0..i).any(|j| addresses[i].ip() == addresses[j].ip()));
        Ok(Hosts {
            written,
            addresses,
            shared,
        })
    }

    fn status_dir(&self, options: &Options, i: usize) -> PathBuf {
        match self.shared {
            true => options.status_dir.join((i + 1).to_string()),
            false => options.status_dir.clone(),
        }
    }

    fn data_dir(&self, options: &Options, i: usize) -> PathBuf {
        match (&options.data_dir, self.shared) {
            (None, _) => self.status_dir(options, i).join("data"),
            (Some(dir), true) => dir.join((i + 1).to_string()),
            (Some(dir), false) => dir.clone(),
        }
    }

    fn pg_port(&self, options: &Options, i: usize) -> u16 {
        let offset = if self.shared { i as u16 } else { 0 };
        options.pg_port.saturating_add(offset)
    }

    fn far(&self) -> bool {
        self.addresses.iter().any(|a| !a.ip().is_loopback())
    }

    fn file(&self, options: &Options, i: usize) -> String {
        let mut out = String::new();
        let mut put = |text: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{text}");
        };
        put(format_args!(
            "; yoke: the {} of the cluster {}.",
            ROLES[i], options.cluster
        ));
        put(format_args!(
            "; A comment stands in a line of its own, and begins with ; or #."
        ));
        put(format_args!("[config]"));
        put(format_args!(
            "; what this host is at first; later elections do not change it"
        ));
        put(format_args!("role = {}", ROLES[i]));
        put(format_args!(
            "; this host's own address, as the others write it below"
        ));
        put(format_args!("advertise_ip = {}", self.addresses[i].ip()));
        put(format_args!(
            "advertise_port = {}",
            self.addresses[i].port()
        ));
        put(format_args!("; the members, equal on all hosts"));
        for (role, written) in ROLES.iter().zip(&self.written) {
            put(format_args!("{role} = {written}"));
        }
        put(format_args!("cluster = {}", options.cluster));
        put(format_args!("; the daemon's own files: never delete them"));
        put(format_args!(
            "status_dir = {}",
            self.status_dir(options, i).display()
        ));
        if i < 2 {
            put(format_args!("; PostgreSQL's data directory, and its port"));
            put(format_args!(
                "data_dir = {}",
                self.data_dir(options, i).display()
            ));
            put(format_args!("pg_port = {}", self.pg_port(options, i)));
        }
        if self.far() {
            put(format_args!(
                "; Connections between the hosts are neither encrypted nor authenticated. Take the line in only"
            ));
            put(format_args!(
                "; if this network is private by other means: without it the daemon does not start."
            ));
            put(format_args!(
                "{}allow_plain = yes",
                if options.allow_plain { "" } else { "; " }
            ));
        }
        out
    }
}

fn next_steps(options: &Options, hosts: &Hosts, files: &[(PathBuf, String)]) -> String {
    let mut out = String::new();
    let mut put = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{text}");
    };
    for (file, _) in files {
        put(format!("wrote {}", file.display()));
    }
    put("\nNext:".to_owned());
    if hosts.far() && !options.allow_plain {
        put("- If the network between the hosts is private by other means, take `allow_plain = yes` into all three files.".to_owned());
    }
    let there: Vec<String> = files
        .iter()
        .map(|(file, _)| match hosts.shared {
            true => file.display().to_string(),
            false => "/etc/yoke.ini".to_owned(),
        })
        .collect();
    if !hosts.shared {
        put("- Copy each file to its host:".to_owned());
        for (i, (file, _)) in files.iter().enumerate() {
            put(format!(
                "    scp {} root@{}:/etc/yoke.ini",
                file.display(),
                hosts.addresses[i].ip()
            ));
        }
    }
    put(match hosts.shared {
        true => "- See what is missing, for each file:".to_owned(),
        false => "- See what is missing, on each host:".to_owned(),
    });
    let mut commands: Vec<String> = there.clone();
    commands.dedup();
    for file in &commands {
        put(format!("    yoke check {file}"));
    }
    put("- Start all three; a first start waits for every member:".to_owned());
    for file in &commands {
        put(format!("    yoke {file}"));
    }
    let asked = hosts.addresses[0];
    put(format!(
        "- Look: yokeadm -H {} -p {} list",
        asked.ip(),
        asked.port()
    ));
    out
}
