//! The embedded server against what is known of the real one: one test for each documented behaviour, through
//! HTTP and websocket as any client would meet it.

mod connections;
mod faults;
mod posts;
mod reading;
mod resources;
mod shapes;
mod sockets;
mod support;
