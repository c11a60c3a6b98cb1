//! Operations by the object that they are about.

use std::collections::BTreeMap;

use super::Operation;

/// The operations of each key, in the order in which they were made.
pub(crate) fn by_key(operations: Vec<Operation<'_>>) -> BTreeMap<Option<&str>, Vec<Operation<'_>>> {
    let mut keys: BTreeMap<Option<&str>, Vec<Operation<'_>>> = BTreeMap::new();
    for operation in operations {
        keys.entry(operation.key()).or_default().push(operation);
    }
    keys
}
