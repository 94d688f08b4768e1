//! Where `serve` listens, as the kernel tells it: on this machine's loopback and nowhere else.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket,
};
use std::process::{Child, Command, Stdio};

use openai_agents::testing::{FakeServer, Reply};

use crate::durable::Thinking;
use crate::support::{Directory, check_output, on};

/// The program, serving.
struct ServingProgram {
    child: Child,
    port: u16,
}

impl Drop for ServingProgram {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl ServingProgram {
    /// Serves with the defaults. Where another program has their port, this says so, and another port is taken.
    fn start(server: &FakeServer, directory: &Directory) -> Self {
        Self::try_start(on(server, directory, &["serve"])).unwrap_or_else(|line| {
            let taken = "error: cannot listen on 127.0.0.1:8080 (from the default): ";
            assert!(line.starts_with(taken), "{line}");
            let elsewhere = ["serve", "--bind", "127.0.0.1:0"];
            Self::try_start(on(server, directory, &elsewhere)).unwrap()
        })
    }

    fn try_start(mut command: Command) -> Result<Self, String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let address = line.strip_prefix("serving on http://");
        let Some((address, _)) = address.and_then(|rest| rest.split_once(": ")) else {
            child.wait().unwrap();
            return Err(line);
        };
        let port = address.parse::<SocketAddr>().unwrap().port();
        Ok(Self { child, port })
    }
}

/// A socket of a process, of those that wait for others.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    table: &'static str,
    address: SocketAddr,
}

/// The sockets on which a process can be reached.
fn waiting_sockets(process: u32) -> Vec<Waiting> {
    let waiting = sockets(process).into_iter().filter(Socket::is_waiting);
    let waiting = waiting.map(|it| Waiting {
        table: it.table,
        address: it.address,
    });
    waiting.collect()
}

/// A socket of a process.
#[derive(Debug)]
struct Socket {
    table: &'static str,
    address: SocketAddr,
    peer: SocketAddr,
    state: String,
}

impl Socket {
    /// Whoever knows the address can send to any UDP socket; of TCP only those in the state LISTEN wait.
    fn is_waiting(&self) -> bool {
        !self.table.starts_with("tcp") || self.state == "0A"
    }
}

fn sockets(process: u32) -> Vec<Socket> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: HashSet<String> = entries
        // A descriptor may be closed by now.
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        // Without IPv6 there are no tables of it.
        let rows = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for row in rows.lines().skip(1) {
            let fields: Vec<&str> = row.split_whitespace().collect();
            if sockets.contains(fields[9]) {
                found.push(Socket {
                    table,
                    address: parse_address(fields[1]),
                    peer: parse_address(fields[2]),
                    state: fields[3].to_owned(),
                });
            }
        }
    }
    found
}

/// Reads an address as the kernel writes it: words of 32 bits as the machine has them, and the port.
fn parse_address(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .map(|word| std::str::from_utf8(word).unwrap())
        .map(|word| u32::from_str_radix(word, 16).unwrap().to_ne_bytes())
        .collect();
    let address = match words.as_slice() {
        [word] => IpAddr::from(*word),
        words => IpAddr::from(<[u8; 16]>::try_from(words.concat()).unwrap()),
    };
    SocketAddr::new(address, u16::from_str_radix(port, 16).unwrap())
}

/// The addresses of this machine but its loopback's own, of all its networks.
fn other_addresses() -> Vec<SocketAddr> {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap();
    let lines: Vec<&str> = trie.lines().map(str::trim).collect();
    let v4 = lines.windows(2).filter_map(|pair| {
        let address: Ipv4Addr = pair[0].strip_prefix("|-- ")?.parse().ok()?;
        (pair[1] == "/32 host LOCAL").then(|| SocketAddr::from((address, 0)))
    });
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let v6 = v6.lines().map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(fields[0], 16).unwrap());
        // Addresses of one link need to be told which.
        let interface = u32::from_str_radix(fields[1], 16).unwrap();
        SocketAddr::from(SocketAddrV6::new(address, 0, 0, interface))
    });
    // All of 127.0.0.0/8 leads here, and only one of them is listened at.
    let loopback = [
        SocketAddr::from(([127, 0, 0, 2], 0)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    ];
    let all: HashSet<SocketAddr> = v4.chain(v6).chain(loopback).collect();
    all.into_iter()
        .filter(|address| address.ip() != Ipv4Addr::LOCALHOST)
        .collect()
}

#[test]
fn the_scan_sees_what_waits() {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let seen = waiting_sockets(std::process::id());
    for (table, address) in [
        ("tcp", tcp.local_addr().unwrap()),
        ("udp", udp.local_addr().unwrap()),
    ] {
        assert!(seen.contains(&Waiting { table, address }), "{seen:?}");
    }
    if let Ok(tcp6) = TcpListener::bind("[::1]:0") {
        let address = tcp6.local_addr().unwrap();
        let expected = Waiting {
            table: "tcp6",
            address,
        };
        assert!(waiting_sockets(std::process::id()).contains(&expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_only_the_loopback_is_listened_at() {
    let directory = Directory::new("ports");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let served = ServingProgram::start(&server, &directory);
    let expected = Waiting {
        table: "tcp",
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, served.port)),
    };
    drop(TcpStream::connect(expected.address).unwrap());
    assert_eq!(waiting_sockets(served.child.id()), [expected]);
    for mut address in other_addresses() {
        // An address such as that of IPv6 where it is switched off is no address of this machine.
        if TcpListener::bind(address).is_err() {
            continue;
        }
        address.set_port(served.port);
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
    }
}

/// Nothing but the question goes out: no telemetry, no look for news, no name to be resolved, before, while and after it is asked.
#[test]
fn run_is_connected_with_the_server_that_was_named_and_nobody_else() {
    let model = Thinking::new("ports-run");
    let expected = SocketAddr::from((Ipv4Addr::LOCALHOST, model.port()));
    let run = model
        .command(&["run", "--session", "s", "--durable", "hi"])
        .spawn()
        .unwrap();
    let stream = model.asked();
    let sockets = sockets(run.id());
    let peers: Vec<_> = sockets.iter().map(|it| (it.table, it.peer)).collect();
    assert_eq!(peers, [("tcp", expected)]);
    crate::durable::answer(stream);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(model.n_waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_else_is_even_tried() {
    let directory = Directory::new("ports-token");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        // Whoever tries to listen there is told that it is taken.
        let Ok(taken) = TcpListener::bind(everywhere) else {
            continue;
        };
        let address = taken.local_addr().unwrap().to_string();
        let output = on(&server, &directory, &["serve", "--bind", &address])
            .output()
            .unwrap();
        let expected = "error: `server.bind` (--bind) must be an address of this machine's loopback, unless `server.token` says who may connect\n";
        check_output(&output, 2, "", expected);
    }
}
