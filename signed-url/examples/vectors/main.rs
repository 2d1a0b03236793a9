//! Prints `vectors/sx1.json`. Owns nothing but the output: `cargo run -p authly-signed-url --example vectors`.
//! The cases are in the files beside this one, one per part of the format; `vectors/README.md` gives the shape.

#![allow(clippy::unwrap_used)]

#[path = "cases.rs"]
mod cases;

fn main() {
    print!("{}", cases::json());
}
