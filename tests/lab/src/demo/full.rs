//! `cargo lab demo --full`: the whole story, on a cluster of this machine's own that stays up until `cargo lab down`.

use tenant_lab::{
    directories::Directories,
    story::{GUIDS, Story},
    supervisor::Size,
};

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
        tenant: tenant.clone(),
        order: checkout().join(ORDER),
        folder: state.folder(),
        tell: &|line| say(&format!("{line}\n")),
    };
    let issue = story.play().await?.issue;
    print(&format!("\n#{} {}\n\n{}\n", issue.number, issue.title, issue.text))?;
    let name = commands::option(&state.name);
    let (tenant, guid) = (tenant.display(), GUIDS[1]);
    say(&format!(
        "\n{guid} is still there; its guid is enough to look at it, and to destroy it:\n  eval \"$(cargo lab env{name})\"\n  \
         {tenant} status --guid {guid}\n  {tenant} destroy --guid {guid}\nand the lab: cargo lab down{name}\n"
    ));
    Ok(())
}
