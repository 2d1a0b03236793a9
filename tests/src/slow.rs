//! A proxy before PostgreSQL that delays every chunk on its way to the server, and can be frozen or cut.

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
    way: Arc<Way>,
    cut: Arc<(AtomicBool, Notify)>,
}

/// What the way to the server is like.
#[derive(Debug, Default)]
struct Way {
    delay: AtomicU64,
    frozen: AtomicBool,
}

impl Slow {
    /// Starts before the server on this port, without delay.
    pub async fn before(upstream: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let way = Arc::new(Way::default());
        let cut = Arc::new((AtomicBool::new(false), Notify::new()));
        let (shared, off) = (Arc::clone(&way), Arc::clone(&cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if off.0.load(Ordering::SeqCst) {
                    continue;
                }
                let (way, off) = (Arc::clone(&shared), Arc::clone(&off));
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, upstream, &way) => {}
                        () = off.1.notified() => {}
                    }
                });
            }
        });
        Ok(Self { port, way, cut })
    }

    /// Delays what goes to the server by this much from now on.
    pub fn delay(&self, by: Duration) {
        self.way.delay.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// From now on nothing reaches the server, and nothing is closed.
    pub fn freeze(&self, frozen: bool) {
        self.way.frozen.store(frozen, Ordering::SeqCst);
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

async fn pass(client: TcpStream, upstream: u16, way: &Way) -> std::io::Result<()> {
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
            let micros = way.delay.load(Ordering::SeqCst);
            if micros > 0 {
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
            while way.frozen.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    tokio::try_join!(forth, back).map(drop)
}
