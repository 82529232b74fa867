/*
 * What the functions of every type do, by the type's description.
 *
 *   document -> nodes -> read_object: each key in turn -> read_value -> the place in the struct
 *   struct -> write_object: each field in turn -> write_value -> text
 *
 * A value is whole at any time: _init makes it so, and what fails half-way can be disposed of.
 */
#include "xenidl_place.h"

#include <stdlib.h>
#include <string.h>

#define INT_TYPE(ident, text, ctype, is, least, most)                                                                  \
    const xenidl_type ident = { .kind = XENIDL_INT, .name = text, .size = sizeof(ctype), .is_signed = is,               \
                                .limits = &(const xenidl_limits){ least, most, NULL } }
#define NUMBER_TYPE(ident, ctype, is)                                                                                  \
    const xenidl_type ident = { .kind = XENIDL_C_NUMBER, .name = #ctype, .size = sizeof(ctype), .is_signed = is }
#define PLAIN_TYPE(ident, of_kind, text, ctype)                                                                        \
    const xenidl_type ident = { .kind = of_kind, .name = text, .size = sizeof(ctype) }
#define INT_MOST 9007199254740991

INT_TYPE(xenidl_int8, "int8", int8_t, true, INT8_MIN, INT8_MAX);
INT_TYPE(xenidl_int16, "int16", int16_t, true, INT16_MIN, INT16_MAX);
INT_TYPE(xenidl_int32, "int32", int32_t, true, INT32_MIN, INT32_MAX);
INT_TYPE(xenidl_int64, "integer", int64_t, true, -INT_MOST, INT_MOST);
INT_TYPE(xenidl_uint8, "uint8", uint8_t, false, 0, UINT8_MAX);
INT_TYPE(xenidl_uint16, "uint16", uint16_t, false, 0, UINT16_MAX);
INT_TYPE(xenidl_uint32, "uint32", uint32_t, false, 0, UINT32_MAX);
INT_TYPE(xenidl_uint64, "uint64", uint64_t, false, 0, INT_MOST);
INT_TYPE(xenidl_domid, "domid", uint32_t, false, 0, 0x7fef);
PLAIN_TYPE(xenidl_bool, XENIDL_BOOL, "bool", bool);
PLAIN_TYPE(xenidl_string, XENIDL_TEXT, "string", char *);
PLAIN_TYPE(xenidl_path, XENIDL_PATH, "path", char *);
PLAIN_TYPE(xenidl_raw, XENIDL_RAW, "json", char *);
PLAIN_TYPE(xenidl_timestamp_type, XENIDL_TIMESTAMP, "timestamp", xenidl_timestamp);
PLAIN_TYPE(xenidl_uuid_type, XENIDL_UUID, "uuid", xenidl_uuid);
PLAIN_TYPE(xenidl_extra_type, XENIDL_EXTRA, "extra", xenidl_extra);
const xenidl_type xenidl_nothing = { .kind = XENIDL_NOTHING, .name = "nothing" };
NUMBER_TYPE(xenidl_c_int8, int8_t, true);
NUMBER_TYPE(xenidl_c_int16, int16_t, true);
NUMBER_TYPE(xenidl_c_int32, int32_t, true);
NUMBER_TYPE(xenidl_c_int64, int64_t, true);
NUMBER_TYPE(xenidl_c_uint8, uint8_t, false);
NUMBER_TYPE(xenidl_c_uint16, uint16_t, false);
NUMBER_TYPE(xenidl_c_uint32, uint32_t, false);
NUMBER_TYPE(xenidl_c_uint64, uint64_t, false);
PLAIN_TYPE(xenidl_c_bool, XENIDL_C_BOOL, "bool", bool);
PLAIN_TYPE(xenidl_c_text, XENIDL_C_TEXT, "string", char *);
PLAIN_TYPE(xenidl_c_defbool, XENIDL_C_DEFBOOL, "defbool", xenidl_defbool);
PLAIN_TYPE(xenidl_c_uuid, XENIDL_C_UUID, "uuid", xenidl_uuid);
PLAIN_TYPE(xenidl_c_mac, XENIDL_C_MAC, "mac", xenidl_mac);
PLAIN_TYPE(xenidl_c_bitmap, XENIDL_C_BITMAP, "bitmap", xenidl_bitmap);
PLAIN_TYPE(xenidl_c_cpuid, XENIDL_C_CPUID, "cpuid_policy_list", xenidl_cpuid_policy_list);
PLAIN_TYPE(xenidl_c_string_list, XENIDL_C_STRING_LIST, "string_list", xenidl_string_list);
PLAIN_TYPE(xenidl_c_key_value_list, XENIDL_C_KEY_VALUE_LIST, "key_value_list", xenidl_key_value_list);
PLAIN_TYPE(xenidl_c_hwcap, XENIDL_C_HWCAP, "hwcap", xenidl_hwcap);
PLAIN_TYPE(xenidl_c_genid, XENIDL_C_GENID, "ms_vm_genid", xenidl_ms_vm_genid);
const xenidl_type xenidl_c_nothing = { .kind = XENIDL_C_NOTHING, .name = "nothing" };

char *xenidl_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

/* Beginning. */

static void init_field(const xenidl_field *field, void *p)
{
    void *place = at(p, field->offset);

    if (is_array(field) || field->pointer || field->presence == XENIDL_OPTIONAL)
        return;
    switch (field->type->kind) {
    case XENIDL_BOOL:
    case XENIDL_C_BOOL:
        set_bool(place, field->initial != 0);
        break;
    case XENIDL_INT:
    case XENIDL_C_NUMBER:
        set_number(field->type, place, field->initial);
        break;
    case XENIDL_ENUM:
    case XENIDL_OPEN_ENUM:
    case XENIDL_C_ENUM:
        set_int(place, (int)field->initial);
        break;
    case XENIDL_TEXT:
        set_pointer(place, field->initial_text ? xenidl_copy_text(field->initial_text) : NULL);
        break;
    case XENIDL_C_UNION: {
        const xenidl_union *u = field->type->u;
        const xenidl_arm *arm = arm_of(u, u->initial);

        set_int(at(p, u->kind), u->initial);
        if (arm)
            xenidl_init(arm->type, place);
        break;
    }
    case XENIDL_STRUCT:
    case XENIDL_C_STRUCT:
        xenidl_init(field->type, place);
        break;
    default:
        break;
    }
}

void xenidl_init(const xenidl_type *type, void *p)
{
    int i;

    if (type->size)
        memset(p, 0, type->size);
    if (type->kind == XENIDL_STRUCT || type->kind == XENIDL_C_STRUCT)
        for (i = 0; i < type->num; i++)
            init_field(&type->fields[i], p);
}

/* Ending. */

static void dispose_extra(xenidl_extra *extra)
{
    int i;

    for (i = 0; i < extra->num_fields; i++) {
        free(extra->fields[i].name);
        free(extra->fields[i].json);
    }
    free(extra->fields);
}

static void dispose_value(const xenidl_type *type, void *p);

void xenidl_dispose_arm(const xenidl_union *u, void *p, void *place)
{
    int number = get_int(at(p, u->kind));
    const xenidl_arm *arm = arm_of(u, number);

    if (arm)
        dispose_value(arm->type, place);
    else if (u->open && number == XENIDL_UNKNOWN)
        free(((xenidl_unknown_arm *)place)->json);
}

static void dispose_field(const xenidl_field *field, void *p)
{
    void *place = at(p, field->offset);
    int i;

    if (is_array(field)) {
        char *elements = get_pointer(place);

        for (i = 0; elements && i < get_int(at(p, field->count)); i++)
            dispose_value(field->type, elements + (size_t)i * field->type->size);
        free(elements);
    } else if (field->pointer) {
        char *value = get_pointer(place);

        if (value)
            dispose_value(field->type, value);
        free(value);
    } else if (is_union(field->type)) {
        xenidl_dispose_arm(field->type->u, p, place);
    } else {
        dispose_value(field->type, place);
    }
}

static void dispose_value(const xenidl_type *type, void *p)
{
    int i;

    if (is_pointer(type)) {
        free(get_pointer(p));
    } else if (type->kind == XENIDL_EXTRA) {
        dispose_extra(p);
    } else if (type->kind == XENIDL_STRUCT || type->kind == XENIDL_C_STRUCT) {
        for (i = 0; i < type->num; i++)
            dispose_field(&type->fields[i], p);
        if (type->open)
            dispose_extra(at(p, type->extra));
    } else {
        xenidl_c_dispose(type, p);
    }
}

void xenidl_dispose(const xenidl_type *type, void *p)
{
    dispose_value(type, p);
    if (type->size)
        memset(p, 0, type->size);
}

/* Copying: what is copied half-way can be disposed of. */

static int copy_extra(xenidl_extra *to, const xenidl_extra *from)
{
    int i;

    to->num_fields = 0;
    to->fields = from->num_fields ? calloc((size_t)from->num_fields, sizeof(*to->fields)) : NULL;
    if (from->num_fields && !to->fields)
        return -1;
    to->num_fields = from->num_fields;
    for (i = 0; i < from->num_fields; i++) {
        to->fields[i].name = xenidl_copy_text(from->fields[i].name);
        to->fields[i].json = xenidl_copy_text(from->fields[i].json);
        if (!to->fields[i].name || !to->fields[i].json)
            return -1;
    }
    return 0;
}

static int copy_value(const xenidl_type *type, void *to, const void *from);

static int copy_pointer(void *to, const void *from)
{
    const char *text = get_pointer(from);
    char *copy = text ? xenidl_copy_text(text) : NULL;

    set_pointer(to, copy);
    return text && !copy ? -1 : 0;
}

static int copy_field(const xenidl_field *field, void *to, const void *from)
{
    void *place = at(to, field->offset);
    const void *source = at_const(from, field->offset);
    int i;

    if (field->has != XENIDL_NOWHERE)
        set_bool(at(to, field->has), get_bool(at_const(from, field->has)));
    if (is_array(field)) {
        const char *elements = get_pointer(source);
        int num = elements ? get_int(at_const(from, field->count)) : 0;
        char *copy = num > 0 ? calloc((size_t)num, field->type->size) : NULL;

        set_pointer(place, copy);
        set_int(at(to, field->count), 0);
        if (num > 0 && !copy)
            return -1;
        for (i = 0; i < num; i++) {
            set_int(at(to, field->count), i + 1);
            if (copy_value(field->type, copy + (size_t)i * field->type->size, elements + (size_t)i * field->type->size) < 0)
                return -1;
        }
        return 0;
    }
    if (field->pointer) {
        const char *value = get_pointer(source);
        char *copy = value ? calloc(1, field->type->size) : NULL;

        set_pointer(place, copy);
        if (value && !copy)
            return -1;
        return value ? copy_value(field->type, copy, value) : 0;
    }
    if (is_union(field->type)) {
        const xenidl_union *u = field->type->u;
        int number = get_int(at_const(from, u->kind));
        const xenidl_arm *arm = arm_of(u, number);

        set_int(at(to, u->kind), number);
        if (u->alone != XENIDL_NOWHERE)
            set_bool(at(to, u->alone), get_bool(at_const(from, u->alone)));
        if (arm) {
            memset(place, 0, arm->type->size);
            return copy_value(arm->type, place, source);
        }
        if (u->open && number == XENIDL_UNKNOWN) {
            const xenidl_unknown_arm *unknown = source;
            xenidl_unknown_arm *copy = place;

            *copy = *unknown;
            copy->json = unknown->json ? xenidl_copy_text(unknown->json) : NULL;
            return unknown->json && !copy->json ? -1 : 0;
        }
        return 0;
    }
    return copy_value(field->type, place, source);
}

static int copy_value(const xenidl_type *type, void *to, const void *from)
{
    int i;

    if (is_pointer(type))
        return copy_pointer(to, from);
    if (type->kind == XENIDL_EXTRA)
        return copy_extra(to, from);
    if (type->kind != XENIDL_STRUCT && type->kind != XENIDL_C_STRUCT)
        return xenidl_c_copy(type, to, from);
    for (i = 0; i < type->num; i++)
        if (copy_field(&type->fields[i], to, from) < 0)
            return -1;
    return type->open ? copy_extra(at(to, type->extra), at_const(from, type->extra)) : 0;
}

int xenidl_copy(const xenidl_type *type, void *to, const void *from)
{
    if (type->size)
        memset(to, 0, type->size);
    if (copy_value(type, to, from) == 0)
        return 0;
    xenidl_dispose(type, to);
    return -1;
}

/* Names. */

const char *xenidl_type_name(const xenidl_type *type)
{
    return type->name;
}

const char *xenidl_value_name(const xenidl_type *type, int number)
{
    int i;

    for (i = 0; i < type->num; i++)
        if (type->values[i].number == number)
            return type->values[i].name;
    return NULL;
}

static bool same_name(const char *a, const char *b, bool any_case)
{
    for (; *a && *b; a++, b++) {
        char c = any_case && *a >= 'A' && *a <= 'Z' ? (char)(*a - 'A' + 'a') : *a;

        if (c != *b)
            return false;
    }
    return *a == *b;
}

int xenidl_value_number(const xenidl_type *type, const char *name, int *number)
{
    int i;

    for (i = 0; i < type->num; i++)
        if (same_name(name, type->values[i].name, type->kind == XENIDL_C_ENUM)) {
            *number = type->values[i].number;
            return 0;
        }
    return -1;
}

const xenidl_type *xenidl_find(const xenidl_type *const *types, const char *name)
{
    for (; *types; types++)
        if (strcmp((*types)->name, name) == 0)
            return *types;
    return NULL;
}

/* Whether a text has the form of an enumeration's value: lower-case words. */
bool xenidl_is_enum_name(const char *text)
{
    size_t i;

    if (text[0] < 'a' || text[0] > 'z')
        return false;
    for (i = 0; text[i]; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') || text[i] == '_'))
            return false;
    return i < XENIDL_NAME_SIZE;
}

xenidl_key xenidl_find_key(const xenidl_type *type, const char *key)
{
    xenidl_key found = { -1, NULL, false };
    int i, k;

    for (i = 0; i < type->num && found.field < 0; i++) {
        const xenidl_field *field = &type->fields[i];
        const xenidl_union *u = field->type->u;

        if (!is_union(field->type)) {
            if (strcmp(field->name, key) == 0)
                found.field = i;
            continue;
        }
        for (k = 0; k < u->num_arms; k++)
            if (strcmp(u->arms[k].key, key) == 0) {
                found.field = i;
                found.arm = &u->arms[k];
            }
        if (field->type->kind == XENIDL_C_UNION && strcmp(u->keyvar, key) == 0) {
            found.field = i;
            found.keyvar = true;
        }
    }
    return found;
}

char *xenidl_recode(const xenidl_type *type, const char *json, size_t length, xenidl_error *error)
{
    void *value = calloc(1, type->size ? type->size : 1);
    char *text = NULL;

    if (!value) {
        xenidl_refuse(error, "no memory");
        return NULL;
    }
    if (xenidl_from_json(type, value, json, length, error) == 0)
        text = xenidl_to_json(type, value, error);
    xenidl_dispose(type, value);
    free(value);
    return text;
}
