//! The cells: which course, which blow, at which request.

use std::{fmt, str::FromStr};

use crate::proxy::Spoil;

/// Two runs, the first of which is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    /// Provision is struck, and run again.
    ProvisionAgain,
    /// Provision is struck, then destroy.
    ProvisionDestroy,
    /// Destroy of a whole tenant is struck, and run again.
    DestroyAgain,
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ProvisionAgain, Self::ProvisionDestroy, Self::DestroyAgain];

    fn name(self) -> &'static str {
        match self {
            Self::ProvisionAgain => "provision-provision",
            Self::ProvisionDestroy => "provision-destroy",
            Self::DestroyAgain => "destroy-destroy",
        }
    }

    /// One letter, for a guid.
    fn letter(self) -> char {
        match self {
            Self::ProvisionAgain => 'p',
            Self::ProvisionDestroy => 'x',
            Self::DestroyAgain => 'd',
        }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What strikes the first run, once the service has acted on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The program is killed (SIGKILL).
    Kill,
    /// The connection is cut; the program goes on as it can.
    Cut,
}

impl Blow {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kill, Self::Cut];

    /// What a proxy has to do.
    pub fn spoil(self) -> Spoil {
        match self {
            Self::Kill => Spoil::Kill { acted: true },
            Self::Cut => Spoil::CutAfter,
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Kill => "kill",
            Self::Cut => "cut-after",
        })
    }
}

/// One case of the matrix. As text: `provision-destroy:kill:31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Which runs.
    pub course: Course,
    /// What strikes the first.
    pub blow: Blow,
    /// At its how many-th request, from 1.
    pub number: u64,
}

impl Cell {
    /// The tenant's guid. None contains another, so that traces cannot be mistaken.
    pub(super) fn guid(self) -> String {
        let blow = match self.blow {
            Blow::Kill => 'k',
            Blow::Cut => 'c',
        };
        format!("mx{}{blow}{:04}", self.course.letter(), self.number)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.course, self.blow, self.number)
    }
}

impl FromStr for Cell {
    type Err = ParseCell;

    fn from_str(text: &str) -> Result<Self, ParseCell> {
        let wrong = || ParseCell(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let [course, blow, number] = parts[..] else { return Err(wrong()) };
        Ok(Self {
            course: Course::ALL.into_iter().find(|known| known.name() == course).ok_or_else(wrong)?,
            blow: Blow::ALL.into_iter().find(|known| known.to_string() == blow).ok_or_else(wrong)?,
            number: number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?,
        })
    }
}

/// The text names no cell.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no cell of the matrix; they are named like provision-destroy:kill:31")]
pub struct ParseCell(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_survives_a_round_trip_and_no_guid_contains_another() {
        let mut guids = Vec::new();
        for course in Course::ALL {
            for blow in Blow::ALL {
                for number in [1, 9, 10, 100] {
                    let cell = Cell { course, blow, number };
                    assert_eq!(cell.to_string().parse::<Cell>().unwrap(), cell);
                    guids.push(cell.guid());
                }
            }
        }
        for guid in &guids {
            let within = guids.iter().filter(|other| other.contains(guid.as_str())).count();
            assert_eq!(within, 1, "{guid} among {guids:?}");
        }
        for text in
            ["", "provision-destroy:kill", "provision-destroy:kill:0", "a:kill:1", "provision-destroy:a:1"]
        {
            assert!(text.parse::<Cell>().is_err(), "{text:?} was taken");
        }
    }
}
