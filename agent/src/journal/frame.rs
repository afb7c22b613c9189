//! Frames: length, checksum, payload.

use sha2::{Digest, Sha256};

/// Length (4 bytes, little endian) and the first 8 bytes of the payload's SHA-256.
const HEADER: usize = 12;
/// A longer frame is damage, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// A frame around a payload, a JSON object; `None` if it is too large to be read back.
pub(super) fn build(payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= LARGEST)?;
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&checksum(payload));
    frame.extend_from_slice(payload);
    Some(frame)
}

/// What a file holds.
pub(super) struct Frames<'b> {
    /// The payloads, in order.
    pub(super) payloads: Vec<&'b [u8]>,
    /// Where the last good frame ends: what follows was torn off by a crash.
    pub(super) end: usize,
    /// Damaged bytes between good frames: no crash does that, a failing disk does.
    pub(super) damaged: usize,
}

/// All payloads that are whole, wherever damage is.
pub(super) fn read(bytes: &[u8]) -> Frames<'_> {
    let mut frames = Frames { payloads: Vec::new(), end: 0, damaged: 0 };
    let mut at = 0;
    while at + HEADER < bytes.len() {
        match next(&bytes[at..]) {
            Some(payload) => {
                frames.damaged += at - frames.end;
                at += HEADER + payload.len();
                frames.end = at;
                frames.payloads.push(payload);
            }
            None => at += 1,
        }
    }
    frames
}

fn next(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|l| *l <= LARGEST)?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let payload = rest.get(..length)?;
    // Cheap before dear: while looking for the next good frame this is asked at every byte.
    let plausible = payload.first() == Some(&b'{') && payload.last() == Some(&b'}');
    (plausible && checksum(payload) == *sum).then_some(payload)
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(payload);
    let mut sum = [0; 8];
    sum.copy_from_slice(&digest[..8]);
    sum
}
