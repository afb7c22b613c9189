//! `cargo lab matrix`: the whole kill matrix, or a part of it, in a lab of its own; prints one table and every misfit.

use std::{
    fmt::Write as _,
    path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use tenant_lab::{
    lab::{Lab, LabOptions},
    matrix::{Blow, Course, Finding, Matrix, sample},
};

use crate::{
    args::MatrixArguments,
    commands::{print, say},
    demo,
};

/// How many cells a line of progress stands for.
const STRIDE: usize = 10;

pub(crate) async fn run(arguments: MatrixArguments) -> anyhow::Result<()> {
    let tenant = match &arguments.tenant {
        Some(path) => path::absolute(path).context("find tenant")?,
        None => demo::build_tenant(&[]).await?,
    };
    let order = demo::checkout().join(demo::ORDER);
    let lab = Lab::up(LabOptions::default()).await?;
    let matrix = Matrix::prepare(&tenant, &order, lab.state()).await.context("provision undisturbed")?;
    let cells = match arguments.cell.as_slice() {
        [] => sample(&matrix.cells(), arguments.every, arguments.offset),
        named => named.to_vec(),
    };
    say(&format!(
        "{} cells; undisturbed, provision sends {} requests and destroy {}\n",
        cells.len(),
        matrix.requests(Course::ProvisionAgain),
        matrix.requests(Course::DestroyAgain),
    ));
    let (since, total) = (Instant::now(), cells.len());
    let mut played =
        stream::iter(cells).map(|cell| matrix.play(cell)).buffer_unordered(arguments.jobs.into());
    let mut findings = Vec::with_capacity(total);
    while let Some(finding) = played.next().await {
        let finding = finding?;
        if finding.misfit.is_some() {
            say(&format!("\n{finding}\n\n"));
        }
        findings.push(finding);
        if findings.len() % STRIDE == 0 || findings.len() == total {
            say(&format!("{} of {total} cells after {} s\n", findings.len(), since.elapsed().as_secs()));
        }
    }
    drop(played);
    lab.down().await?;
    print(&table(&findings))?;
    match findings.iter().filter(|finding| finding.misfit.is_some()).count() {
        0 => Ok(()),
        misfits => bail!("{misfits} of {total} cells did not converge"),
    }
}

/// One row per course and blow, and their sum.
fn table(findings: &[Finding]) -> String {
    let mut rows =
        vec![["course", "struck by", "cells", "converged", "residue", "slowest"].map(str::to_owned)];
    let groups = Course::ALL.into_iter().flat_map(|course| Blow::ALL.map(|blow| (course, blow)));
    for (course, blow) in groups {
        let own = |finding: &&Finding| finding.cell.course == course && finding.cell.blow == blow;
        let group: Vec<&Finding> = findings.iter().filter(own).collect();
        if !group.is_empty() {
            rows.push(row(&course.to_string(), &blow.to_string(), &group));
        }
    }
    rows.push(row("all", "", &findings.iter().collect::<Vec<_>>()));
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default());
    rows.iter().fold(String::new(), |mut text, row| {
        let [course, blow, cells, converged, residue, slowest] = row;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{course:<0$}  {blow:<1$}  {cells:>2$}  {converged:>3$}  {residue:>4$}  {slowest:>5$}",
            widths[0], widths[1], widths[2], widths[3], widths[4], widths[5],
        );
        text
    })
}

fn row(course: &str, blow: &str, group: &[&Finding]) -> [String; 6] {
    let converged = group.iter().filter(|finding| finding.misfit.is_none()).count();
    let residue = group.iter().filter(|finding| finding.left_something()).count();
    let slowest = group.iter().map(|finding| finding.took).max().unwrap_or(Duration::ZERO);
    [
        course.to_owned(),
        blow.to_owned(),
        group.len().to_string(),
        converged.to_string(),
        residue.to_string(),
        format!("{:.1} s", slowest.as_secs_f64()),
    ]
}
