//! Rust types of every shape that tools and outputs take.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::schema::{SchemaError, of, strict};

macro_rules! types {
    ($($(#[$meta:meta])* $kind:ident $name:ident $body:tt)+) => {
        $(
            #[derive(JsonSchema, Serialize, Deserialize)]
            $(#[$meta])*
            $kind $name $body
        )+
    };
}

types! {
    /// Searches the shop.
    struct ShopQuery {
        /// What to look for.
        query: String,
        limit: Option<u8>,
        offset: i64,
        score: f64,
        exact: bool,
        letter: char,
    }
    struct Point { x: f32, y: f32 }
    /// How loud.
    enum Volume {
        /// Nothing at all.
        Mute,
        /// A whisper.
        Quiet,
        Loud,
    }
    #[serde(rename_all = "snake_case")]
    enum Color { Red, DarkGreen }
    struct Paint {
        /// The main colour.
        color: Color,
        accent: Option<Color>,
        palette: Vec<Color>,
        /// Where to.
        place: Option<Point>,
        corners: [Point; 2],
        volume: Volume,
    }
    enum Shape {
        /// A circle.
        Circle { radius: f64 },
        Square(f64),
        Line(Point, Point),
        Nothing,
    }
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Event {
        /// Pressed.
        Click { at: Point },
        Key { code: u32 },
        Close,
    }
    #[serde(tag = "t", content = "c")]
    enum Adjacent { A(String), B { n: u64 }, C }
    #[serde(untagged)]
    enum Loose { Text(String), Number(i32), Both { text: String, number: i32 } }
    struct Drawing {
        shapes: Vec<Shape>,
        /// What happened last.
        last: Option<Event>,
        adjacent: Adjacent,
        loose: Loose,
    }
    struct Tree { value: String, children: Vec<Tree>, parent: Option<Box<Tree>> }
    struct Forest {
        /// The oldest one.
        oldest: Tree,
        trees: Vec<Tree>,
    }
    /// A formula.
    #[serde(tag = "op")]
    enum Formula {
        /// A number.
        Number { value: f64 },
        /// A sum.
        Add {
            /// The left side.
            left: Box<Formula>,
            /// The right side.
            right: Box<Formula>,
        },
    }
    struct Calculation {
        /// What to calculate.
        formula: Formula,
        note: String,
    }
    struct Page { page: u32, #[serde(default = "hundred")] size: u32 }
    struct Listing { filter: String, #[serde(flatten)] page: Page }
    struct Defaults {
        #[serde(default)]
        name: String,
        #[serde(default)]
        nick: Option<String>,
        #[serde(default = "hundred")]
        level: u32,
    }
    struct Labels {
        name: String,
        /// The labels.
        labels: HashMap<String, String>,
    }
    struct Nested { inner: Option<Labels> }
    struct Sorted { by_name: BTreeMap<String, Point> }
    struct Any { payload: Value }
    struct Pairs { pairs: Vec<(String, i16)>, both: (u8, bool) }
    struct Wrapper { text: String }
    struct Wrapped { wrapper: Wrapper, #[schemars(length(min = 1, max = 9))] code: String }
    struct Formats {
        #[schemars(extend("format" = "date-time"))]
        when: String,
        #[schemars(extend("format" = "shoe-size"))]
        shoe: String,
        #[schemars(range(min = 1, max = 10))]
        stars: u8,
        format: String,
    }
    #[serde(deny_unknown_fields)]
    struct Closed { a: String }
    struct Empty {}
    struct Wide { n8: i8, n16: i16, n32: i32, n64: i64, n128: i128, m: usize, d: std::time::Duration, f: f32 }

}

fn hundred() -> u32 {
    100
}

fn check<T: JsonSchema>(expected: &Value) {
    assert_eq!(of::<T>().to_string(), expected.to_string());
}

#[test]
fn schemas_are_clean() {
    check::<ShopQuery>(&json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "limit": {"type": ["integer", "null"], "minimum": 0, "maximum": 255},
            "offset": {"type": "integer"},
            "score": {"type": "number"},
            "exact": {"type": "boolean"},
            "letter": {"type": "string", "minLength": 1, "maxLength": 1},
        },
        "required": ["query", "offset", "score", "exact", "letter"],
        "description": "Searches the shop.",
    }));
    check::<Formats>(&json!({
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date-time"},
            "shoe": {"type": "string"},
            "stars": {"type": "integer", "minimum": 1, "maximum": 10},
            "format": {"type": "string"},
        },
        "required": ["when", "shoe", "stars", "format"],
    }));
    check::<Empty>(&json!({"type": "object", "properties": {}}));
}

#[test]
fn plain_names_are_an_enum() {
    check::<Color>(&json!({"type": "string", "enum": ["red", "dark_green"]}));
    check::<Volume>(&json!({
        "description": "How loud.\n\n- \"Mute\": Nothing at all.\n- \"Quiet\": A whisper.",
        "type": "string",
        "enum": ["Loud", "Mute", "Quiet"],
    }));
}

#[test]
fn documented_recursion_is_not_inlined() {
    let schema = strict(of::<Calculation>()).unwrap();
    let left = &schema["$defs"]["Formula"]["anyOf"][1]["properties"]["left"];
    let expected = json!({"description": "The left side.", "anyOf": [{"$ref": "#/$defs/Formula"}]});
    assert_eq!(left, &expected);
}

#[test]
fn objects_have_a_strict_form() {
    macro_rules! check_strict {
        ($($object:ty),+) => {
            $(
                let schema = strict(of::<$object>()).unwrap();
                assert_eq!(schema["type"], "object");
                assert_eq!(schema["additionalProperties"], false);
                assert!(schema["required"].is_array());
            )+
        };
    }
    check_strict!(
        ShopQuery,
        Point,
        Paint,
        Drawing,
        Tree,
        Forest,
        Calculation,
        Page,
        Listing,
        Defaults,
        Pairs,
        Wrapper,
        Wrapped,
        Formats,
        Closed,
        Empty,
        Wide
    );
}

#[test]
fn unions_are_no_root() {
    for schema in [
        of::<Shape>(),
        of::<Event>(),
        of::<Adjacent>(),
        of::<Loose>(),
        of::<Formula>(),
    ] {
        assert_eq!(strict(schema), Err(SchemaError::RootUnion));
    }
}

#[test]
fn maps_are_named() {
    for (schema, property, pointer) in [
        (of::<Labels>(), "labels", "#/properties/labels"),
        (of::<Nested>(), "labels", "#/$defs/Labels/properties/labels"),
        (of::<Sorted>(), "by_name", "#/properties/by_name"),
    ] {
        let Err(SchemaError::OpenObject { path }) = strict(schema) else {
            panic!("{property} is a map");
        };
        assert_eq!(path.property(), Some(property));
        assert_eq!(path.to_string(), pointer);
    }
    assert!(matches!(
        strict(of::<Any>()),
        Err(SchemaError::NotASchema { .. })
    ));
}
