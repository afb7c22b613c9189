//! Frames: length, checksum, payload.

use sha2::{Digest, Sha256};

/// Length (4 bytes, little endian) and the first 8 bytes of the payload's SHA-256.
const HEADER: usize = 12;
/// A longer frame is damage, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// A frame around a payload.
pub(super) fn build(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&checksum(payload));
    frame.extend_from_slice(payload);
    frame
}

/// The payloads up to the first damage, and how many bytes are good.
pub(super) fn read(bytes: &[u8]) -> (impl Iterator<Item = &[u8]>, usize) {
    let mut payloads = Vec::new();
    let mut at = 0;
    while let Some(payload) = next(&bytes[at..]) {
        payloads.push(payload);
        at += HEADER + payload.len();
    }
    (payloads.into_iter(), at)
}

fn next(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|l| *l <= LARGEST)?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let payload = rest.get(..length)?;
    (checksum(payload) == *sum).then_some(payload)
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(payload);
    let mut sum = [0; 8];
    sum.copy_from_slice(&digest[..8]);
    sum
}
