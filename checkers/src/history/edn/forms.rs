//! The values of EDN, read as those of JSON.
//!
//! | EDN | JSON |
//! |---|---|
//! | `nil`, `true`, `"text"`, `7`, `7N`, `0.5`, `0.5M` | the same |
//! | keywords, symbols, characters | text, keywords without their colon |
//! | ratios, numbers too large for 64 bits, `##Inf` | text as it is written |
//! | vectors, lists, sets | arrays |
//! | maps | objects; a key that is no text is written as JSON |
//! | `#tag value`, `#inst "…"` | the value |
//!
//! `;` begins a comment and `#_` leaves out a value. Nothing here recurses; values nest 128 deep as JSON's do.

use std::io::Read;

use serde_json::{Map, Value};

use crate::history::ReadError;
use crate::history::cursor::{Cursor, Place};
use crate::history::members::text;

const DEEPEST: usize = 128;

/// What was begun and waits for its end.
enum Open {
    Sequence {
        items: Vec<Value>,
        close: u8,
    },
    Map {
        members: Map<String, Value>,
        key: Option<String>,
    },
    /// `#_`: the next value is left out.
    Discard,
    /// `#tag`: the next value takes its place.
    Tag,
}

/// Passes over what means nothing: space, commas, comments, discarded values.
pub(super) fn skip<R: Read>(cursor: &mut Cursor<R>) -> Result<(), ReadError> {
    loop {
        skip_space(cursor)?;
        if !cursor.is_at(b"#_")? {
            return Ok(());
        }
        cursor.pass(2);
        read(cursor)?;
    }
}

fn skip_space<R: Read>(cursor: &mut Cursor<R>) -> Result<(), ReadError> {
    while let Some(byte) = cursor.peek()? {
        match byte {
            b';' => cursor.pass_while(|byte| byte != b'\n', |_| {})?,
            byte if is_space(byte) => cursor.pass_while(is_space, |_| {})?,
            _ => break,
        }
    }
    Ok(())
}

/// Passes over the tags before a value.
pub(super) fn skip_tags<R: Read>(cursor: &mut Cursor<R>) -> Result<(), ReadError> {
    while cursor.peek()? == Some(b'#') && !cursor.is_at(b"#{")? && !cursor.is_at(b"##")? {
        cursor.pass(1);
        tag(cursor)?;
        skip(cursor)?;
    }
    Ok(())
}

/// The next value.
pub(super) fn read<R: Read>(cursor: &mut Cursor<R>) -> Result<Value, ReadError> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        skip_space(cursor)?;
        let place = cursor.place();
        if open.len() > DEEPEST {
            return Err(place.error(format!("values are nested more than {DEEPEST} deep")));
        }
        let value = match begin(cursor, &mut open)? {
            Begun::Value(value) => value,
            Begun::Open(begun) => {
                open.push(begun);
                continue;
            }
        };
        if let Some(whole) = put(&mut open, value, place)? {
            return Ok(whole);
        }
    }
}

enum Begun {
    Value(Value),
    Open(Open),
}

/// What begins at the cursor. What ends there is a value, too.
fn begin<R: Read>(cursor: &mut Cursor<R>, open: &mut Vec<Open>) -> Result<Begun, ReadError> {
    let sequence = |close| Begun::Open(Open::Sequence { items: Vec::new(), close });
    let place = cursor.place();
    let Some(byte) = cursor.peek()? else { return Err(half_written(cursor)) };
    match byte {
        b'[' | b'(' | b'{' => {
            cursor.pass(1);
            Ok(match byte {
                b'[' => sequence(b']'),
                b'(' => sequence(b')'),
                _ => Begun::Open(Open::Map { members: Map::new(), key: None }),
            })
        }
        b']' | b')' | b'}' => {
            cursor.pass(1);
            close(open, byte, place).map(Begun::Value)
        }
        b'"' => string(cursor).map(|text| Begun::Value(Value::String(text))),
        b'\\' => character(cursor).map(|text| Begun::Value(Value::String(text))),
        b'#' => {
            cursor.pass(1);
            match cursor.peek()? {
                Some(b'{') => {
                    cursor.pass(1);
                    Ok(sequence(b'}'))
                }
                Some(b'_') => {
                    cursor.pass(1);
                    Ok(Begun::Open(Open::Discard))
                }
                Some(b'#') => {
                    cursor.pass(1);
                    Ok(Begun::Value(Value::String(format!("##{}", token(cursor)?))))
                }
                _ => tag(cursor).map(|()| Begun::Open(Open::Tag)),
            }
        }
        _ => atom(&token(cursor)?).map(Begun::Value).map_err(|problem| place.error(problem)),
    }
}

/// Puts a whole value where it belongs; gives it back if it is what was asked for.
fn put(open: &mut Vec<Open>, value: Value, place: Place) -> Result<Option<Value>, ReadError> {
    loop {
        match open.last_mut() {
            None => return Ok(Some(value)),
            Some(Open::Sequence { items, .. }) => items.push(value),
            Some(Open::Map { members, key }) => match key.take() {
                None => *key = Some(as_name(value)),
                Some(key) => {
                    if members.contains_key(&key) {
                        return Err(place.error(format!("the key `{key}` is there twice")));
                    }
                    members.insert(key, value);
                }
            },
            Some(Open::Discard) => drop(open.pop()),
            Some(Open::Tag) => {
                open.pop();
                continue;
            }
        }
        return Ok(None);
    }
}

fn as_name(value: Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        other => text(other),
    }
}

fn close(open: &mut Vec<Open>, byte: u8, place: Place) -> Result<Value, ReadError> {
    match open.pop() {
        Some(Open::Sequence { items, close }) if close == byte => Ok(Value::Array(items)),
        Some(Open::Map { members, key: None }) if byte == b'}' => Ok(Value::Object(members)),
        Some(Open::Map { key: Some(key), .. }) if byte == b'}' => {
            Err(place.error(format!("the map ends before the value of `{key}`")))
        }
        _ => Err(place.error(format!("`{}` closes nothing", char::from(byte)))),
    }
}

/// The name of a tag, behind its `#`.
fn tag<R: Read>(cursor: &mut Cursor<R>) -> Result<(), ReadError> {
    let place = cursor.place();
    match token(cursor)?.is_empty() {
        true if cursor.peek()?.is_none() => Err(half_written(cursor)),
        true => Err(place.error("expected a tag, `{` or `_` behind `#`")),
        false => Ok(()),
    }
}

/// Everything up to the next space or bracket.
fn token<R: Read>(cursor: &mut Cursor<R>) -> Result<String, ReadError> {
    let place = cursor.place();
    token_after(cursor, Vec::new(), place)
}

/// The same, with what was read of it before.
fn token_after<R: Read>(cursor: &mut Cursor<R>, mut bytes: Vec<u8>, place: Place) -> Result<String, ReadError> {
    cursor.pass_while(|byte| !is_space(byte) && !is_bracket(byte), |piece| bytes.extend_from_slice(piece))?;
    String::from_utf8(bytes).map_err(|_| place.error("this is not UTF-8"))
}

fn atom(token: &str) -> Result<Value, String> {
    let is_number = token.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_digit());
    match token {
        "nil" => Ok(Value::Null),
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        number if is_number => self::number(number),
        keyword if keyword.starts_with(':') => match keyword.trim_start_matches(':') {
            "" => Err("a keyword has no name".to_owned()),
            name => Ok(Value::String(name.to_owned())),
        },
        symbol => Ok(Value::String(symbol.to_owned())),
    }
}

fn number(token: &str) -> Result<Value, String> {
    let wrong = || format!("`{token}` is no number");
    let text = token.strip_prefix('+').unwrap_or(token);
    let digits = text.strip_suffix('N').unwrap_or(text);
    let is_natural = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_natural(digits.strip_prefix('-').unwrap_or(digits)) {
        let (natural, integer) = (digits.parse::<u64>().ok(), digits.parse::<i64>().ok());
        let value = natural.map(Value::from).or(integer.map(Value::from));
        return Ok(value.unwrap_or_else(|| Value::String(digits.to_owned())));
    }
    if let Some((over, under)) = text.split_once('/') {
        let is_ratio = is_natural(over.strip_prefix('-').unwrap_or(over)) && is_natural(under);
        return is_ratio.then(|| Value::String(text.to_owned())).ok_or_else(wrong);
    }
    let decimal = text.strip_suffix('M').unwrap_or(text);
    let is_decimal = decimal.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = decimal.parse().ok().filter(|_| is_decimal).ok_or_else(wrong)?;
    Ok(serde_json::Number::from_f64(number).map_or_else(|| Value::String(decimal.to_owned()), Value::Number))
}

fn string<R: Read>(cursor: &mut Cursor<R>) -> Result<String, ReadError> {
    let place = cursor.place();
    cursor.pass(1);
    let mut bytes = Vec::new();
    loop {
        cursor.pass_while(|byte| byte != b'"' && byte != b'\\', |piece| bytes.extend_from_slice(piece))?;
        let at = cursor.place();
        match cursor.bump()? {
            None => return Err(half_written(cursor)),
            Some(b'\\') => {
                let letter = escaped(cursor, at)?;
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(_) => break,
        }
    }
    String::from_utf8(bytes).map_err(|_| place.error("this text is not UTF-8"))
}

/// What stands behind a backslash in a text.
fn escaped<R: Read>(cursor: &mut Cursor<R>, at: Place) -> Result<char, ReadError> {
    let Some(byte) = cursor.bump()? else { return Err(half_written(cursor)) };
    Ok(match byte {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' | b'\\' | b'\'' | b'/' => char::from(byte),
        b'u' => unicode(cursor, at)?,
        b'0'..=b'7' => {
            let mut code = u32::from(byte - b'0');
            for _ in 0..2 {
                let Some(digit @ b'0'..=b'7') = cursor.peek()? else { break };
                code = code * 8 + u32::from(digit - b'0');
                cursor.pass(1);
            }
            char::from_u32(code).unwrap_or('\u{fffd}')
        }
        _ => return Err(at.error("there is no such escape in a text")),
    })
}

/// Four hexadecimal digits, and as many again where the first are a half of a surrogate pair.
fn unicode<R: Read>(cursor: &mut Cursor<R>, at: Place) -> Result<char, ReadError> {
    let high = hexadecimal(cursor, at)?;
    if !(0xd800..0xdc00).contains(&high) || !cursor.is_at(b"\\u")? {
        return Ok(char::from_u32(high).unwrap_or('\u{fffd}'));
    }
    cursor.pass(2);
    let low = hexadecimal(cursor, at)?;
    let pair = (0xdc00..0xe000).contains(&low).then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    Ok(pair.and_then(char::from_u32).unwrap_or('\u{fffd}'))
}

fn hexadecimal<R: Read>(cursor: &mut Cursor<R>, at: Place) -> Result<u32, ReadError> {
    let mut code = 0;
    for _ in 0..4 {
        let Some(byte) = cursor.bump()? else { return Err(half_written(cursor)) };
        let digit = char::from(byte).to_digit(16);
        code = code * 16 + digit.ok_or_else(|| at.error("`\\u` wants four hexadecimal digits"))?;
    }
    Ok(code)
}

/// `\a`, `\newline`, `\u0041`, `\o101`.
fn character<R: Read>(cursor: &mut Cursor<R>) -> Result<String, ReadError> {
    let place = cursor.place();
    cursor.pass(1);
    // A bracket or a space is a character by itself, too; all else goes on to the next of these.
    let Some(first) = cursor.bump()? else { return Err(half_written(cursor)) };
    let name = match is_bracket(first) || is_space(first) {
        true => String::from(char::from(first)),
        false => token_after(cursor, vec![first], place)?,
    };
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let named = match name.as_str() {
        "newline" => Some('\n'),
        "return" => Some('\r'),
        "space" => Some(' '),
        "tab" => Some('\t'),
        "backspace" => Some('\u{8}'),
        "formfeed" => Some('\u{c}'),
        one if one.chars().count() == 1 => one.chars().next(),
        hexadecimal if name.starts_with('u') => code(&hexadecimal[1..], 16),
        octal if name.starts_with('o') => code(&octal[1..], 8),
        _ => None,
    };
    named.map(String::from).ok_or_else(|| place.error(format!("there is no character `\\{name}`")))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f)
}

fn is_bracket(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';')
}

pub(super) fn half_written<R: Read>(cursor: &Cursor<R>) -> ReadError {
    cursor.error("the file ends in the middle of a value: it is half written")
}
