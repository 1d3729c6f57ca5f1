//! The Event Socket, as the test uses it: commands one by one, and a copy of what it gives to somebody who only listens.
//!
//! A client of its own, so that an error of hookswitch's does not hide itself.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::place::PASSWORD;

/// Far more than any command here takes: `originate` waits for an answer.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// A connection that is signed in.
pub(crate) struct Socket {
    stream: BufReader<TcpStream>,
}

impl Socket {
    /// Connects and signs in.
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        let mut socket = Self { stream: BufReader::new(stream) };
        socket.frame()?;
        socket.send(&format!("auth {PASSWORD}"))?;
        match socket.frame()? {
            (head, _) if head.contains("+OK") => Ok(socket),
            (head, _) => Err(io::Error::other(head)),
        }
    }

    /// Does one command and gives its answer.
    pub(crate) fn api(&mut self, command: &str) -> io::Result<String> {
        self.send(&format!("api {command}"))?;
        Ok(self.frame()?.1.trim().to_owned())
    }

    /// Copies the events of those names into a file, until FreeSWITCH ends the connection.
    pub(crate) fn record(port: u16, file: &Path, events: &str) -> io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(format!("auth {PASSWORD}\n\nevent plain {events}\n\n").as_bytes())?;
        let mut file = File::options().create(true).append(true).open(file)?;
        thread::spawn(move || io::copy(&mut stream, &mut file));
        Ok(())
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{command}\n\n").as_bytes())
    }

    fn frame(&mut self) -> io::Result<(String, String)> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }
}
