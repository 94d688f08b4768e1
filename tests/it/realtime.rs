//! Realtime sessions over a WebSocket: the scripts, the connection, and servers that mean no good.

mod connection;
mod hostile;
mod proxy;
mod scripts;
mod session;
mod streaming;
