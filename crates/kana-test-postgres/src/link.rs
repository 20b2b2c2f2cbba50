use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// A proxy to a server that can fall silent. It then accepts connections and bytes, but forwards
/// nothing until it is told to.
pub struct Link {
    url: String,
    address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_silent: bool,
    is_gone: bool,
    /// Both ends of each connection, to be shut down at the end.
    ends: Vec<End>,
}

enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where the server listens.
#[derive(Clone)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Link {
    /// Starts a proxy to the server of `url`.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let place = place(url);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.state().is_gone {
                    return;
                }
                join(client.unwrap(), &place, &shared);
            }
        });
        Self { url: over(url, address), address, state }
    }

    /// Returns the URL of the database through this proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops forwarding in both directions.
    pub fn fall_silent(&self) {
        self.state.state().is_silent = true;
    }

    /// Forwards what was held back, and resumes forwarding.
    pub fn speak(&self) {
        self.state.state().is_silent = false;
        self.state.changed.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.state.state();
        state.is_gone = true;
        for end in state.ends.drain(..) {
            let _ = match end {
                End::Tcp(stream) => stream.shutdown(Shutdown::Both),
                End::Unix(stream) => stream.shutdown(Shutdown::Both),
            };
        }
        drop(state);
        self.state.changed.notify_all();
        // Wakes the thread that accepts connections, so that it ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until bytes may pass. Returns false once the link is dropped.
    fn may_pass(&self) -> bool {
        let state =
            self.changed.wait_while(self.state(), |state| state.is_silent && !state.is_gone);
        !state.unwrap().is_gone
    }
}

/// Connects a client to the server. Closes the client's connection if the server refuses.
fn join(client: TcpStream, place: &Place, shared: &Arc<Shared>) {
    client.set_nodelay(true).unwrap();
    match place {
        Place::Tcp(host, port) => {
            let Ok(server) = TcpStream::connect((host.as_str(), *port)) else {
                return;
            };
            server.set_nodelay(true).unwrap();
            shared.state().ends.push(End::Tcp(server.try_clone().unwrap()));
            forward(client.try_clone().unwrap(), server.try_clone().unwrap(), shared);
            forward(server, client.try_clone().unwrap(), shared);
        }
        Place::Unix(path) => {
            let Ok(server) = UnixStream::connect(path) else {
                return;
            };
            shared.state().ends.push(End::Unix(server.try_clone().unwrap()));
            forward(client.try_clone().unwrap(), server.try_clone().unwrap(), shared);
            forward(server, client.try_clone().unwrap(), shared);
        }
    }
    shared.state().ends.push(End::Tcp(client));
}

/// Forwards bytes on a thread of its own, until one side ends.
fn forward(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Close + Send + 'static,
    shared: &Arc<Shared>,
) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        loop {
            let read = from.read(&mut bytes).unwrap_or(0);
            if !shared.may_pass() || read == 0 || to.write_all(&bytes[..read]).is_err() {
                to.close();
                return;
            }
        }
    });
}

trait Close {
    fn close(&self);
}

impl Close for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Close for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

fn place(url: &str) -> Place {
    let config: Config = url.parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first().unwrap() {
        Host::Tcp(host) => Place::Tcp(host.clone(), port),
        Host::Unix(directory) => Place::Unix(directory.join(format!(".s.PGSQL.{port}"))),
    }
}

/// Replaces the server in a URL.
fn over(url: &str, address: SocketAddr) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let user = server.rsplit_once('@').map(|(user, _)| format!("{user}@")).unwrap_or_default();
    format!("{scheme}://{user}{address}/{path}")
}
