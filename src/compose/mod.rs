//! A topology as a Compose file: what `khd render` prints is what `khd up` brings up.
//!
//! [`model`] is the part of the Compose specification that khd uses; [`render`] fills it from a topology.

pub mod model;
pub mod render;
