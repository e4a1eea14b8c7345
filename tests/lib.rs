//! End to end: real daemons, real PostgreSQL.
