//! A proxy before PostgreSQL that delays every chunk on its way to the server, and can be cut.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// A running proxy.
#[derive(Debug)]
pub struct Slow {
    /// Where it listens on loopback.
    pub port: u16,
    delay: Arc<AtomicU64>,
    cut: Arc<(AtomicBool, Notify)>,
}

impl Slow {
    /// Starts before the server on this port, without delay.
    pub async fn before(upstream: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let delay = Arc::new(AtomicU64::new(0));
        let cut = Arc::new((AtomicBool::new(false), Notify::new()));
        let (shared, off) = (Arc::clone(&delay), Arc::clone(&cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if off.0.load(Ordering::SeqCst) {
                    continue;
                }
                let (delay, off) = (Arc::clone(&shared), Arc::clone(&off));
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, upstream, &delay) => {}
                        () = off.1.notified() => {}
                    }
                });
            }
        });
        Ok(Self { port, delay, cut })
    }

    /// Delays what goes to the server by this much from now on.
    pub fn delay(&self, by: Duration) {
        self.delay.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Cuts every connection and refuses new ones, until mended.
    pub fn cut(&self) {
        self.cut.0.store(true, Ordering::SeqCst);
        self.cut.1.notify_waiters();
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.cut.0.store(false, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, upstream: u16, delay: &AtomicU64) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            let micros = delay.load(Ordering::SeqCst);
            if micros > 0 {
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    tokio::try_join!(forth, back).map(drop)
}
