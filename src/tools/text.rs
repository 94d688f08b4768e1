//! The text that a serialisable value becomes: a string as it is, anything else as compact JSON.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error, Impossible, Serializer};

/// Writes a value as text.
///
/// What JSON would write as a string becomes that string without quotes and escapes, and `()` becomes the empty text.
pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    // A string must not be quoted only to be unquoted again, so the value is asked first whether it is one. Any other says no
    // before it visits a field.
    match value.serialize(Probe) {
        Ok(text) => Ok(text),
        Err(NotText) => serde_json::to_string(value),
    }
}

/// Accepts strings and the unit at the top level, and nothing else.
struct Probe;

#[derive(Debug)]
struct NotText;

impl std::error::Error for NotText {}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a text")
    }
}

impl Error for NotText {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)+) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, NotText> {
            Err(NotText)
        })+
    };
}

type Never = Impossible<String, NotText>;

impl Serializer for Probe {
    type Ok = String;
    type Error = NotText;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_str(self, text: &str) -> Result<String, NotText> {
        Ok(text.to_owned())
    }

    fn serialize_char(self, character: char) -> Result<String, NotText> {
        Ok(character.into())
    }

    fn serialize_unit(self) -> Result<String, NotText> {
        Ok(String::new())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, NotText> {
        Ok(variant.to_owned())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, NotText> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, NotText> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, NotText> {
        Err(NotText)
    }

    refuse! {
        serialize_bool(bool) -> String;
        serialize_i8(i8) -> String;
        serialize_i16(i16) -> String;
        serialize_i32(i32) -> String;
        serialize_i64(i64) -> String;
        serialize_i128(i128) -> String;
        serialize_u8(u8) -> String;
        serialize_u16(u16) -> String;
        serialize_u32(u32) -> String;
        serialize_u64(u64) -> String;
        serialize_u128(u128) -> String;
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}
