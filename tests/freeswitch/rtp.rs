//! A pressed key, as a telephone sends it in the media (RFC 4733): SIPp could too, but only as root.

use std::io;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Duration;

/// Which payload type the phones' SDP gives to telephone events, and the marker of the first packet.
const PAYLOAD_TYPE: u8 = 101;
const MARKER: u8 = 0x80;
/// The bit that says that the key was let go, and the loudness beside it.
const END: u8 = 0x80;
const VOLUME: u8 = 10;
/// A packet comes every 20 ms, which are 160 ticks of the clock.
const PACKET: Duration = Duration::from_millis(20);
const TICKS: u16 = 160;
/// How many packets say that the key is held; then three say that it was let go, in case one is lost.
const HELD: u16 = 8;

/// Presses a key in the call that listens on a port.
pub(crate) fn press(port: u16, key: char) -> io::Result<()> {
    let event = "0123456789*#".find(key).and_then(|event| u8::try_from(event).ok()).expect("a key of a telephone");
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for sequence in 0..HELD + 3 {
        let (first, last) = (sequence == 0, sequence >= HELD);
        let mut packet = vec![0x80, PAYLOAD_TYPE | if first { MARKER } else { 0 }];
        packet.extend((sequence + 1).to_be_bytes());
        // The time at which the key was pressed, and who sends.
        packet.extend([0, 0, 0, 160, b'k', b'e', b'y', b's']);
        packet.extend([event, VOLUME | if last { END } else { 0 }]);
        packet.extend((TICKS * (sequence.min(HELD) + 1)).to_be_bytes());
        socket.send_to(&packet, ("127.0.0.1", port))?;
        sleep(PACKET);
    }
    Ok(())
}
