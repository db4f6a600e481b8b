//! A device that another process writes to, or nobody may: no write reaches it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::{AlignedBuffer, Device};
use crate::units::{ByteCount, DeviceOffset};

/// A device through which nothing is written, whatever is asked.
pub struct OnlyRead(pub Arc<dyn Device>);

impl Device for OnlyRead {
    fn read_at(&self, offset: DeviceOffset, buffer: &mut AlignedBuffer) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, _: DeviceOffset, _: &AlignedBuffer) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    /// Nothing of ours waits to be durable.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn is_present(&self) -> bool {
        self.0.is_present()
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn length(&self) -> ByteCount {
        self.0.length()
    }
}
