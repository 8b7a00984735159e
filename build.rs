//! Recipes and drills are embedded in the binary; a file that is added to them has to be noticed.

fn main() {
    println!("cargo::rerun-if-changed=compose");
    println!("cargo::rerun-if-changed=drills");
}
