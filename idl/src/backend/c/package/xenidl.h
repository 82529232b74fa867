/*
 * What the types of this package stand on: texts, optional values, errors, and descriptions of types, by which one small
 * reader and one small writer serve them all.
 *
 * Values own what they point to: fill them with malloc'd memory (strdup), and end them with their _dispose function.
 * A text is UTF-8 and ends at its NUL; U+0000 within one is held as the bytes C0 80.
 */
#ifndef XENIDL_H
#define XENIDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a document was refused, or a value cannot be written. */
typedef struct xenidl_error {
    char path[512];    /* Where: disks[1].format; empty for the whole document. */
    char problem[256]; /* What is wrong. */
} xenidl_error;

/* A UUID. */
typedef struct xenidl_uuid {
    uint8_t bytes[16];
} xenidl_uuid;

/* An instant in UTC, of the years 1 to 9999. */
typedef struct xenidl_timestamp {
    int64_t seconds;      /* Since 1970, rounded down. */
    uint32_t nanoseconds; /* From 0 to 999999999. */
} xenidl_timestamp;

/* What is on its way out: warns where it is used, but for this package's own code. */
#if defined(__GNUC__) && !defined(XENIDL_OWN_CODE)
#define XENIDL_DEPRECATED(text) __attribute__((deprecated(text)))
#else
#define XENIDL_DEPRECATED(text)
#endif

/* The number that an open enumeration or union has for what this version does not know. */
#define XENIDL_UNKNOWN (-2147483647 - 1)

/* Room for the name of a value or arm that this version does not know. */
#define XENIDL_NAME_SIZE 65

/* Fields that a newer version wrote, in order: kept and written again. */
typedef struct xenidl_extra {
    int num_fields;
    struct xenidl_extra_field {
        char *name;
        char *json;
    } *fields;
} xenidl_extra;

/* An arm that a newer version knows: kept and written again. */
typedef struct xenidl_unknown_arm {
    char name[XENIDL_NAME_SIZE];
    char *json;
} xenidl_unknown_arm;

/* libxl's: true, false, or left to libxl. */
typedef struct xenidl_defbool {
    int val; /* 1, -1, 0 */
} xenidl_defbool;

typedef struct xenidl_mac {
    uint8_t bytes[6];
} xenidl_mac;

/* A set of small numbers, ascending. */
typedef struct xenidl_bitmap {
    int num_bits;
    uint32_t *bits;
} xenidl_bitmap;

/* A leaf of CPUID; registers have 32 characters, from bit 31 down: 1, 0, x default, k keep, s as is; or are NULL. */
typedef struct xenidl_cpuid_leaf {
    uint32_t leaf;
    bool has_subleaf;
    uint32_t subleaf;
    char *registers[4]; /* eax, ebx, ecx, edx */
} xenidl_cpuid_leaf;

/* A model specific register: 64 characters, from bit 63 down. */
typedef struct xenidl_msr {
    uint32_t index;
    char *policy;
} xenidl_msr;

typedef struct xenidl_cpuid_policy_list {
    int num_cpuid;
    xenidl_cpuid_leaf *cpuid;
    int num_msr;
    xenidl_msr *msr;
} xenidl_cpuid_policy_list;

/* Texts, up to a NULL. */
typedef char **xenidl_string_list;

/* Keys and values (which may be NULL), up to a NULL key. */
typedef char **xenidl_key_value_list;

typedef struct xenidl_hwcap {
    uint32_t words[8];
} xenidl_hwcap;

typedef struct xenidl_ms_vm_genid {
    uint8_t bytes[16];
} xenidl_ms_vm_genid;

/* The description of a type. */
typedef struct xenidl_type xenidl_type;

/* Its name in the IDL, without its namespace. */
const char *xenidl_type_name(const xenidl_type *type);

/*
 * Reads a document and writes it again, in the one form that its value has: a malloc'd text, or NULL and the error.
 */
char *xenidl_recode(const xenidl_type *type, const char *json, size_t length, xenidl_error *error);

/* "path: problem" into a buffer; what it returns. */
const char *xenidl_error_text(const xenidl_error *error, char *buffer, size_t size);

/* Texts of values; a UUID takes 37 bytes, a timestamp 31. Those that read return 0, or -1 for what is not one. */
void xenidl_uuid_to_text(const xenidl_uuid *uuid, char *buffer);
int xenidl_uuid_from_text(xenidl_uuid *uuid, const char *text);
void xenidl_timestamp_to_text(const xenidl_timestamp *timestamp, char *buffer);
int xenidl_timestamp_from_text(xenidl_timestamp *timestamp, const char *text);

#ifdef __cplusplus
}
#endif

#endif
