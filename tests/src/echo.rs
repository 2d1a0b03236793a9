//! A backend that answers with what it was sent: request line and headers, one a line, as the gateway passed them on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

/// A running one, which counts the requests that reached it.
#[derive(Debug, Clone)]
pub struct Echo {
    /// Its port.
    pub port: u16,
    seen: Arc<AtomicUsize>,
}

impl Echo {
    /// Starts on loopback and runs until the runtime ends. It closes each connection after one answer.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let echo = Self { port: listener.local_addr()?.port(), seen: Arc::default() };
        let seen = Arc::clone(&echo.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        let mut line = Vec::new();
                        if stream.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        head.push_str(&String::from_utf8_lossy(&line));
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                    let length = head.len();
                    let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                    let _ = stream.write_all((start + &head).as_bytes()).await;
                });
            }
        });
        Ok(echo)
    }

    /// How many requests reached it.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// As [`Echo::start`]; answers its port.
pub async fn start() -> anyhow::Result<u16> {
    Ok(Echo::start().await?.port)
}
