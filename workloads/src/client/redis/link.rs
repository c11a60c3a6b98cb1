//! One connection, and whether it has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisResult};
use tokio::net::TcpStream;

use crate::client::contain::contain;
use crate::client::tasks::Spawner;

/// A connection. Its copies share it.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    over: Arc<AtomicBool>,
}

impl Link {
    /// Connects; the connection's task is spawned with `spawner`.
    pub(super) async fn open(address: SocketAddr, spawner: &Spawner) -> Result<Link, String> {
        let token = |error: std::io::Error| error.kind().to_string().replace(' ', "-");
        let stream = TcpStream::connect(address).await.map_err(token)?;
        stream.set_nodelay(true).map_err(token)?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        // The time of a call is its session's business.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = contain(MultiplexedConnection::new_with_config(&info, stream, config)).await;
        let Ok(Ok((connection, driver))) = opened else { return Err("no-redis".to_owned()) };
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        spawner.spawn(async move {
            // What it ended with is told to each request that was on it.
            let _ = contain(driver).await;
            ended.store(true, Ordering::SeqCst);
        });
        Ok(Link { connection, over })
    }

    /// Whether the connection has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Makes one request and waits for its answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, request: &Cmd) -> RedisResult<T> {
        request.query_async(&mut self.connection.clone()).await
    }
}
