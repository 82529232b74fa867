/*
 * Descriptions of types, as generated code has them: where fields are, what they are, what they may hold.
 * For generated code and the support code only.
 */
#ifndef XENIDL_TYPES_H
#define XENIDL_TYPES_H

#include "xenidl.h"

typedef enum xenidl_kind {
    /* The contract's. */
    XENIDL_BOOL,
    XENIDL_INT,
    XENIDL_TEXT, /* char * */
    XENIDL_PATH, /* char * */
    XENIDL_RAW,  /* char *: JSON as it is */
    XENIDL_TIMESTAMP,
    XENIDL_UUID,
    XENIDL_ENUM,      /* an int */
    XENIDL_OPEN_ENUM, /* an int, and a name of XENIDL_NAME_SIZE */
    XENIDL_STRUCT,
    XENIDL_EXTRA,   /* an arm without fields of an open union */
    XENIDL_NOTHING, /* an arm without fields of a strict union; no memory */
    XENIDL_UNION,
    /* libxl's. */
    XENIDL_C_BOOL,
    XENIDL_C_NUMBER,
    XENIDL_C_TEXT,
    XENIDL_C_ENUM,
    XENIDL_C_STRUCT,
    XENIDL_C_UNION,
    XENIDL_C_NOTHING,
    XENIDL_C_DEFBOOL,
    XENIDL_C_UUID,
    XENIDL_C_MAC,
    XENIDL_C_BITMAP,
    XENIDL_C_CPUID,
    XENIDL_C_STRING_LIST,
    XENIDL_C_KEY_VALUE_LIST,
    XENIDL_C_HWCAP,
    XENIDL_C_GENID
} xenidl_kind;

/* Characters, as ranges of their numbers, and how many of them. */
typedef struct xenidl_part {
    int num_ranges;
    const uint32_t (*ranges)[2];
    uint32_t least;
    uint32_t most;
} xenidl_part;

typedef struct xenidl_pattern {
    const char *text;
    int num_parts;
    const xenidl_part *parts;
} xenidl_pattern;

/* Least and greatest number; fewest and most bytes of a text; fewest and most elements. */
typedef struct xenidl_limits {
    int64_t min;
    int64_t max;
    const xenidl_pattern *pattern;
} xenidl_limits;

typedef struct xenidl_value {
    const char *name;
    int number;
} xenidl_value;

typedef struct xenidl_arm {
    const char *key; /* "op.cancel" */
    int number;      /* of the value of the enumeration */
    const xenidl_type *type;
} xenidl_arm;

/* A union: an int that tells the arm, and the arms, which share the field's place. */
typedef struct xenidl_union {
    const char *keyvar;
    bool open;
    int initial;
    size_t kind;  /* where the int is, in the struct */
    size_t alone; /* libxl's: where it is told that the key stands without an arm */
    int num_arms;
    const xenidl_arm *arms;
    const xenidl_type *key;
} xenidl_union;

typedef enum xenidl_presence { XENIDL_REQUIRED, XENIDL_OPTIONAL, XENIDL_DEFAULT, XENIDL_INITIAL } xenidl_presence;

#define XENIDL_NOWHERE ((size_t)-1)

typedef struct xenidl_field {
    const char *name;
    const xenidl_type *type; /* of an array: of its elements */
    size_t offset;
    size_t has;   /* where its has_ is, of an optional one that needs one */
    size_t count; /* where its length is, of an array */
    bool pointer; /* an optional struct */
    xenidl_presence presence;
    int64_t initial;
    const char *initial_text;
    const xenidl_limits *limits;
} xenidl_field;

struct xenidl_type {
    xenidl_kind kind;
    const char *name;
    size_t size;
    bool is_signed; /* of a number */
    bool open;      /* of a struct: fields that it does not know are kept */
    const xenidl_limits *limits;
    int num; /* of fields or values */
    const xenidl_field *fields;
    const xenidl_value *values;
    const xenidl_union *u;
    size_t extra; /* where an open struct keeps them */
};

extern const xenidl_type xenidl_bool, xenidl_int8, xenidl_int16, xenidl_int32, xenidl_int64, xenidl_uint8, xenidl_uint16,
    xenidl_uint32, xenidl_uint64, xenidl_domid, xenidl_string, xenidl_path, xenidl_raw, xenidl_timestamp_type,
    xenidl_uuid_type, xenidl_extra_type, xenidl_nothing;
extern const xenidl_type xenidl_c_bool, xenidl_c_int8, xenidl_c_int16, xenidl_c_int32, xenidl_c_int64, xenidl_c_uint8,
    xenidl_c_uint16, xenidl_c_uint32, xenidl_c_uint64, xenidl_c_text, xenidl_c_defbool, xenidl_c_uuid, xenidl_c_mac,
    xenidl_c_bitmap, xenidl_c_cpuid, xenidl_c_string_list, xenidl_c_key_value_list, xenidl_c_hwcap, xenidl_c_genid,
    xenidl_c_nothing;

/* What the functions of every type do. */
void xenidl_init(const xenidl_type *type, void *p);
void xenidl_dispose(const xenidl_type *type, void *p);
int xenidl_copy(const xenidl_type *type, void *to, const void *from);
int xenidl_from_json(const xenidl_type *type, void *p, const char *json, size_t length, xenidl_error *error);
char *xenidl_to_json(const xenidl_type *type, const void *p, xenidl_error *error);
const char *xenidl_value_name(const xenidl_type *type, int number);
int xenidl_value_number(const xenidl_type *type, const char *name, int *number);
/* Of an open enumeration. */
const char *xenidl_open_name(const xenidl_type *type, const void *p);
int xenidl_open_from(const xenidl_type *type, const char *name, void *p);
int xenidl_check_text(const xenidl_type *type, const char *text, xenidl_error *error);
const xenidl_type *xenidl_find(const xenidl_type *const *types, const char *name);

#endif
