/* Writing: the places of a struct as text, by its type's description; limits are checked. */
#include "xenidl_place.h"

#include <stdio.h>
#include <stdlib.h>

static int write_value(xenidl_writer *w, const xenidl_type *type, const xenidl_limits *limits, const void *p);

static int write_text(xenidl_writer *w, const xenidl_type *type, const xenidl_limits *limits, const void *p)
{
    const char *text = get_pointer(p);

    if (!text)
        return xenidl_refuse(w->error, "it is not set");
    if (xenidl_check_text_limits(type->limits, text, w->error) < 0 || xenidl_check_text_limits(limits, text, w->error) < 0)
        return -1;
    if (type->kind == XENIDL_PATH && xenidl_check_path(text, w->error) < 0)
        return -1;
    if (type->kind != XENIDL_RAW)
        return xenidl_put_string(w, text);
    {
        xenidl_document d = { .text = text, .length = strlen(text), .error = w->error };
        int result = xenidl_parse(&d, XENIDL_DEPTH_MAX - w->around, true);

        xenidl_document_free(&d);
        xenidl_put(w, text);
        return result;
    }
}

static int write_enum(xenidl_writer *w, const xenidl_type *type, const void *p)
{
    int number = get_int(p), other;
    const char *name = xenidl_value_name(type, number);

    if (!name && type->kind == XENIDL_C_ENUM) {
        xenidl_put_int(w, number);
        return 0;
    }
    if (!name && type->kind == XENIDL_OPEN_ENUM && number == XENIDL_UNKNOWN) {
        name = (const char *)p + sizeof(int);
        if (!xenidl_is_enum_name(name) || xenidl_value_number(type, name, &other) == 0)
            return xenidl_refuse(w->error, "\"%.64s\" cannot be an unknown %s", name, type->name);
    }
    if (!name)
        return xenidl_refuse(w->error, "%d is no %s", number, type->name);
    return xenidl_put_string(w, name);
}

static int write_extra(xenidl_writer *w, const xenidl_type *type, const xenidl_extra *extra)
{
    int i;

    for (i = 0; i < extra->num_fields; i++) {
        const xenidl_type *raw = &xenidl_raw;

        if (type && xenidl_find_key(type, extra->fields[i].name).field >= 0)
            return xenidl_refuse(w->error, "an unknown field has the name of a known one: %.64s", extra->fields[i].name);
        if (xenidl_put_key(w, extra->fields[i].name) < 0)
            return -1;
        if (write_value(w, raw, NULL, &extra->fields[i].json) < 0)
            return xenidl_within(w->error, extra->fields[i].name);
    }
    return xenidl_check_extra(extra, w->error);
}

static int write_array(xenidl_writer *w, const xenidl_field *field, const void *p)
{
    const char *elements = get_pointer(at_const(p, field->offset));
    int num = get_int(at_const(p, field->count)), i;

    if (field->limits && (num < field->limits->min || num > field->limits->max))
        return xenidl_refuse(w->error, "%d elements, not %lld to %lld", num, (long long)field->limits->min,
                             (long long)field->limits->max);
    xenidl_open(w, '[');
    for (i = 0; i < num; i++) {
        xenidl_element(w);
        if (write_value(w, field->type, NULL, elements + (size_t)i * field->type->size) < 0)
            return xenidl_within_index(w->error, i);
    }
    xenidl_close(w, ']');
    return 0;
}

static int write_union(xenidl_writer *w, const xenidl_type *type, const xenidl_field *field, const void *p)
{
    const xenidl_union *u = field->type->u;
    const void *place = at_const(p, field->offset);
    int number = get_int(at_const(p, u->kind));
    bool alone = u->alone != XENIDL_NOWHERE && get_bool(at_const(p, u->alone));
    const xenidl_arm *arm = alone ? NULL : arm_of(u, number);

    if (arm) {
        if (xenidl_put_key(w, arm->key) < 0)
            return -1;
        return write_value(w, arm->type, NULL, place) < 0 ? xenidl_within(w->error, arm->key) : 0;
    }
    if (field->type->kind == XENIDL_C_UNION) {
        if (number == u->initial)
            return 0;
        return xenidl_put_key(w, u->keyvar) < 0 ? -1 : write_enum(w, u->key, at_const(p, u->kind));
    }
    if (u->open && number == XENIDL_UNKNOWN) {
        const xenidl_unknown_arm *unknown = place;
        char key[2 * XENIDL_NAME_SIZE + 64];

        snprintf(key, sizeof(key), "%s.%s", u->keyvar, unknown->name);
        if (!xenidl_is_enum_name(unknown->name) || xenidl_find_key(type, key).field >= 0)
            return xenidl_refuse(w->error, "\"%.64s\" cannot be an unknown arm", unknown->name);
        if (xenidl_put_key(w, key) < 0)
            return -1;
        return write_value(w, &xenidl_raw, NULL, &unknown->json) < 0 ? xenidl_within(w->error, key) : 0;
    }
    return xenidl_refuse(w->error, "no arm of `%s` is set", u->keyvar);
}

/* Whether a field is left out. */
static bool left_out(const xenidl_field *field, const void *p)
{
    const void *place = at_const(p, field->offset);

    if (field->presence == XENIDL_OPTIONAL) {
        if (field->has != XENIDL_NOWHERE)
            return !get_bool(at_const(p, field->has));
        return !get_pointer(place);
    }
    if (field->presence != XENIDL_INITIAL)
        return false;
    if (is_array(field))
        return get_int(at_const(p, field->count)) == 0;
    switch (field->type->kind) {
    case XENIDL_C_BOOL:
        return get_bool(place) == (field->initial != 0);
    case XENIDL_C_NUMBER:
        return get_number(field->type, place) == field->initial;
    case XENIDL_C_ENUM:
        return get_int(place) == (int)field->initial;
    case XENIDL_C_TEXT:
        return !get_pointer(place);
    case XENIDL_C_STRUCT:
        return false;
    default:
        return xenidl_c_is_zero(field->type, place);
    }
}

static int write_field(xenidl_writer *w, const xenidl_type *type, const xenidl_field *field, const void *p)
{
    const void *place = at_const(p, field->offset);
    int result;

    if (is_union(field->type))
        return write_union(w, type, field, p);
    if (left_out(field, p))
        return 0;
    if (xenidl_put_key(w, field->name) < 0)
        return -1;
    if (is_array(field))
        result = write_array(w, field, p);
    else
        result = write_value(w, field->type, field->limits, field->pointer ? get_pointer(place) : place);
    return result < 0 ? xenidl_within(w->error, field->name) : 0;
}

static int write_object(xenidl_writer *w, const xenidl_type *type, const void *p)
{
    int i;

    if (type->kind == XENIDL_STRUCT && w->around >= XENIDL_DEPTH_MAX)
        return xenidl_refuse(w->error, "nested deeper than %d", XENIDL_DEPTH_MAX);
    xenidl_open(w, '{');
    for (i = 0; i < type->num; i++)
        if (write_field(w, type, &type->fields[i], p) < 0)
            return -1;
    if (type->open && write_extra(w, type, at_const(p, type->extra)) < 0)
        return -1;
    xenidl_close(w, '}');
    return 0;
}

static int write_value(xenidl_writer *w, const xenidl_type *type, const xenidl_limits *limits, const void *p)
{
    char text[40];
    int result = 0;

    switch (type->kind) {
    case XENIDL_BOOL:
    case XENIDL_C_BOOL:
        xenidl_put(w, get_bool(p) ? "true" : "false");
        return 0;
    case XENIDL_INT: {
        int64_t value = get_number(type, p);

        /* Bits that make a negative number are far beyond. */
        if (!type->is_signed && value < 0)
            value = INT64_MAX;
        if (xenidl_check_number(type->limits, value, w->error) < 0 || xenidl_check_number(limits, value, w->error) < 0)
            return -1;
        xenidl_put_int(w, value);
        return 0;
    }
    case XENIDL_C_NUMBER:
        if (type->is_signed)
            xenidl_put_int(w, get_number(type, p));
        else
            xenidl_put_uint(w, (uint64_t)get_number(type, p));
        return 0;
    case XENIDL_TEXT:
    case XENIDL_PATH:
    case XENIDL_RAW:
        return write_text(w, type, limits, p);
    case XENIDL_TIMESTAMP:
        xenidl_timestamp_to_text(p, text);
        if (xenidl_timestamp_from_text(&(xenidl_timestamp){ 0, 0 }, text) < 0)
            return xenidl_refuse(w->error, "an instant outside of the years 1 to 9999");
        return xenidl_put_string(w, text);
    case XENIDL_UUID:
        xenidl_uuid_to_text(p, text);
        return xenidl_put_string(w, text);
    case XENIDL_ENUM:
    case XENIDL_OPEN_ENUM:
    case XENIDL_C_ENUM:
        return write_enum(w, type, p);
    case XENIDL_STRUCT:
    case XENIDL_C_STRUCT:
        return write_object(w, type, p);
    case XENIDL_EXTRA:
        xenidl_open(w, '{');
        result = write_extra(w, NULL, p);
        xenidl_close(w, '}');
        return result;
    case XENIDL_NOTHING:
    case XENIDL_C_NOTHING:
        xenidl_open(w, '{');
        xenidl_close(w, '}');
        return 0;
    default:
        return xenidl_c_write(w, type, p);
    }
}

char *xenidl_to_json(const xenidl_type *type, const void *p, xenidl_error *error)
{
    xenidl_writer w = { .indented = xenidl_is_libxls(type), .first = true, .error = error };
    int result = write_value(&w, type, NULL, p);

    if (w.indented)
        xenidl_put(&w, "\n");
    if (w.failed)
        result = xenidl_refuse(error, "no memory");
    else if (result == 0 && !w.indented && w.length > XENIDL_DOCUMENT_MAX)
        result = xenidl_refuse(error, "%zu bytes; at most %d", w.length, XENIDL_DOCUMENT_MAX);
    if (result < 0) {
        free(w.text);
        return NULL;
    }
    return w.text;
}
