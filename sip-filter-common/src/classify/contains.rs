//! Contains: later.
