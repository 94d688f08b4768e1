//! Programs that outside judges run; see `src/bin`.
