//! The errors of schemas.

use super::path::SchemaPath;

/// Says why a schema has no strict form, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// An object allows properties it does not declare, as a map does.
    #[error(
        "{} is a map or allows undeclared properties, which strict mode forbids; \
         use a list of key-value pairs, or turn strict off",
        path.in_words()
    )]
    OpenObject {
        /// The object.
        path: SchemaPath,
    },
    /// Something else is where a schema is expected.
    #[error(
        "{} is {found} where strict mode needs a schema object; give it a concrete type, or turn strict off",
        path.in_words()
    )]
    NotASchema {
        /// The place of the schema.
        path: SchemaPath,
        /// What is there: `true`, `a string`, ...
        found: &'static str,
    },
    /// The root is a choice between schemas.
    #[error(
        "the root (#) is a union, which strict mode forbids; put the union into a property of an object"
    )]
    RootUnion,
    /// The root allows other types than an object.
    #[error("the root (#) has the types {found}; strict mode needs a plain, non-nullable object")]
    RootType {
        /// The value of `type`, as JSON.
        found: String,
    },
    /// A reference leads out of the schema.
    #[error("{} refers to `{reference}`; only references that begin with `#/` can be inlined", path.in_words())]
    RefOutside {
        /// The place of the reference.
        path: SchemaPath,
        /// The value of `$ref`.
        reference: String,
    },
    /// The percent escapes of a reference are not UTF-8.
    #[error("{} refers to `{reference}`, whose percent escapes are not UTF-8; correct them", path.in_words())]
    RefEncoding {
        /// The place of the reference.
        path: SchemaPath,
        /// The value of `$ref`.
        reference: String,
    },
    /// The target of a reference does not exist.
    #[error("{} refers to `{reference}`, where there is no schema; define it or correct the reference", path.in_words())]
    RefMissing {
        /// The place of the reference.
        path: SchemaPath,
        /// The value of `$ref`.
        reference: String,
    },
    /// A reference has constraints beside it.
    #[error(
        "{} has a `$ref` beside {}, which cannot be merged without changing what is accepted; \
         move them into the definition",
        path.in_words(),
        keywords.join(", ")
    )]
    RefSiblings {
        /// The place of the reference.
        path: SchemaPath,
        /// The constraining keywords, sorted.
        keywords: Vec<String>,
    },
    /// A reference is inside, or leads into, a nested resource with an `$id`.
    #[error("{} has a `$ref` inside or into a nested `$id` resource; remove that `$id`", path.in_words())]
    RefResource {
        /// The place of the reference.
        path: SchemaPath,
    },
    /// References form a circle and never lead to a schema.
    #[error("{} refers to `{reference}`, which leads back to itself; break the circle", path.in_words())]
    RefCircle {
        /// The place of the first reference.
        path: SchemaPath,
        /// The reference that closes the circle.
        reference: String,
    },
    /// The only entry of an `allOf` contradicts the schema around it.
    #[error(
        "{} and the only entry of its `allOf` disagree on {}; write them as one schema",
        path.in_words(),
        keywords.join(", ")
    )]
    AllOfConflict {
        /// The schema that has the `allOf`.
        path: SchemaPath,
        /// The keywords that differ, sorted.
        keywords: Vec<String>,
    },
    /// The schema nests too deeply, perhaps because an inlined reference repeats without end.
    #[error(
        "{} is nested more than {limit} levels deep; flatten it, or remove what stands beside a recursive `$ref`",
        path.in_words()
    )]
    TooDeep {
        /// The place that is too deep.
        path: SchemaPath,
        /// The levels allowed.
        limit: usize,
    },
    /// The schema is too large once its references are inlined.
    #[error("{} takes the schema beyond {limit} nodes; simplify it, or inline less", path.in_words())]
    TooLarge {
        /// The place where the limit was reached.
        path: SchemaPath,
        /// The nodes allowed.
        limit: usize,
    },
    /// It is not a valid JSON Schema, or refers to a schema outside itself.
    #[error("this is not a JSON Schema that answers can be checked against: {detail}")]
    Invalid {
        /// What is wrong, and where.
        detail: String,
    },
}
