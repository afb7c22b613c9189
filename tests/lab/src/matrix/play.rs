//! Playing one cell: strike, run again, look.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{
    Cell, Course, Matrix,
    run::{Ended, Struck, Verb},
};
use crate::proxy::{Exchange, Proxy, Rule, Which};

/// What became of one cell.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub cell: Cell,
    /// The request the first run was struck at; `None` when it had ended before it sent so many.
    pub exchange: Option<Exchange>,
    /// What is not as it should be.
    pub misfit: Option<Misfit>,
    /// From its begin to its end.
    pub took: Duration,
}

/// What is not as it should be after a cell.
#[derive(Clone, Debug)]
pub enum Misfit {
    /// A run that nobody disturbed failed.
    Failed {
        /// Which run.
        run: &'static str,
        /// What it said.
        said: String,
    },
    /// The tenant is not what an undisturbed one is, or what a run that ended well left is not.
    Differs {
        /// After which run.
        run: &'static str,
        /// One line per difference.
        differences: Vec<String>,
    },
    /// Something is left after destroy.
    Residue {
        /// After which run.
        run: &'static str,
        /// What is left.
        left: Vec<String>,
    },
}

impl Finding {
    /// Whether a destroy that ended well left something.
    pub fn left_something(&self) -> bool {
        matches!(self.misfit, Some(Misfit::Residue { .. }))
    }
}

impl fmt::Display for Finding {
    /// Where it was struck, what is not as it should be, and how to see it again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cell, exchange, misfit, .. } = self;
        match exchange {
            Some(exchange) => writeln!(formatter, "{cell} struck at\n{exchange}")?,
            None => writeln!(formatter, "{cell} ended before it sent so many requests")?,
        }
        match misfit {
            Some(misfit) => write!(formatter, "{misfit}\nagain: cargo lab matrix --cell {cell}"),
            None => formatter.write_str("as it should be"),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines =
            |lines: &[String]| lines.iter().map(|line| format!("\n  {line}")).collect::<Vec<_>>().concat();
        match self {
            Self::Failed { run, said } => {
                write!(formatter, "{run} fails:\n  {}", said.trim_end().replace('\n', "\n  "))
            }
            Self::Differs { run, differences } => {
                write!(formatter, "after {run} the tenant is not as it should be:{}", lines(differences))
            }
            Self::Residue { run, left } => write!(formatter, "after {run} there is left:{}", lines(left)),
        }
    }
}

impl Matrix {
    /// Plays a cell.
    ///
    /// # Errors
    /// When the program cannot be run or the lab does not answer; a misfit is none.
    pub async fn play(&self, cell: Cell) -> anyhow::Result<Finding> {
        let since = Instant::now();
        let guid = cell.guid();
        let mut exchange = None;
        let misfit = match cell.course {
            Course::ProvisionAgain => self.provision_again(cell, &guid, &mut exchange).await?,
            Course::ProvisionDestroy => self.provision_destroy(cell, &guid, &mut exchange).await?,
            Course::DestroyAgain => self.destroy_again(cell, &guid, &mut exchange).await?,
        };
        Ok(Finding { cell, exchange, misfit, took: since.elapsed() })
    }

    async fn provision_again(
        &self,
        cell: Cell,
        guid: &str,
        exchange: &mut Option<Exchange>,
    ) -> anyhow::Result<Option<Misfit>> {
        let proxy = self.proxy(cell)?;
        let struck = self.strike(&proxy, Verb::Provision, guid, exchange).await?;
        // a run that says it is done has to be believed
        if succeeded(&struck)
            && let Some(misfit) = self.compared(guid, "the disturbed provision", Some(&proxy)).await?
        {
            return Ok(Some(misfit));
        }
        drop(proxy);
        if let Some(misfit) = failed(self.directly(Verb::Provision, guid).await?, "provision again") {
            return Ok(Some(misfit));
        }
        if let Some(misfit) = self.compared(guid, "provision again", None).await? {
            return Ok(Some(misfit));
        }
        self.destroyed(guid).await
    }

    async fn provision_destroy(
        &self,
        cell: Cell,
        guid: &str,
        exchange: &mut Option<Exchange>,
    ) -> anyhow::Result<Option<Misfit>> {
        let proxy = self.proxy(cell)?;
        self.strike(&proxy, Verb::Provision, guid, exchange).await?;
        drop(proxy);
        self.destroyed(guid).await
    }

    async fn destroy_again(
        &self,
        cell: Cell,
        guid: &str,
        exchange: &mut Option<Exchange>,
    ) -> anyhow::Result<Option<Misfit>> {
        if let Some(misfit) = failed(self.directly(Verb::Provision, guid).await?, "provision") {
            return Ok(Some(misfit));
        }
        let proxy = self.proxy(cell)?;
        let struck = self.strike(&proxy, Verb::Destroy, guid, exchange).await?;
        if succeeded(&struck)
            && let Some(misfit) = self.residue(guid, "the disturbed destroy").await?
        {
            return Ok(Some(misfit));
        }
        drop(proxy);
        self.destroyed(guid).await
    }

    fn proxy(&self, cell: Cell) -> anyhow::Result<Proxy> {
        Proxy::start(&self.lab, vec![Rule::new(Which::number(cell.number), cell.blow.spoil())])
    }

    /// The first run, and the request it was struck at.
    async fn strike(
        &self,
        proxy: &Proxy,
        verb: Verb,
        guid: &str,
        exchange: &mut Option<Exchange>,
    ) -> anyhow::Result<Struck> {
        let struck = self.run(verb, guid, Some(proxy)).await?;
        *exchange = proxy.exchanges().into_iter().find(|one| one.spoil.is_some());
        Ok(struck)
    }

    /// How the tenant differs from an undisturbed one.
    async fn compared(
        &self,
        guid: &str,
        run: &'static str,
        proxy: Option<&Proxy>,
    ) -> anyhow::Result<Option<Misfit>> {
        let addresses = proxy.map(|proxy| {
            let (seen, real) = (proxy.state(), &self.lab);
            [
                (seen.api_url.as_str(), real.api_url.as_str()),
                (seen.litellm_url.as_str(), real.litellm_url.as_str()),
            ]
        });
        let now = self.caller.snapshot().await?;
        let portrait = now.portrait(guid, addresses.as_ref().map_or(&[], |all| all.as_slice()));
        let differences = self.reference.diff(&portrait);
        Ok((!differences.is_empty()).then_some(Misfit::Differs { run, differences }))
    }

    /// Destroys the tenant and looks for what is left.
    async fn destroyed(&self, guid: &str) -> anyhow::Result<Option<Misfit>> {
        match failed(self.directly(Verb::Destroy, guid).await?, "destroy") {
            Some(misfit) => Ok(Some(misfit)),
            None => self.residue(guid, "destroy").await,
        }
    }

    async fn residue(&self, guid: &str, run: &'static str) -> anyhow::Result<Option<Misfit>> {
        let left = self.caller.snapshot().await?.traces(guid);
        Ok((!left.is_empty()).then_some(Misfit::Residue { run, left }))
    }
}

fn succeeded(struck: &Struck) -> bool {
    matches!(struck, Struck::Ended(Ended { code: Some(0), .. }))
}

fn failed(ended: Ended, run: &'static str) -> Option<Misfit> {
    (ended.code != Some(0)).then_some(Misfit::Failed { run, said: ended.stderr })
}
