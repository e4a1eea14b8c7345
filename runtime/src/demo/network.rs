//! Three hosts as network namespaces behind a switch, whose traffic can be dropped in silence: as a host that is gone, or a
//! broken cable, does. The clients and the look-out are outside, at an address of their own.

use super::Said;
use super::cluster::Plan;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The daemons' port.
const YOKE: u16 = 4400;
/// PostgreSQL's port on the first host. The hosts share a file system, and with it the directory of PostgreSQL's sockets:
/// each has a port of its own.
const POSTGRES: u16 = 5431;

/// One network at a time: they are named after this process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Three hosts, a switch, and us.
#[derive(Debug)]
pub struct Network {
    _alone: MutexGuard<'static, ()>,
    /// What our namespaces and interfaces begin with.
    tag: String,
    /// The third byte of all addresses.
    subnet: u8,
}

impl Network {
    /// Makes them.
    ///
    /// # Errors
    /// We are not root, or `ip` or `nft` is missing.
    pub fn make() -> Said<Network> {
        let process = std::process::id();
        let network = Network {
            _alone: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
            tag: format!("yk{:x}", process & 0xf_ffff),
            subnet: (process % 250) as u8,
        };
        let hub = network.name("hub");
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "switch", "up"])?;
        for host in 0..3 {
            let namespace = network.host(host);
            ip(&["netns", "add", &namespace])?;
            network.plug(&format!("p{host}"), &["netns", &namespace], "eth0")?;
            let address = format!("{}/24", network.address(host));
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        let ours = network.name("us");
        network.plug("us", &[], &ours)?;
        let address = format!("10.213.{}.254/24", network.subnet);
        ip(&["addr", "add", &address, "dev", &ours])?;
        ip(&["link", "set", &ours, "up"])?;
        Ok(network)
    }

    /// Puts a plan's nodes on these hosts.
    pub fn place(&self, plan: &mut Plan) {
        for (host, place) in plan.places.iter_mut().enumerate() {
            place.address = SocketAddr::new(self.address(host), YOKE);
            place.pg_port = POSTGRES + host as u16;
            place.wrapper = ["ip", "netns", "exec", &self.host(host)]
                .map(str::to_owned)
                .to_vec();
        }
        plan.clients = format!("10.213.{}.0/24", self.subnet);
        plan.more = "  allow_plain=yes\n".to_owned();
    }

    /// From now on nothing reaches this host, and nothing leaves it; nobody is told.
    ///
    /// # Errors
    /// `nft` refuses.
    pub fn silence(&self, host: usize) -> Said<()> {
        self.filter(host, "iifname eth0 drop", "oifname eth0 drop")
    }

    /// From now on these two hosts do not reach each other; nobody is told.
    ///
    /// # Errors
    /// `nft` refuses.
    pub fn cut(&self, host: usize, others: &[usize]) -> Said<()> {
        let others: Vec<String> = others
            .iter()
            .map(|o| self.address(*o).to_string())
            .collect();
        let others = others.join(", ");
        self.filter(
            host,
            &format!("ip saddr {{ {others} }} drop"),
            &format!("ip daddr {{ {others} }} drop"),
        )
    }

    /// What was dropped at this host passes again.
    ///
    /// # Errors
    /// `nft` refuses.
    pub fn heal(&self, host: usize) -> Said<()> {
        self.nft(host, "delete table inet cut")
    }

    fn filter(&self, host: usize, incoming: &str, outgoing: &str) -> Said<()> {
        self.nft(
            host,
            &format!(
                "table inet cut {{\n\
                 chain in {{ type filter hook input priority 0; {incoming}; }}\n\
                 chain out {{ type filter hook output priority 0; {outgoing}; }}\n}}"
            ),
        )
    }

    fn nft(&self, host: usize, rules: &str) -> Said<()> {
        ip(&["netns", "exec", &self.host(host), "nft", rules])
    }

    /// A cable from the switch to an interface elsewhere.
    fn plug(&self, port: &str, to: &[&str], interface: &str) -> Said<()> {
        let hub = self.name("hub");
        let peer = ["peer", "name", interface];
        let cable = ["-n", &hub, "link", "add", port, "type", "veth"];
        // Without a namespace: ours, which the switch's knows as that of process 1.
        let own = std::process::id().to_string();
        let to = if to.is_empty() {
            &["netns", &own][..]
        } else {
            to
        };
        ip(&[&cable[..], &peer[..], to].concat())?;
        ip(&["-n", &hub, "link", "set", port, "master", "switch"])?;
        ip(&["-n", &hub, "link", "set", port, "up"])
    }

    fn address(&self, host: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 213, self.subnet, host as u8 + 1))
    }

    fn host(&self, host: usize) -> String {
        self.name(&(host + 1).to_string())
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.tag)
    }
}

/// Namespaces outlive the processes in them, so they have to be taken away by name. The cables go with them.
impl Drop for Network {
    fn drop(&mut self) {
        for namespace in ["hub", "1", "2", "3"].map(|n| self.name(n)) {
            if let Err(error) = ip(&["netns", "del", &namespace]) {
                println!("{error}");
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Said<()> {
    let said = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|e| format!("ip: {e} (apt-get install iproute2 nftables)"))?;
    match said.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&said.stderr).trim()
        )),
    }
}
