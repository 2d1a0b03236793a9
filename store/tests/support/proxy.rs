//! A way to Postgres that can be slow, frozen, closed, or cut right after something was sent.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

#[derive(Default)]
struct State {
    delay_ms: AtomicU64,
    frozen: AtomicBool,
    closed: AtomicBool,
    /// When a message to the server contains this, it is delivered, and its answer never comes.
    cut_at: Mutex<Option<Vec<u8>>>,
    /// The next message to the server, whatever it is.
    cut_next: AtomicBool,
    cuts: AtomicU64,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        let of_listener = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if of_listener.closed.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
                connections.spawn(connection(client, upstream, Arc::clone(&of_listener)));
            }
        });
        Self { port, state, _tasks: tasks }
    }

    /// Added on the way to the server.
    pub fn delay(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Nothing passes, nothing is closed.
    pub fn freeze(&self, frozen: bool) {
        self.state.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Everything is closed, and stays so.
    pub fn close(&self, closed: bool) {
        self.state.closed.store(closed, Ordering::SeqCst);
    }

    pub fn cut_at(&self, text: &str) {
        *self.state.cut_at.lock().expect("a lock") = Some(text.as_bytes().to_vec());
    }

    pub fn cut_next(&self) {
        self.state.cut_next.store(true, Ordering::SeqCst);
    }

    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

async fn connection(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let muted = AtomicBool::new(false);
    tokio::select! {
        () = pump(from_client, to_server, (&state, &muted), true) => {}
        () = pump(from_server, to_client, (&state, &muted), false) => {}
        () = async {
            while !state.closed.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (state, muted): (&State, &AtomicBool),
    to_server: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(n) = from.read(&mut buffer).await else { return };
        if n == 0 {
            return;
        }
        while state.frozen.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if to_server {
            let delay = state.delay_ms.load(Ordering::SeqCst);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
        }
        if state.closed.load(Ordering::SeqCst) {
            return;
        }
        if !to_server && muted.load(Ordering::SeqCst) {
            continue;
        }
        let cut = to_server && cuts(state, &buffer[..n]);
        if cut {
            muted.store(true, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
        if cut {
            // The server does it; then the line is dead.
            let _ = to.flush().await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            state.cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

fn cuts(state: &State, sent: &[u8]) -> bool {
    if state.cut_next.swap(false, Ordering::SeqCst) {
        return true;
    }
    let mut at = state.cut_at.lock().expect("a lock");
    let found = at.as_ref().is_some_and(|text| sent.windows(text.len()).any(|w| w == text.as_slice()));
    if found {
        *at = None;
    }
    found
}
