//! `cargo lab demo --full`: the whole story, on a cluster of this machine's own that stays up until `cargo lab down`.

use tenant_lab::{directories::Directories, story::Story, supervisor::Size};

use super::{ORDER, checkout, open};
use crate::{
    args::UpArguments,
    commands::{self, print, say},
};

pub(super) async fn run(directories: &Directories, mut arguments: UpArguments) -> anyhow::Result<()> {
    (arguments.size, arguments.plain) = (Size::Full, true);
    let (tenant, state) = open(directories, arguments).await?;
    let story = Story {
        state: &state,
        tenant,
        order: checkout().join(ORDER),
        folder: state.folder(),
        tell: &|line| say(&format!("{line}\n")),
    };
    let issue = story.play().await?;
    print(&format!("\n#{} {}\n\n{}\n", issue.number, issue.title, issue.text))?;
    let name = commands::option(&state.name);
    say(&format!("\nthe lab is still up: cargo lab status{name}; at the end: cargo lab down{name}\n"));
    Ok(())
}
