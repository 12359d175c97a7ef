//! One file for each thing that is promised.

mod activation;
mod capabilities;
mod chat;
mod control;
mod descriptors;
mod doctor;
mod elsewhere;
mod identity;
mod life;
mod make;
mod memory;
mod neighbour;
mod nspawn;
mod package;
mod places;
mod seed;
mod setup;
mod start_up;
mod units;
