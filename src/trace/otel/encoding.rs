//! The two encodings of OTLP messages: protobuf and JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A field of a message: its number in protobuf and its name in JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProtoField(pub(super) u32, pub(super) &'static str);

/// A message that is written field by field, in one of the encodings.
pub(super) trait OtlpMessage: Default {
    fn text(&mut self, field: ProtoField, text: &str);
    /// The id of a trace or span: bytes in protobuf, hexadecimal in JSON.
    fn id(&mut self, field: ProtoField, id: &str);
    /// A `fixed64`: nanoseconds or counts.
    fn fixed(&mut self, field: ProtoField, number: u64);
    /// A packed list of `fixed64`.
    fn fixed_list(&mut self, field: ProtoField, numbers: &[u64]);
    fn double(&mut self, field: ProtoField, number: f64);
    fn double_list(&mut self, field: ProtoField, numbers: &[f64]);
    /// A small number, such as an enum's.
    fn number(&mut self, field: ProtoField, number: u32);
    fn integer(&mut self, field: ProtoField, number: i64);
    fn boolean(&mut self, field: ProtoField, is: Switch);
    fn one(&mut self, field: ProtoField, message: Self);
    fn many(&mut self, field: ProtoField, messages: impl IntoIterator<Item = Self>);
}

/// A `bool` of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch(pub(super) bool);

/// A message in protobuf's wire format.
#[derive(Default)]
pub(super) struct Protobuf(Vec<u8>);

const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;

impl Protobuf {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut number: u64) {
        // Seven bits per byte, lowest first; the top bit says that more bytes follow.
        while number >= 0x80 {
            self.0.push(0x80 | (number & 0x7f) as u8);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    fn tag(&mut self, field: ProtoField, wire_type: u32) {
        self.varint(u64::from(field.0 << 3 | wire_type));
    }

    fn bytes(&mut self, field: ProtoField, bytes: &[u8]) {
        self.tag(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

impl OtlpMessage for Protobuf {
    fn text(&mut self, field: ProtoField, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn id(&mut self, field: ProtoField, id: &str) {
        let digits = id.as_bytes().chunks(2);
        let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.filter_map(byte).collect();
        self.bytes(field, &bytes);
    }

    fn fixed(&mut self, field: ProtoField, number: u64) {
        self.tag(field, FIXED_64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed_list(&mut self, field: ProtoField, numbers: &[u64]) {
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        self.bytes(field, &bytes);
    }

    fn double(&mut self, field: ProtoField, number: f64) {
        self.fixed(field, number.to_bits());
    }

    fn double_list(&mut self, field: ProtoField, numbers: &[f64]) {
        let bits: Vec<u64> = numbers.iter().map(|number| number.to_bits()).collect();
        self.fixed_list(field, &bits);
    }

    fn number(&mut self, field: ProtoField, number: u32) {
        self.tag(field, VARINT);
        self.varint(u64::from(number));
    }

    fn integer(&mut self, field: ProtoField, number: i64) {
        self.tag(field, VARINT);
        self.varint(number.cast_unsigned());
    }

    fn boolean(&mut self, field: ProtoField, is: Switch) {
        self.number(field, u32::from(is.0));
    }

    fn one(&mut self, field: ProtoField, message: Self) {
        self.bytes(field, &message.0);
    }

    fn many(&mut self, field: ProtoField, messages: impl IntoIterator<Item = Self>) {
        messages
            .into_iter()
            .for_each(|message| self.one(field, message));
    }
}

/// A message in OTLP/JSON, where 64-bit numbers are texts and ids are hexadecimal.
#[derive(Default)]
pub(super) struct JsonMessage(Map<String, Value>);

impl JsonMessage {
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn set(&mut self, field: ProtoField, value: impl Into<Value>) {
        self.0.insert(field.1.to_owned(), value.into());
    }
}

impl OtlpMessage for JsonMessage {
    fn text(&mut self, field: ProtoField, text: &str) {
        self.set(field, text);
    }

    fn id(&mut self, field: ProtoField, id: &str) {
        self.set(field, id);
    }

    fn fixed(&mut self, field: ProtoField, number: u64) {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _written = write!(text, "{number}");
        self.set(field, text);
    }

    fn fixed_list(&mut self, field: ProtoField, numbers: &[u64]) {
        let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
        self.set(field, texts);
    }

    fn double(&mut self, field: ProtoField, number: f64) {
        self.set(field, number);
    }

    fn double_list(&mut self, field: ProtoField, numbers: &[f64]) {
        self.set(field, numbers.to_vec());
    }

    fn number(&mut self, field: ProtoField, number: u32) {
        self.set(field, number);
    }

    fn integer(&mut self, field: ProtoField, number: i64) {
        self.set(field, number.to_string());
    }

    fn boolean(&mut self, field: ProtoField, is: Switch) {
        self.set(field, is.0);
    }

    fn one(&mut self, field: ProtoField, message: Self) {
        self.set(field, message.0);
    }

    fn many(&mut self, field: ProtoField, messages: impl IntoIterator<Item = Self>) {
        let messages: Vec<Value> = messages.into_iter().map(Self::into_value).collect();
        self.set(field, messages);
    }
}
