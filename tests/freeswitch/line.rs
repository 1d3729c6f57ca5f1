//! A line to the Event Socket that can be cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Passes on what goes through it, until the test's process ends.
pub(crate) struct Line {
    /// Where it is entered.
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    streams: Vec<TcpStream>,
}

impl Line {
    /// A line to a port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let entrance = listener.local_addr().expect("bound").port();
        let state = Arc::<Mutex<State>>::default();
        let passing = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut state = lock(&passing);
                if !state.cut
                    && let Ok(far) = TcpStream::connect(("127.0.0.1", port))
                {
                    pass(&near, &far).expect("sockets can be cloned");
                    state.streams.extend([near, far]);
                }
            }
        });
        Self { port: entrance, state }
    }

    /// Cuts all connections. New ones end at once until it is [mended](Self::mend).
    pub(crate) fn cut(&self) {
        let mut state = lock(&self.state);
        state.cut = true;
        for stream in state.streams.drain(..) {
            // Whoever has closed it already needs no cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn mend(&self) {
        lock(&self.state).cut = false;
    }
}

fn pass(near: &TcpStream, far: &TcpStream) -> io::Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nobody panics while holding it")
}
