//! `tenant destroy --force-finalizers`: takes away what holds up an earlier destroy, and lists it.

use futures::future::try_join_all;

use crate::{
    cluster::{
        APP_PROJECT, APPLICATION, APPLICATION_SET, Cluster, ClusterError, GITEA, Kind, NAMESPACE, Object,
        Released,
    },
    report::printer::Printer,
};

/// Our kinds that others finish.
const FINISHED_BY_OTHERS: [Kind; 4] = [APPLICATION, APPLICATION_SET, APP_PROJECT, GITEA];

/// Takes away the finalizers of the tenant's objects that are being deleted, and of everything that is being
/// deleted in those of its namespaces that are. What is not being deleted is not touched.
///
/// # Errors
///
/// When the API server does not answer or refuses.
pub(super) async fn finalizers(
    cluster: &Cluster,
    selector: &str,
    printer: &Printer,
) -> Result<(), ClusterError> {
    let served = FINISHED_BY_OTHERS.iter().filter(|kind| cluster.serves(kind));
    let found = served.map(|kind| async move {
        let objects = cluster.list(kind, "", selector).await?;
        let released = try_join_all(objects.iter().map(|object| cluster.release(kind, object))).await?;
        Ok::<_, ClusterError>(released.into_iter().flatten().collect::<Vec<_>>())
    });
    let mut released: Vec<Released> = try_join_all(found).await?.into_iter().flatten().collect();
    for namespace in cluster.list(&NAMESPACE, "", selector).await?.iter().filter(|one| is_going(one)) {
        released.extend(cluster.release_all(namespace.metadata.name.as_deref().unwrap_or_default()).await?);
    }
    for Released { object, finalizers } in &released {
        printer.warning(&format!("took finalizer {} away from {object}", finalizers.join(", ")));
    }
    if released.is_empty() {
        printer.status("nothing that is being deleted is held by a finalizer");
    }
    Ok(())
}

fn is_going(object: &Object) -> bool {
    object.metadata.deletion_timestamp.is_some()
}
