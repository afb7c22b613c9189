//! `cargo lab demo --full`: the whole story, on a cluster of this machine's own that stays up until `cargo lab down`.

use tenant_lab::{
    builds::progress::Progress,
    directories::Directories,
    story::Story,
    supervisor::{Prepared, Size},
};

use super::{ORDER, build_tenant, checkout, folder};
use crate::{
    args::UpArguments,
    commands::{self, print, say},
};

pub(super) async fn run(directories: &Directories, mut arguments: UpArguments) -> anyhow::Result<()> {
    (arguments.size, arguments.plain) = (Size::Full, true);
    let options = commands::options(arguments)?;
    let tenant = build_tenant(&[]).await?;
    Prepared::ensure(directories, &options, Progress::stderr()).await?;
    let state = commands::start(directories, &options).await?;
    let story = Story {
        state: &state,
        tenant,
        order: checkout().join(ORDER),
        folder: folder(&state),
        tell: &|line| say(&format!("{line}\n")),
    };
    let told = story.play().await?;
    print(&format!("\n#{} {}\n\n{}\n", told.issue.number, told.issue.title, told.issue.text))?;
    let name = if state.name == "default" { String::new() } else { format!(" --name {}", state.name) };
    say(&format!("\nthe lab is still up: cargo lab status{name}; at the end: cargo lab down{name}\n"));
    Ok(())
}
