//! A pool that waits for a connection, with a store that takes every connection and answers none.

use super::*;

async fn silent() -> (tokio::net::TcpListener, Store) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://nobody@{}/nothing", listener.local_addr().unwrap());
    let options = parse(&url, None).unwrap();
    let (pool, logged_in) = open(&options, 2);
    let state = Mutex::new(State { pool, logged_in, away: false });
    let shared = Shared { role: Role::Server, options, max_connections: 2, state, watched: Arc::default() };
    (listener, Store { shared: Arc::new(shared) })
}

#[tokio::test]
async fn who_waits_in_vain_for_a_pool_that_has_logged_in_does_not_cut_off_the_others() {
    let (_listener, store) = silent().await;
    store.state().logged_in.store(true, Ordering::Relaxed);
    assert!(matches!(store.begin().await, Err(StoreError::Unavailable(_))));
    assert!(store.pool().is_ok(), "it is busy");
}

#[tokio::test]
async fn a_pool_that_never_logged_in_is_a_store_that_is_away() {
    let (_listener, store) = silent().await;
    assert!(matches!(store.acquire().await, Err(StoreError::Unavailable(_))));
    let start = std::time::Instant::now();
    assert!(store.pool().is_err() && store.begin().await.is_err());
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}
