//! Kills and starts the servers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::variable;

/// `kill` or `start` a server; done when this returns.
pub(crate) fn control(verb: &str, server: &str) {
    let mut connection = TcpStream::connect(variable("DATABASES_CONTROL")).unwrap();
    writeln!(connection, "{verb} {server}").unwrap();
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer).unwrap();
    assert_eq!(answer, "ok\n", "{verb} {server}");
}
