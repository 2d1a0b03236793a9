//! Connections without end that never finish a request, and one that was there before them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::dev::Dev;

/// A connection that was there before the others, asked again and again.
#[derive(Debug)]
pub struct Kept(TcpStream, String);

impl Kept {
    /// Connects to a server that runs beside dev.
    pub async fn open(dev: &Dev, port: u16) -> Self {
        let client = dev.client("shop.billing").unwrap();
        let credentials = format!("{}:{}", client.client_id, client.client_secret.as_deref().unwrap());
        let head = format!(
            "POST /t/acme/token HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Basic {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 29\r\n\r\ngrant_type=client_credentials",
            dev.server_port,
            STANDARD.encode(credentials)
        );
        Self(TcpStream::connect(("127.0.0.1", port)).await.unwrap(), head)
    }

    /// The status of a request for a token; the answer is read to its end.
    pub async fn token(&mut self) -> u16 {
        self.0.write_all(self.1.as_bytes()).await.unwrap();
        let mut answer = String::new();
        loop {
            let mut chunk = [0; 4096];
            let n = self.0.read(&mut chunk).await.unwrap();
            assert!(n > 0, "the connection was closed after {answer:?}");
            answer.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0usize) {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    }
}

/// Opens connections, each of which sends the beginning of a request; with what each was answered, empty if it is held.
pub async fn slow_connections(port: u16, count: usize) -> Vec<(Option<TcpStream>, String)> {
    let one = |_| async move {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return (None, "refused".to_owned()) };
        let sent = stream.write_all(b"POST /t/acme/token HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
        let mut answer = vec![0; 256];
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut answer)).await;
        match (sent, read) {
            (Ok(()), Err(_)) => (Some(stream), String::new()),
            (_, Ok(Ok(n))) if n > 0 => (None, String::from_utf8_lossy(&answer[..n]).into_owned()),
            _ => (None, "closed".to_owned()),
        }
    };
    stream::iter(0..count).map(one).buffer_unordered(500).collect().await
}

/// Sends a byte on each now and then; how many are still open.
pub async fn trickle(held: &mut Vec<TcpStream>) -> usize {
    let mut open = Vec::new();
    for mut stream in held.drain(..) {
        let mut answer = [0; 16];
        let ended =
            !matches!(stream.try_read(&mut answer), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        if !ended && stream.write_all(b"x").await.is_ok() {
            open.push(stream);
        }
    }
    *held = open;
    held.len()
}
