//! The last of the test programs: it tells how many tests were skipped for want of data or of a program, and why.

use std::collections::BTreeSet;

use media_core_tests::skipped;

fn main() {
    let notes = skipped::take();
    for note in &notes {
        println!("skipped: {note}");
    }
    let tests: BTreeSet<_> = notes.iter().filter_map(|note| note.split(": ").next()).collect();
    println!(
        "\nskipped, whole or in part, for want of data, a program or a part of this machine: {} tests",
        tests.len()
    );
}
