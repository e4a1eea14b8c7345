//! Values to bytes and back: on the wire, towards the guard, and in the state file.
//!
//! The only module that knows bincode, whose upstream has ended: to replace it means to change this file. A change of the
//! bytes is a change of the protocol version and of the state file's version; the tests below hold the bytes.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest frame, and the largest state. The largest real one is some hundred bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Why bytes are not a value, or a value does not become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes mean nothing, end too early, or ask for more memory than a frame may hold.
    #[error("undecodable bytes: {0}")]
    Undecodable(String),
    /// The value is complete, and bytes are left.
    #[error("{0} bytes follow after the end of the value")]
    Trailing(usize),
    /// Larger than `MAX_BYTES`.
    #[error("{0} bytes are more than a frame may hold ({MAX_BYTES})")]
    TooLarge(usize),
    /// The connection failed or ended inside a frame.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn format() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

/// The value's bytes.
///
/// # Errors
/// It is larger than `MAX_BYTES`.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, format())
        .map_err(|e| CodecError::Undecodable(e.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// The value that exactly these bytes are.
///
/// # Errors
/// They are not one, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, format())
        .map_err(|e| CodecError::Undecodable(e.to_string()))?;
    match bytes.len() - read {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}

/// The value's bytes after their length (u32, big endian).
///
/// # Errors
/// It is larger than `MAX_BYTES`.
pub fn frame<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = encode(value)?;
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    frame.extend_from_slice(&bytes);
    Ok(frame)
}

/// Checks the length that a frame begins with, before anything is allocated for it.
fn checked_length(prefix: [u8; 4]) -> Result<usize, CodecError> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length > MAX_BYTES {
        return Err(CodecError::TooLarge(length));
    }
    Ok(length)
}

/// Reads one frame. Not cancel safe: a read that is given up leaves the connection inside a frame.
///
/// # Errors
/// The connection ended or failed, or the frame is not a `T`.
pub async fn read_frame<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<T, CodecError> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix).await?;
    let mut bytes = vec![0; checked_length(prefix)?];
    from.read_exact(&mut bytes).await?;
    decode(&bytes)
}

/// Reads one frame, blocking.
///
/// # Errors
/// The connection ended or failed, or the frame is not a `T`.
pub fn read_frame_blocking<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, CodecError> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix)?;
    let mut bytes = vec![0; checked_length(prefix)?];
    from.read_exact(&mut bytes)?;
    decode(&bytes)
}

/// Writes one frame, blocking.
///
/// # Errors
/// The connection failed, or the value is too large.
pub fn write_frame_blocking<T: Serialize>(
    to: &mut impl Write,
    value: &T,
) -> Result<(), CodecError> {
    to.write_all(&frame(value)?)?;
    Ok(())
}
