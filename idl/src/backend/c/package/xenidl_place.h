/* Places in a struct, and what reading and writing share. For the support code only. */
#ifndef XENIDL_PLACE_H
#define XENIDL_PLACE_H

#include "xenidl_json.h"

#include <string.h>

#define XENIDL_DOCUMENT_MAX (1 << 20)
#define XENIDL_DEPTH_MAX 16

/* What a key of an object is. */
typedef struct xenidl_key {
    int field; /* -1: not known */
    const xenidl_arm *arm;
    bool keyvar; /* libxl's: the union's key, alone */
} xenidl_key;

xenidl_key xenidl_find_key(const xenidl_type *type, const char *key);
bool xenidl_is_enum_name(const char *text);
void xenidl_dispose_arm(const xenidl_union *u, void *p, void *place);
char *xenidl_copy_text(const char *text);
/* Limits: 0, or -1 and the error. */
int xenidl_check_text_limits(const xenidl_limits *limits, const char *text, xenidl_error *error);
int xenidl_check_path(const char *text, xenidl_error *error);
int xenidl_check_number(const xenidl_limits *limits, int64_t value, xenidl_error *error);
/* No name is there twice. */
int xenidl_check_extra(const xenidl_extra *extra, xenidl_error *error);

static inline bool xenidl_is_libxls(const xenidl_type *type)
{
    return type->kind >= XENIDL_C_BOOL;
}

static inline void *at(void *p, size_t offset)
{
    return (char *)p + offset;
}

static inline const void *at_const(const void *p, size_t offset)
{
    return (const char *)p + offset;
}

static inline int get_int(const void *p)
{
    int value;

    memcpy(&value, p, sizeof(value));
    return value;
}

static inline void set_int(void *p, int value)
{
    memcpy(p, &value, sizeof(value));
}

static inline char *get_pointer(const void *p)
{
    char *value;

    memcpy(&value, p, sizeof(value));
    return value;
}

static inline void set_pointer(void *p, void *value)
{
    memcpy(p, &value, sizeof(value));
}

static inline bool get_bool(const void *p)
{
    bool value;

    memcpy(&value, p, sizeof(value));
    return value;
}

static inline void set_bool(void *p, bool value)
{
    memcpy(p, &value, sizeof(value));
}

/* A number of so many bytes; unsigned ones of 64 bits as their bits. */
static inline int64_t get_number(const xenidl_type *type, const void *p)
{
    uint64_t bits = 0;

    switch (type->size) {
    case 1: { uint8_t v; memcpy(&v, p, 1); bits = type->is_signed ? (uint64_t)(int8_t)v : v; break; }
    case 2: { uint16_t v; memcpy(&v, p, 2); bits = type->is_signed ? (uint64_t)(int16_t)v : v; break; }
    case 4: { uint32_t v; memcpy(&v, p, 4); bits = type->is_signed ? (uint64_t)(int32_t)v : v; break; }
    default: memcpy(&bits, p, 8);
    }
    return (int64_t)bits;
}

static inline void set_number(const xenidl_type *type, void *p, int64_t value)
{
    uint64_t bits = (uint64_t)value;

    switch (type->size) {
    case 1: { uint8_t v = (uint8_t)bits; memcpy(p, &v, 1); break; }
    case 2: { uint16_t v = (uint16_t)bits; memcpy(p, &v, 2); break; }
    case 4: { uint32_t v = (uint32_t)bits; memcpy(p, &v, 4); break; }
    default: memcpy(p, &bits, 8);
    }
}

static inline bool is_pointer(const xenidl_type *type)
{
    return type->kind == XENIDL_TEXT || type->kind == XENIDL_PATH || type->kind == XENIDL_RAW || type->kind == XENIDL_C_TEXT;
}

static inline bool is_union(const xenidl_type *type)
{
    return type->kind == XENIDL_UNION || type->kind == XENIDL_C_UNION;
}

static inline bool is_array(const xenidl_field *field)
{
    return field->count != XENIDL_NOWHERE;
}

static inline const xenidl_arm *arm_of(const xenidl_union *u, int number)
{
    int i;

    for (i = 0; i < u->num_arms; i++)
        if (u->arms[i].number == number)
            return &u->arms[i];
    return NULL;
}

#endif
