//! A sample of the kill matrix, another one each day; the whole of it is `cargo lab matrix`.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tenant_lab::matrix::{Finding, Matrix, sample};

use crate::{
    program::tenant,
    world::{World, order_file},
};

/// Cells of a sample.
const CELLS: usize = 12;
/// Days since 1970, or any other number, to play the sample of that day again.
const DAY: &str = "TENANT_MATRIX_DAY";

fn day() -> usize {
    let chosen = std::env::var_os(DAY).and_then(|day| day.into_string().ok()?.parse().ok());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let today = usize::try_from(since.as_secs() / 86_400).expect("days are few");
    chosen.unwrap_or(today)
}

#[tokio::test]
async fn struck_at_any_request_the_next_run_sets_things_right() {
    let world = World::shared().await;
    let matrix = Matrix::prepare(&tenant(), &order_file("order.yml"), world.lab().state()).await;
    let matrix = matrix.unwrap_or_else(|error| panic!("undisturbed it fails: {error:#}"));
    let (cells, day) = (matrix.cells(), day());
    let step = cells.len().div_ceil(CELLS);
    let played = stream::iter(sample(&cells, step, day)).map(|cell| matrix.play(cell)).buffer_unordered(2);
    let findings: Vec<Finding> =
        played.try_collect().await.unwrap_or_else(|error| panic!("a cell cannot be played: {error:#}"));
    assert!(findings.len() >= CELLS / 2, "only {} cells of {}", findings.len(), cells.len());
    let misfits: Vec<_> = findings.iter().filter(|finding| finding.misfit.is_some()).collect();
    let told: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    assert!(
        told.is_empty(),
        "{}\n\nthe sample again: {DAY}={day} cargo test -p acceptance matrix",
        told.join("\n\n")
    );
}
