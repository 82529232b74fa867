//! The words of the language and what each means, for editors.

/// Words of both profiles, or of the one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    Contract,
    Libxl,
}

/// A word, whether it names a type, the profile that has it, what it means.
const WORDS: &[(&str, bool, Of, &str)] = &[
    (
        "Struct",
        false,
        Of::Both,
        "`Struct(\"name\", [fields], options)`: an object with these fields, in this order.",
    ),
    (
        "Enumeration",
        false,
        Of::Both,
        "`Enumeration(\"name\", [(number, \"name\")], options)`: JSON holds the name, C the number.",
    ),
    ("String", false, Of::Contract, "`String(\"name\", pattern=.., max=..)`: text of this form."),
    (
        "Array",
        false,
        Of::Both,
        "`Array(type, \"length\")`: a list; languages that need a field for its length call it so.",
    ),
    (
        "KeyedUnion",
        false,
        Of::Both,
        "`KeyedUnion(None, enumeration, \"key\", [(\"value\", type or None)])`: one of the arms; in JSON one key `\"key.value\"`.",
    ),
    ("UInt", false, Of::Both, "`UInt(8|16|32|64)`: an unsigned integer of so many bits."),
    ("Number", false, Of::Libxl, "`Number(\"int\")`: a number of C."),
    (
        "Builtin",
        false,
        Of::Libxl,
        "`Builtin(\"name\")`: a type whose JSON libxl's own functions read and write.",
    ),
    (
        "namespace",
        false,
        Of::Both,
        "What begins the names of types in C. A variable is called like its type, with or without it.",
    ),
    (
        "profile",
        false,
        Of::Both,
        "`profile(\"contract\")`: everything documented, options strict. Without it a file is libxl's.",
    ),
    ("hidden", false, Of::Libxl, "Not exported by libxl's library."),
    ("bool", true, Of::Both, "`true` or `false`."),
    ("string", true, Of::Both, "Text."),
    ("uint8", true, Of::Both, "0 to 255."),
    ("uint16", true, Of::Both, "0 to 65535."),
    ("uint32", true, Of::Both, "0 to 2^32-1."),
    (
        "uint64",
        true,
        Of::Both,
        "0 to 2^53-1 in profile `contract` (what every JSON reader keeps), to 2^64-1 in libxl's files.",
    ),
    ("integer", true, Of::Both, "±(2^53-1) in profile `contract`, an `int` in libxl's files."),
    ("size_t", true, Of::Libxl, "A size of C."),
    ("domid", true, Of::Contract, "The number of a running domain: 0 to 0x7fef."),
    (
        "timestamp",
        true,
        Of::Contract,
        "RFC 3339 in UTC with nine digits: `\"2026-11-24T01:02:03.000000000Z\"`.",
    ),
    ("duration", true, Of::Contract, "Integer nanoseconds."),
    ("uuid", true, Of::Contract, "Lower-case, dashed."),
    ("path", true, Of::Contract, "An absolute path without `..`."),
    ("bytes", true, Of::Contract, "A size in bytes."),
    ("json", true, Of::Contract, "JSON of someone else, kept byte for byte."),
    (
        "DIR_IN",
        false,
        Of::Both,
        "Written by a requester. Strict in profile `contract`: what is unknown is an error.",
    ),
    ("DIR_OUT", false, Of::Both, "Written by us. Open in profile `contract`: what is unknown is kept."),
    (
        "DIR_BOTH",
        false,
        Of::Both,
        "Written by us and read again. Open in profile `contract`: what is unknown is kept.",
    ),
    ("DIR_NONE", false, Of::Libxl, "Neither passed in nor out."),
    ("dir", false, Of::Both, "Who writes the type: `DIR_IN`, `DIR_OUT`, `DIR_BOTH`."),
    (
        "xenstore",
        false,
        Of::Contract,
        "The path in xenstore that holds the type, `$NAME` for what varies. It must fit into 2048 bytes.",
    ),
    (
        "access",
        false,
        Of::Contract,
        "Who writes at the path in xenstore: `n` not the domain, `w` the domain.",
    ),
    ("optional", false, Of::Contract, "Left out when absent, and only then."),
    ("default", false, Of::Contract, "Always written, may be absent when read."),
    ("range", false, Of::Contract, "Least and greatest integer (nanoseconds for a duration)."),
    ("min", false, Of::Contract, "Fewest bytes of a string, or elements of a list."),
    ("max", false, Of::Contract, "Most bytes of a string, or elements of a list."),
    (
        "pattern",
        false,
        Of::Contract,
        "The form of a string: characters and `[classes]`, each with an optional count.",
    ),
    ("since", false, Of::Contract, "The version of the contract that brought it."),
    ("deprecated", false, Of::Contract, "What to use instead."),
    ("deprecated_by", false, Of::Libxl, "The field to use instead."),
    ("init_val", false, Of::Libxl, "What it is at first, in C; JSON leaves it out while it is that."),
    ("const", false, Of::Libxl, "Set by libxl and nobody else: not in JSON."),
    ("private", false, Of::Libxl, "libxl's own: not in JSON."),
    (
        "value_namespace",
        false,
        Of::Libxl,
        "What begins the names of the values in C, instead of the namespace.",
    ),
    ("keyvar_init_val", false, Of::Libxl, "The key of a new union."),
    ("passby", false, Of::Libxl, "Whether C passes a value or a pointer."),
    ("dispose_fn", false, Of::Libxl, "The function of C that frees what the value holds."),
    ("copy_fn", false, Of::Libxl, "The function of C that copies the value."),
    ("json_gen_fn", false, Of::Libxl, "The function of libxl on yajl that writes the JSON."),
    ("jsonc_json_gen_fn", false, Of::Libxl, "The function of libxl on json-c that writes the JSON."),
    ("json_parse_fn", false, Of::Libxl, "The function of libxl that reads the JSON."),
    ("json_parse_type", false, Of::Libxl, "The kind of JSON that libxl's reader expects."),
];

/// What a word means.
#[must_use]
pub fn about(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|w| w.0 == word).map(|w| w.3)
}

/// The builtin types that need no declaration.
pub fn types(contract: bool) -> impl Iterator<Item = &'static str> {
    let other = if contract { Of::Libxl } else { Of::Contract };
    WORDS.iter().filter(move |w| w.1 && w.2 != other).map(|w| w.0)
}
