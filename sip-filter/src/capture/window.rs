//! A window onto what is read: as many bytes in a row as are asked for, none of them copied
//! twice but those at its end.

use std::io::{self, ErrorKind, Read};

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 20;

pub(super) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not yet left behind lies between the two.
    start: usize,
    end: usize,
    /// Where `start` lies in the input.
    offset: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    /// What is in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where it begins, in bytes from the input's start.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Leaves the first bytes behind, and gives them.
    pub(super) fn advance(&mut self, length: usize) -> &[u8] {
        let before = self.start;
        self.start += length;
        self.offset += length as u64;
        &self.buffer[before..self.start]
    }

    /// Reads on; whether there was more.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
