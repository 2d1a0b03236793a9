//! HTTP/1.1 by hand: the bytes of a request as they are, which no well-behaved client would send.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status; 0 if the connection was closed without an answer.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The gateway's reason, or nothing.
    pub fn reason(&self) -> &str {
        self.header("authly-reason").unwrap_or("")
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self { status: status.unwrap_or(0), headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }
}

/// Sends bytes to a port of this machine and reads until the other end closes: ask for `Connection: close`.
pub async fn exchange(port: u16, request: &[u8]) -> anyhow::Result<Answer> {
    exchange_from(IpAddr::from([127, 0, 0, 1]), port, request).await
}

/// The same from this loopback address.
pub async fn exchange_from(source: IpAddr, port: u16, request: &[u8]) -> anyhow::Result<Answer> {
    let talk = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        let mut stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        // Who refuses early may close before it has read everything.
        stream.write_all(request).await.ok();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok();
        anyhow::Ok(Answer::parse(&bytes))
    };
    tokio::time::timeout(LIMIT, talk).await.context("neither answered nor closed in time")?
}

/// Sends the head and then the chunk again and again, until the other end does not take any more of it; what it answered.
pub async fn exchange_without_end(port: u16, head: &[u8], chunk: &[u8]) -> anyhow::Result<Answer> {
    let talk = async {
        let (mut reader, mut writer) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
        writer.write_all(head).await?;
        let mut bytes = Vec::new();
        let send = async { while writer.write_all(chunk).await.is_ok() {} };
        tokio::join!(send, async { reader.read_to_end(&mut bytes).await.ok() });
        anyhow::Ok(Answer::parse(&bytes))
    };
    tokio::time::timeout(LIMIT, talk).await.context("neither answered nor closed in time")?
}
