//! Keys with a common beginning, taken as names in a directory.

use super::outcome::Stop;
use super::pb::RangeRequest;
use super::session::Session;
use crate::client::Effect;
use crate::client::Reads;

/// The names of the keys below `directory`, and the store's revision at that moment.
pub(super) async fn names(
    session: &mut Session,
    directory: &str,
    reads: Reads,
) -> Result<(Vec<String>, Option<i64>), Stop> {
    let request = RangeRequest {
        key: format!("{directory}/").into_bytes(),
        // The character after the slash.
        range_end: format!("{directory}0").into_bytes(),
        keys_only: true,
        serializable: reads == Reads::Local,
        ..RangeRequest::default()
    };
    let mut kv = session.kv()?;
    let response = session.step(Effect::None, kv.range(request)).await?;
    let names = response.kvs.iter().map(|pair| {
        let key = String::from_utf8_lossy(&pair.key);
        key.rsplit('/').next().unwrap_or_default().to_owned()
    });
    Ok((names.collect(), response.header.map(|header| header.revision)))
}
