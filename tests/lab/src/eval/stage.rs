//! Where scenes are set.

use std::sync::Arc;

use super::{apiserver::PipelineCluster, openshift::Memory, scene::Scene};

/// A place for scenes.
pub enum Stage {
    /// In memory, shown by a stand-in for the OpenShift MCP server.
    Memory(Arc<Memory>),
    /// On a real API server, shown by the real one.
    Cluster(Arc<PipelineCluster>),
}

impl Stage {
    /// Puts a scene into its namespace.
    ///
    /// # Errors
    /// When the API server refuses an object of it.
    pub async fn put(&self, scene: Scene) -> anyhow::Result<()> {
        match self {
            Self::Memory(memory) => {
                memory.put(scene);
                Ok(())
            }
            Self::Cluster(cluster) => cluster.put(&scene).await,
        }
    }
}
