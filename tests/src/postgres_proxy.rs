//! A proxy between an operator and PostgreSQL that understands as much of the protocol (version 3) as it takes to see each
//! write, and to kill the operator before it is sent or once it took effect ([`crate::fault`]).
//!
//! A write is a statement that changes rows, or a COMMIT. Never does: change what passes. Plain connections only.

mod messages;

use std::{collections::VecDeque, sync::Arc};

use anyhow::bail;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use crate::fault::{Dead, Trap};
use messages::{Message, Statements, read_message};

/// A request for TLS, answered by one byte.
const SSL_REQUEST: i32 = 80_877_103;

/// A running proxy.
#[derive(Debug)]
pub struct PostgresProxy {
    /// Where it listens on loopback.
    pub port: u16,
}

/// What each answer that is still to come belongs to: the number of a write, or nothing of interest.
type Outstanding = Arc<Mutex<VecDeque<Option<usize>>>>;

impl PostgresProxy {
    /// Starts before the server on this port.
    pub async fn before(upstream: u16, trap: Trap) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let trap = trap.clone();
                // A connection that ends, ends both ways: the server rolls back what was not committed.
                tokio::spawn(async move { connection(client, upstream, &trap).await });
            }
        });
        Ok(Self { port })
    }
}

async fn connection(mut client: TcpStream, upstream: u16, trap: &Trap) -> anyhow::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    start(&mut client, &mut server).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let outstanding = Outstanding::default();
    tokio::try_join!(
        forth(from_client, to_server, trap, &outstanding),
        back(from_server, to_client, trap, &outstanding)
    )?;
    Ok(())
}

/// The messages before the first that has a type.
async fn start(client: &mut TcpStream, server: &mut TcpStream) -> anyhow::Result<()> {
    loop {
        let length = client.read_i32().await?;
        let Some(rest) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
            bail!("a start of {length} bytes");
        };
        let mut body = vec![0; rest];
        client.read_exact(&mut body).await?;
        server.write_i32(length).await?;
        server.write_all(&body).await?;
        if body != SSL_REQUEST.to_be_bytes() {
            return Ok(());
        }
        client.write_u8(server.read_u8().await?).await?;
    }
}

/// From the operator: what belongs together is sent together, once it is known whether it writes.
async fn forth(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    trap: &Trap,
    outstanding: &Outstanding,
) -> anyhow::Result<()> {
    let (mut statements, mut together) = (Statements::default(), Vec::new());
    loop {
        let message = read_message(&mut from).await?;
        let ends = statements.note(&message);
        message.append_to(&mut together);
        // Answers to passwords belong to no group.
        if !ends && message.kind != b'p' && message.kind != b'X' {
            continue;
        }
        if ends {
            let number = match statements.take_write() {
                Some(what) => match trap.before(format!("postgres {what}")).await {
                    Ok(number) => Some(number),
                    Err(Dead) => bail!("the operator is dead"),
                },
                None => None,
            };
            outstanding.lock().await.push_back(number);
        }
        to.write_all(&together).await?;
        together.clear();
    }
}

/// To the operator: the answer to a group is passed on once it is whole.
async fn back(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    trap: &Trap,
    outstanding: &Outstanding,
) -> anyhow::Result<()> {
    let mut together = Vec::new();
    loop {
        let message: Message = read_message(&mut from).await?;
        let is_whole = message.kind == b'Z';
        message.append_to(&mut together);
        let mut waits = outstanding.lock().await;
        if is_whole {
            if let Some(Some(number)) = waits.pop_front()
                && trap.after(number).is_err()
            {
                bail!("the operator is dead");
            }
        } else if !waits.is_empty() {
            continue;
        }
        drop(waits);
        to.write_all(&together).await?;
        together.clear();
    }
}
