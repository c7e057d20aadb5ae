//! A connection to a daemon that takes log lines: datagrams, or a stream of them.

use rustix::net::{RecvFlags, recv};
use std::io::{Error, ErrorKind, Result, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

/// How long another machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection. To send may take as long as the other side does.
pub enum Connection {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Connection {
    /// To a socket of datagrams on this machine.
    pub fn datagram(path: &str) -> Result<Connection> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Connection::Datagram(socket))
    }

    /// To a socket on this machine, of datagrams or else a stream.
    pub fn local(path: &str) -> Result<Connection> {
        Connection::datagram(path).or_else(|_| UnixStream::connect(path).map(Connection::Stream))
    }

    /// To `HOST:PORT`, with datagrams.
    pub fn udp(place: &str) -> Result<Connection> {
        let socket = UdpSocket::bind(if place.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" })?;
        socket.connect(place)?;
        Ok(Connection::Udp(socket))
    }

    /// To `HOST:PORT`, with a stream.
    pub fn tcp(place: &str) -> Result<Connection> {
        let mut last = Error::new(ErrorKind::NotFound, "no such host");
        for address in place.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return Ok(Connection::Tcp(socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        match self {
            Connection::Datagram(socket) => socket.send(message).map(drop),
            Connection::Udp(socket) => socket.send(message).map(drop),
            Connection::Stream(socket) => still_open(&socket).and_then(|()| socket.write_all(message)),
            Connection::Tcp(socket) => still_open(&socket).and_then(|()| socket.write_all(message)),
        }
    }
}

/// The kernel takes what is written to a stream whose other side is closed, once: it would be lost.
fn still_open(socket: impl AsFd) -> Result<()> {
    let mut byte = [0];
    match recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Err(ErrorKind::BrokenPipe.into()),
        Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
