//! What only pods that really run can show: the charts by the commands of their READMEs, new versions of them without a
//! gap, every back end of the MCP servers, and a tenant whose `status` is green only when its pods serve. The whole story has a
//! program of its own, which also goes to existing clusters.
//!
//! All tests share one full lab, one test at a time. A machine that cannot have a node skips them, and says so where nobody
//! overlooks it.

mod backends;
mod charts;
mod rollouts;
mod settled;
mod tenant;
mod terminal;
mod world;
