//! Every test end to end, in one program: they wait more than they work, so several run at a time.

mod adoption;
mod configuration;
mod demo;
mod disagreeing;
mod failover;
mod hand_over;
mod hang;
mod hooks;
mod lost;
mod network;
mod pausing;
mod picture;
mod rejoin;
mod storm;
mod wrong_host;
mod wrong_input;
