//! Paths: what a valid one looks like, and how it comes apart.

use super::error::ErrorCode;

/// The parent's path and the node's own name. The path must be valid and not the root.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    if name.is_empty() {
        return None;
    }
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

/// The path of a child.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// Refuses what ZooKeeper refuses: relative paths, empty, `.` and `..` components, a slash at the end, and
/// characters that cannot be shown.
pub(crate) fn validate(path: &str) -> Result<(), ErrorCode> {
    if path == "/" {
        return Ok(());
    }
    let rest = path.strip_prefix('/').ok_or(ErrorCode::BadArguments)?;
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) || rest.chars().any(is_forbidden) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(())
}

/// Control characters, surrogates, the private use area and specials.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths_are_told_from_invalid_ones() {
        for good in ["/", "/a", "/a/b", "/a.b", "/...", "/ä ö", "/a/.b"] {
            assert_eq!(validate(good), Ok(()), "{good:?}");
        }
        for bad in
            ["", "a", "a/b", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a\0", "/\u{1f}", "/\u{f000}"]
        {
            assert_eq!(validate(bad), Err(ErrorCode::BadArguments), "{bad:?}");
        }
    }

    #[test]
    fn a_path_splits_and_joins() {
        for (path, parts) in [("/", None), ("/a", Some(("/", "a"))), ("/a/b", Some(("/a", "b"))), ("a", None)] {
            assert_eq!(split(path), parts, "{path:?}");
            if let Some((parent, name)) = parts {
                assert_eq!(join(parent, name), path);
            }
        }
    }
}
