//! Operations by the object that they are about.

use rustc_hash::FxHashMap;

use super::Operation;

/// The operations of one key, in the order in which they were made.
type OfOne<'h> = (Option<&'h str>, Vec<Operation<'h>>);

/// The operations of each key; the keys in order.
pub(crate) fn by_key(operations: Vec<Operation<'_>>) -> Vec<OfOne<'_>> {
    let mut places: FxHashMap<Option<&str>, usize> = FxHashMap::default();
    let mut keys: Vec<OfOne<'_>> = Vec::new();
    for operation in operations {
        let key = operation.key();
        let place = *places.entry(key).or_insert(keys.len());
        if place == keys.len() {
            keys.push((key, Vec::new()));
        }
        keys[place].1.push(operation);
    }
    keys.sort_unstable_by_key(|(key, _)| *key);
    keys
}
