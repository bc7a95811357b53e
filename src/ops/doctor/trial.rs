//! Writing to the bucket and cleaning up after it.

use bytes::Bytes;

use super::chart::Chart;
use crate::ambient::{Entropy, random};
use crate::error::{Error, Result};
use crate::store::{ObjectKey, ObjectStore};

/// No name that a reader looks at (docs/format.md, Objects).
const PLACE: &str = "doctor/";

pub(super) async fn write(
    entropy: &dyn Entropy,
    store: &dyn ObjectStore,
    chart: &mut Chart,
) -> Result<()> {
    let name = hex::encode(random::<16>(entropy)?);
    let key = ObjectKey::new(format!("{PLACE}{name}"))?;
    let body = Bytes::from_static(b"written by b2-backup doctor --write; may be deleted\n");
    if let Err(error) = store.put(&key, body.clone()).await {
        chart.error("write", &error);
        return Ok(());
    }
    match store.get(&key, body.len() as u64).await {
        Ok(read) if read == body => chart.ok("write", "a small object was written and read back"),
        Ok(_) => {
            let message = "a small object was written, and something else was read back";
            chart.problem(
                "write",
                "B2_STORE",
                message,
                "Do not trust this server, or a proxy before it",
            );
        }
        Err(error) => chart.error("write", &error),
    }
    clean(store, &key, chart).await;
    Ok(())
}

/// Really deletes the object where the key may, else hides it.
async fn clean(store: &dyn ObjectStore, key: &ObjectKey, chart: &mut Chart) {
    let versions = store.list_versions(key.as_str()).await.ok().flatten();
    for version in versions.into_iter().flatten().filter(|one| one.key == key.as_str()) {
        match store.delete(key, Some(&version.version)).await {
            Ok(()) => {}
            Err(Error::Capability { .. }) => break,
            Err(error) => return chart.error("write", &error),
        }
    }
    let Err(Error::ObjectMissing { .. }) = store.get(key, 1024).await else {
        match store.delete(key, None).await {
            Ok(()) if matches!(store.list_versions(key.as_str()).await, Ok(Some(_))) => {
                let message =
                    format!("the object {key} is hidden, not deleted: the key may not delete");
                chart.note("write", message, "A lifecycle rule frees it; it is 52 bytes");
            }
            Ok(()) => chart.ok("write", "and deleted again"),
            Err(error) => chart.error("write", &error),
        }
        return;
    };
    chart.ok("write", "and deleted again");
}
