//! The shapes of results and requests in the protocol, up to version 2026-07-28.

/// The form of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    Flag,
    Number,
    /// Text or number, as tokens and ids are.
    Key,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An object whose fields are the server's own.
    Open,
    Object(&'static [ShapeField]),
    List(&'static Self),
    /// An object whose form depends on its `type`.
    Content,
    /// One block of content, or several.
    Contents,
    Any,
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShapeField {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) is_due: bool,
}

const fn due(name: &'static str, shape: Shape) -> ShapeField {
    ShapeField {
        name,
        shape,
        is_due: true,
    }
}

const fn may(name: &'static str, shape: Shape) -> ShapeField {
    ShapeField {
        name,
        shape,
        is_due: false,
    }
}

use Shape::{Any, Contents, Flag, Key, List, Number, Object, Open, Text, Word};

/// The levels of log messages, as syslog has them.
pub(super) const LOG_LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

const META: ShapeField = may("_meta", Open);
const RESULT_TYPE: ShapeField = may("resultType", Text);
const CURSOR: ShapeField = may("nextCursor", Text);
const TTL: ShapeField = may("ttlMs", Number);
const SCOPE: ShapeField = may("cacheScope", Word(&["public", "private"]));
const TITLE: ShapeField = may("title", Text);
const DESCRIPTION: ShapeField = may("description", Text);
const MEDIA_TYPE: ShapeField = may("mimeType", Text);
const ROLE: Shape = Word(&["user", "assistant"]);
const ICONS: ShapeField = may(
    "icons",
    List(&Object(&[
        due("src", Text),
        MEDIA_TYPE,
        may("sizes", List(&Text)),
        may("theme", Word(&["light", "dark"])),
    ])),
);
const ANNOTATIONS: ShapeField = may(
    "annotations",
    Object(&[
        may("audience", List(&ROLE)),
        may("priority", Number),
        may("lastModified", Text),
    ]),
);

const TOOL: &[ShapeField] = &[
    due("name", Text),
    due("inputSchema", Open),
    TITLE,
    DESCRIPTION,
    may("outputSchema", Open),
    may(
        "annotations",
        Object(&[
            TITLE,
            may("readOnlyHint", Flag),
            may("destructiveHint", Flag),
            may("idempotentHint", Flag),
            may("openWorldHint", Flag),
        ]),
    ),
    may(
        "execution",
        Object(&[may(
            "taskSupport",
            Word(&["forbidden", "optional", "required"]),
        )]),
    ),
    ICONS,
    META,
];
pub(super) const RESOURCE: &[ShapeField] = &[
    due("uri", Text),
    due("name", Text),
    TITLE,
    DESCRIPTION,
    MEDIA_TYPE,
    may("size", Number),
    ANNOTATIONS,
    ICONS,
    META,
];
const TEMPLATE: &[ShapeField] = &[
    due("uriTemplate", Text),
    due("name", Text),
    TITLE,
    DESCRIPTION,
    MEDIA_TYPE,
    ANNOTATIONS,
    ICONS,
    META,
];
const PROMPT: &[ShapeField] = &[
    due("name", Text),
    TITLE,
    DESCRIPTION,
    may(
        "arguments",
        List(&Object(&[
            due("name", Text),
            TITLE,
            DESCRIPTION,
            may("required", Flag),
        ])),
    ),
    ICONS,
    META,
];
const RESOURCE_CONTENTS: &[ShapeField] = &[
    due("uri", Text),
    MEDIA_TYPE,
    may("text", Text),
    may("blob", Text),
    META,
];
const IMPLEMENTATION: &[ShapeField] = &[
    due("name", Text),
    due("version", Text),
    TITLE,
    DESCRIPTION,
    may("websiteUrl", Text),
    ICONS,
];
const CHANGES: Shape = Object(&[may("listChanged", Flag)]);
const CAPABILITIES: Shape = Object(&[
    may("experimental", Open),
    may("extensions", Open),
    may("logging", Open),
    may("completions", Open),
    may("tasks", Open),
    may("prompts", CHANGES),
    may("tools", CHANGES),
    may(
        "resources",
        Object(&[may("subscribe", Flag), may("listChanged", Flag)]),
    ),
]);
const SAMPLING_MESSAGE: Shape = Object(&[due("role", ROLE), due("content", Contents), META]);

/// The blocks of content by their `type`.
pub(super) const CONTENT: &[(&str, &[ShapeField])] = &[
    ("text", &[TYPE, due("text", Text), ANNOTATIONS, META]),
    ("image", MEDIUM),
    ("audio", MEDIUM),
    (
        "resource",
        &[
            TYPE,
            due("resource", Object(RESOURCE_CONTENTS)),
            ANNOTATIONS,
            META,
        ],
    ),
    (
        "tool_use",
        &[
            TYPE,
            due("id", Text),
            due("name", Text),
            due("input", Open),
            META,
        ],
    ),
    (
        "tool_result",
        &[
            TYPE,
            due("toolUseId", Text),
            due("content", Contents),
            may("structuredContent", Any),
            may("isError", Flag),
            META,
        ],
    ),
];
const TYPE: ShapeField = due("type", Text);
const MEDIUM: &[ShapeField] = &[
    TYPE,
    due("data", Text),
    due("mimeType", Text),
    ANNOTATIONS,
    META,
];

/// The results and questions of servers, by method.
pub(super) const METHODS: &[(&str, &[ShapeField])] = &[
    (
        "initialize",
        &[
            due("protocolVersion", Text),
            due("capabilities", CAPABILITIES),
            due("serverInfo", Object(IMPLEMENTATION)),
            may("instructions", Text),
            RESULT_TYPE,
            META,
        ],
    ),
    (
        "server/discover",
        &[
            due("supportedVersions", List(&Text)),
            due("capabilities", CAPABILITIES),
            may("instructions", Text),
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "tools/list",
        &[
            due("tools", List(&Object(TOOL))),
            CURSOR,
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "tools/call",
        &[
            due("content", List(&Shape::Content)),
            may("structuredContent", Open),
            may("isError", Flag),
            RESULT_TYPE,
            META,
        ],
    ),
    (
        "resources/list",
        &[
            due("resources", List(&Object(RESOURCE))),
            CURSOR,
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "resources/templates/list",
        &[
            due("resourceTemplates", List(&Object(TEMPLATE))),
            CURSOR,
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "resources/read",
        &[
            due("contents", List(&Object(RESOURCE_CONTENTS))),
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "prompts/list",
        &[
            due("prompts", List(&Object(PROMPT))),
            CURSOR,
            RESULT_TYPE,
            TTL,
            SCOPE,
            META,
        ],
    ),
    (
        "prompts/get",
        &[
            DESCRIPTION,
            due(
                "messages",
                List(&Object(&[
                    due("role", ROLE),
                    due("content", Shape::Content),
                ])),
            ),
            RESULT_TYPE,
            META,
        ],
    ),
    (
        "completion/complete",
        &[
            due(
                "completion",
                Object(&[
                    due("values", List(&Text)),
                    may("total", Number),
                    may("hasMore", Flag),
                ]),
            ),
            RESULT_TYPE,
            META,
        ],
    ),
    (
        "sampling/createMessage",
        &[
            due("messages", List(&SAMPLING_MESSAGE)),
            due("maxTokens", Number),
            may("systemPrompt", Text),
            may("temperature", Number),
            may("stopSequences", List(&Text)),
            may("modelPreferences", Open),
            may("includeContext", Text),
            may("metadata", Open),
            may("tools", List(&Object(TOOL))),
            may("toolChoice", Open),
            may("task", Open),
            META,
        ],
    ),
    (
        "elicitation/create",
        &[
            may("mode", Word(&["form", "url"])),
            due("message", Text),
            may("requestedSchema", Open),
            may("url", Text),
            may("elicitationId", Text),
            may("task", Open),
            META,
        ],
    ),
    (
        "notifications/progress",
        &[
            due("progressToken", Key),
            due("progress", Number),
            may("total", Number),
            may("message", Text),
            META,
        ],
    ),
    (
        "notifications/message",
        &[
            due("level", Word(&LOG_LEVELS)),
            may("logger", Text),
            due("data", Any),
            META,
        ],
    ),
];
