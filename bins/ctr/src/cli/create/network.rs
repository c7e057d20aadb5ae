//! `create` and `run`: what a container is connected to.

use clap::Args;

/// What it is connected to.
#[derive(Debug, Args)]
pub struct NetworkOptions {
    /// Network: bridge (the default one), host or none
    #[arg(long, alias = "net", default_value = "default", hide_default_value = true)]
    pub network: String,
    /// One more line of /etc/hosts; host-gateway is this machine as containers see it
    #[arg(long, value_name = "NAME:IP")]
    pub add_host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "IP")]
    pub dns: Vec<String>,
    /// Option of resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Domain to search; . for none
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Know another container by a name, and have its ports and variables in the environment
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    pub link: Vec<String>,
    /// Hardware address
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<String>,
    /// IPv4 address; needs a network of one's own, which is to come
    #[arg(long, value_name = "IP")]
    pub ip: Option<String>,
    /// IPv6 address; likewise
    #[arg(long, value_name = "IP")]
    pub ip6: Option<String>,
    /// Link-local address; likewise
    #[arg(long, value_name = "IP")]
    pub link_local_ip: Vec<String>,
    /// Another name in the network; likewise
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// Publish a port of the container: [[IP:]HOST:]CONTAINER[/tcp|udp]
    #[arg(short, long = "publish", value_name = "PORT")]
    pub publish: Vec<String>,
    /// Publish all ports that the image exposes, at random ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Note that the container listens on a port
    #[arg(long, value_name = "PORT")]
    pub expose: Vec<String>,
}
