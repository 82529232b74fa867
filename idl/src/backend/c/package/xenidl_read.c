/* Reading: a document's nodes into the places of a struct, by its type's description. */
#include "xenidl_place.h"

#include <stdlib.h>

/* libxl's documents: memory that any may take, and how much more for each byte. */
#define BUDGET ((size_t)1 << 20)
#define BUDGET_PER_BYTE 64

/* Limits. */

static int check_pattern(const xenidl_pattern *pattern, const char *text, xenidl_error *error)
{
    uint32_t code;
    int i, n = 0;

    for (i = 0; i < pattern->num_parts; i++) {
        const xenidl_part *part = &pattern->parts[i];
        uint32_t taken = 0;

        for (; *text && taken < part->most; taken++, text += n) {
            int r = 0;

            n = xenidl_char(text, &code);
            while (r < part->num_ranges && !(part->ranges[r][0] <= code && code <= part->ranges[r][1]))
                r++;
            if (n == 0 || r == part->num_ranges)
                break;
        }
        if (taken < part->least)
            return xenidl_refuse(error, "it must match `%s`", pattern->text);
    }
    return *text ? xenidl_refuse(error, "it must match `%s`", pattern->text) : 0;
}

int xenidl_check_text_limits(const xenidl_limits *limits, const char *text, xenidl_error *error)
{
    int64_t bytes;

    if (!limits)
        return 0;
    bytes = xenidl_text_length(text);
    if (bytes < 0)
        return xenidl_refuse(error, "a text that is not UTF-8");
    if (bytes < limits->min)
        return xenidl_refuse(error, "%lld bytes, at least %lld", (long long)bytes, (long long)limits->min);
    if (bytes > limits->max)
        return xenidl_refuse(error, "%lld bytes, at most %lld", (long long)bytes, (long long)limits->max);
    return limits->pattern ? check_pattern(limits->pattern, text, error) : 0;
}

int xenidl_check_path(const char *text, xenidl_error *error)
{
    const char *part = text, *end;

    if (text[0] != '/')
        return xenidl_refuse(error, "it is no path: it must be absolute");
    if (strstr(text, "\xc0\x80"))
        return xenidl_refuse(error, "it is no path: it must not hold NUL");
    do {
        end = strchr(part, '/');
        if ((end ? (size_t)(end - part) : strlen(part)) == 2 && part[0] == '.' && part[1] == '.')
            return xenidl_refuse(error, "it is no path: it must not hold `..`");
        part = end + 1;
    } while (end);
    return 0;
}

int xenidl_check_number(const xenidl_limits *limits, int64_t value, xenidl_error *error)
{
    if (limits && (value < limits->min || value > limits->max))
        return xenidl_refuse(error, "%lld is not from %lld to %lld", (long long)value, (long long)limits->min,
                             (long long)limits->max);
    return 0;
}

int xenidl_check_text(const xenidl_type *type, const char *text, xenidl_error *error)
{
    return xenidl_check_text_limits(type->limits, text, error);
}

const char *xenidl_open_name(const xenidl_type *type, const void *p)
{
    int number = get_int(p);

    return number == XENIDL_UNKNOWN ? (const char *)p + sizeof(int) : xenidl_value_name(type, number);
}

int xenidl_open_from(const xenidl_type *type, const char *name, void *p)
{
    int number;

    memset(p, 0, type->size);
    if (xenidl_value_number(type, name, &number) == 0) {
        set_int(p, number);
        return 0;
    }
    if (!xenidl_is_enum_name(name))
        return -1;
    set_int(p, XENIDL_UNKNOWN);
    strcpy((char *)p + sizeof(int), name);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No name is there twice. */
int xenidl_check_extra(const xenidl_extra *extra, xenidl_error *error)
{
    char **names = extra->num_fields > 1 ? malloc((size_t)extra->num_fields * sizeof(*names)) : NULL;
    int i, result = 0;

    if (extra->num_fields < 2)
        return 0;
    if (!names)
        return xenidl_refuse(error, "no memory");
    for (i = 0; i < extra->num_fields; i++)
        names[i] = extra->fields[i].name;
    qsort(names, (size_t)extra->num_fields, sizeof(*names), by_name);
    for (i = 1; i < extra->num_fields && result == 0; i++) {
        char shown[64];

        if (strcmp(names[i - 1], names[i]) == 0)
            result = xenidl_refuse(error, "%s is there twice", xenidl_shown(names[i], shown));
    }
    free(names);
    return result;
}

static int read_value(xenidl_document *d, int node, const xenidl_type *type, const xenidl_limits *limits, void *p);

static int read_text(xenidl_document *d, int node, const xenidl_type *type, const xenidl_limits *limits, void *p)
{
    char *text;
    int bad;

    if (type->kind == XENIDL_RAW) {
        text = xenidl_node_raw(d, node);
    } else {
        if (d->nodes[node].kind != J_STRING)
            return xenidl_wrong_kind(d, node, "a string");
        text = xenidl_node_text(d, node);
    }
    if (!text)
        return -1;
    bad = xenidl_check_text_limits(type->limits, text, d->error) < 0 || xenidl_check_text_limits(limits, text, d->error) < 0 ||
          (type->kind == XENIDL_PATH && xenidl_check_path(text, d->error) < 0);
    if (bad) {
        free(text);
        return -1;
    }
    free(get_pointer(p));
    set_pointer(p, text);
    return 0;
}

static int unknown_value(xenidl_document *d, const xenidl_type *type, const char *text)
{
    const char *nearest = NULL;
    char shown[64];
    int i, left = type->num;

    for (i = 0; i < left && strlen(text) <= 64; i++) {
        const char *one = xenidl_nearest(text, &type->values[i].name, 1);

        nearest = nearest ? nearest : one;
    }
    if (nearest)
        return xenidl_refuse(d->error, "%s is no %s; did you mean \"%s\"?", xenidl_shown(text, shown), type->name, nearest);
    return xenidl_refuse(d->error, "%s is no %s", xenidl_shown(text, shown), type->name);
}

static int read_enum(xenidl_document *d, int node, const xenidl_type *type, void *p)
{
    char *text;
    int number, result = 0;

    if (type->kind == XENIDL_C_ENUM && d->nodes[node].kind == J_INTEGER) {
        int64_t value;

        if (!xenidl_node_int64(d, node, &value) || value < INT32_MIN || value > INT32_MAX)
            return xenidl_refuse(d->error, "a number that is none of C's int");
        set_int(p, (int)value);
        return 0;
    }
    if (d->nodes[node].kind != J_STRING)
        return xenidl_wrong_kind(d, node, "a string");
    text = xenidl_node_text(d, node);
    if (!text)
        return -1;
    if (xenidl_value_number(type, text, &number) == 0) {
        set_int(p, number);
    } else if (type->kind == XENIDL_OPEN_ENUM && xenidl_is_enum_name(text)) {
        set_int(p, XENIDL_UNKNOWN);
        strcpy((char *)p + sizeof(int), text);
    } else {
        result = unknown_value(d, type, text);
    }
    free(text);
    return result;
}

static int read_number(xenidl_document *d, int node, const xenidl_type *type, const xenidl_limits *limits, void *p)
{
    const xenidl_node *n = &d->nodes[node];
    int64_t value;

    if (n->kind != J_INTEGER)
        return xenidl_wrong_kind(d, node, "an integer");
    if (n->end - n->start == 2 && memcmp(d->text + n->start, "-0", 2) == 0)
        return xenidl_refuse(d->error, "-0 is no integer");
    if (!xenidl_node_int64(d, node, &value))
        return xenidl_refuse(d->error, "a number that is not from %lld to %lld", (long long)type->limits->min,
                             (long long)type->limits->max);
    if (xenidl_check_number(type->limits, value, d->error) < 0 || xenidl_check_number(limits, value, d->error) < 0)
        return -1;
    set_number(type, p, value);
    return 0;
}

/* A key or text as it stands in the text, for messages. */
static char *key_of(xenidl_document *d, int key)
{
    return xenidl_node_text(d, key);
}

static int add_extra(xenidl_document *d, xenidl_extra *extra, char *name, int value)
{
    struct xenidl_extra_field *fields = extra->fields;
    int num = extra->num_fields;

    /* Room for a power of two. */
    if ((num & (num - 1)) == 0)
        fields = realloc(fields, (size_t)(num ? 2 * num : 1) * sizeof(*fields));
    if (!fields) {
        free(name);
        return xenidl_refuse(d->error, "no memory");
    }
    extra->fields = fields;
    fields[num].name = name;
    fields[num].json = xenidl_node_raw(d, value);
    extra->num_fields++;
    return fields[num].json ? 0 : -1;
}

static int read_extra(xenidl_document *d, int node, xenidl_extra *extra)
{
    int key;

    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    for (key = d->nodes[node].first; key >= 0; key = d->nodes[key].next) {
        char *name = key_of(d, key);

        if (!name || add_extra(d, extra, name, d->nodes[key].first) < 0)
            return -1;
    }
    return xenidl_check_extra(extra, d->error);
}

static int read_array(xenidl_document *d, int node, const xenidl_field *field, void *p)
{
    const xenidl_type *type = field->type;
    int num = d->nodes[node].num, i = 0, child;
    char *elements;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "a list");
    if (field->limits && num < field->limits->min)
        return xenidl_refuse(d->error, "%d elements, at least %lld", num, (long long)field->limits->min);
    if (field->limits && num > field->limits->max)
        return xenidl_refuse(d->error, "%d elements, at most %lld", num, (long long)field->limits->max);
    if (num == 0)
        return 0;
    if (xenidl_charge(d, (size_t)num, type->size) < 0)
        return -1;
    elements = calloc((size_t)num, type->size);
    if (!elements)
        return xenidl_refuse(d->error, "no memory");
    set_pointer(at(p, field->offset), elements);
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++) {
        void *element = elements + (size_t)i * type->size;

        xenidl_init(type, element);
        set_int(at(p, field->count), i + 1);
        if (read_value(d, child, type, NULL, element) < 0)
            return xenidl_within_index(d->error, i);
    }
    return 0;
}

static int read_field(xenidl_document *d, int node, const xenidl_field *field, void *p)
{
    void *place = at(p, field->offset);

    if (field->has != XENIDL_NOWHERE)
        set_bool(at(p, field->has), true);
    if (is_array(field))
        return read_array(d, node, field, p);
    if (field->pointer) {
        void *value = calloc(1, field->type->size);

        if (!value)
            return xenidl_refuse(d->error, "no memory");
        xenidl_init(field->type, value);
        set_pointer(place, value);
        place = value;
    }
    return read_value(d, node, field->type, field->limits, place);
}

static int read_arm(xenidl_document *d, int node, const xenidl_field *field, const xenidl_arm *arm, void *p)
{
    void *place = at(p, field->offset);

    xenidl_dispose_arm(field->type->u, p, place);
    set_int(at(p, field->type->u->kind), arm->number);
    xenidl_init(arm->type, place);
    return read_value(d, node, arm->type, NULL, place);
}

/* The open union whose key this begins with. */
static int find_open_union(const xenidl_type *type, const char *key)
{
    int i;

    for (i = 0; i < type->num; i++) {
        const xenidl_union *u = is_union(type->fields[i].type) ? type->fields[i].type->u : NULL;
        size_t n = u ? strlen(u->keyvar) : 0;

        if (u && u->open && strncmp(key, u->keyvar, n) == 0 && key[n] == '.')
            return i;
    }
    return -1;
}

static int unknown_field(xenidl_document *d, const xenidl_type *type, const char *key)
{
    const char *nearest = NULL;
    char shown[64];
    int i, k;

    for (i = 0; i < type->num && !nearest; i++) {
        const xenidl_field *field = &type->fields[i];

        if (!is_union(field->type))
            nearest = xenidl_nearest(key, &field->name, 1);
        for (k = 0; is_union(field->type) && k < field->type->u->num_arms && !nearest; k++)
            nearest = xenidl_nearest(key, &field->type->u->arms[k].key, 1);
    }
    if (nearest)
        return xenidl_refuse(d->error, "unknown field %s; did you mean \"%s\"?", xenidl_shown(key, shown), nearest);
    return xenidl_refuse(d->error, "unknown field %s", xenidl_shown(key, shown));
}

static int read_unknown_arm(xenidl_document *d, int value, const xenidl_field *field, const char *key, void *p)
{
    const char *name = key + strlen(field->type->u->keyvar) + 1;
    xenidl_unknown_arm *unknown = at(p, field->offset);
    char shown[64];

    if (!xenidl_is_enum_name(name))
        return xenidl_refuse(d->error, "%s is not a key of `%s`", xenidl_shown(key, shown), field->type->u->keyvar);
    memset(unknown, 0, sizeof(*unknown));
    set_int(at(p, field->type->u->kind), XENIDL_UNKNOWN);
    strcpy(unknown->name, name);
    unknown->json = xenidl_node_raw(d, value);
    return unknown->json ? 0 : -1;
}

static int read_member(xenidl_document *d, const xenidl_type *type, char *key, int value, bool *seen, void *p)
{
    xenidl_key found = xenidl_find_key(type, key);
    const xenidl_field *field;
    char shown[64];
    int open, result;

    open = found.field < 0 && type->open ? find_open_union(type, key) : -1;
    if (found.field < 0 && open < 0) {
        if (type->kind == XENIDL_C_STRUCT)
            return 0;
        if (!type->open)
            return unknown_field(d, type, key);
        return 1; /* to be kept */
    }
    found.field = open >= 0 ? open : found.field;
    field = &type->fields[found.field];
    if (seen[found.field] && is_union(field->type))
        return xenidl_refuse(d->error, "%s is a second key of `%s`", xenidl_shown(key, shown), field->type->u->keyvar);
    if (seen[found.field])
        return xenidl_refuse(d->error, "%s is there twice", xenidl_shown(key, shown));
    seen[found.field] = true;
    if (open >= 0)
        return read_unknown_arm(d, value, field, key, p);
    if (found.keyvar) {
        const xenidl_union *u = field->type->u;
        int number;

        result = read_enum(d, value, u->key, &number);
        if (result == 0) {
            xenidl_dispose_arm(u, p, at(p, field->offset));
            set_int(at(p, u->kind), number);
            set_bool(at(p, u->alone), true);
            if (arm_of(u, number))
                xenidl_init(arm_of(u, number)->type, at(p, field->offset));
        }
    } else if (found.arm) {
        result = read_arm(d, value, field, found.arm, p);
    } else {
        result = read_field(d, value, field, p);
    }
    return result < 0 ? xenidl_within(d->error, key) : 0;
}

static int check_missing(xenidl_document *d, const xenidl_type *type, const bool *seen)
{
    int i;

    for (i = 0; i < type->num; i++) {
        const xenidl_field *field = &type->fields[i];

        if (seen[i] || field->presence != XENIDL_REQUIRED)
            continue;
        if (is_union(field->type))
            return xenidl_refuse(d->error, "missing field: one of `%s.*`", field->type->u->keyvar);
        return xenidl_refuse(d->error, "missing field `%s`", field->name);
    }
    return 0;
}

static int read_object(xenidl_document *d, int node, const xenidl_type *type, void *p)
{
    xenidl_extra *extra = type->open ? at(p, type->extra) : NULL;
    int key, result = 0;
    bool *seen;

    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    seen = calloc((size_t)type->num + 1, sizeof(*seen));
    if (!seen)
        return xenidl_refuse(d->error, "no memory");
    for (key = d->nodes[node].first; key >= 0 && result == 0; key = d->nodes[key].next) {
        char *name = key_of(d, key);

        result = name ? read_member(d, type, name, d->nodes[key].first, seen, p) : -1;
        if (result > 0)
            result = add_extra(d, extra, name, d->nodes[key].first);
        else
            free(name);
    }
    if (result == 0 && type->kind == XENIDL_STRUCT)
        result = check_missing(d, type, seen);
    if (result == 0 && extra)
        result = xenidl_check_extra(extra, d->error);
    free(seen);
    return result;
}

static int read_nothing(xenidl_document *d, int node, const xenidl_type *type)
{
    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    if (type->kind == XENIDL_NOTHING && d->nodes[node].num > 0) {
        char *key = key_of(d, d->nodes[node].first);

        if (key)
            unknown_field(d, type, key);
        free(key);
        return -1;
    }
    return 0;
}

static int read_special(xenidl_document *d, int node, const xenidl_type *type, void *p)
{
    xenidl_timestamp timestamp;
    xenidl_uuid uuid;
    char *text, shown[64];
    int result;

    if (d->nodes[node].kind != J_STRING)
        return xenidl_wrong_kind(d, node, "a string");
    text = xenidl_node_text(d, node);
    if (!text)
        return -1;
    if (type->kind == XENIDL_UUID) {
        char again[37] = "";

        /* Lower-case only: one form. */
        result = xenidl_uuid_from_text(&uuid, text);
        if (result == 0)
            xenidl_uuid_to_text(&uuid, again);
        if (result == 0 && strcmp(again, text) == 0)
            memcpy(p, &uuid, sizeof(uuid));
        else
            result = xenidl_refuse(d->error, "%s is not a uuid: lower-case hex digits, as 8-4-4-4-12", xenidl_shown(text, shown));
    } else {
        result = xenidl_timestamp_from_text(&timestamp, text);
        if (result == 0)
            memcpy(p, &timestamp, sizeof(timestamp));
        else
            result = xenidl_refuse(d->error, "%s is not a timestamp: RFC 3339 in UTC with nine digits",
                                   xenidl_shown(text, shown));
    }
    free(text);
    return result;
}

static int read_value(xenidl_document *d, int node, const xenidl_type *type, const xenidl_limits *limits, void *p)
{
    switch (type->kind) {
    case XENIDL_BOOL:
    case XENIDL_C_BOOL:
        if (d->nodes[node].kind != J_BOOL)
            return xenidl_wrong_kind(d, node, "a truth value");
        set_bool(p, d->text[d->nodes[node].start] == 't');
        return 0;
    case XENIDL_INT:
        return read_number(d, node, type, limits, p);
    case XENIDL_TEXT:
    case XENIDL_PATH:
    case XENIDL_RAW:
        return read_text(d, node, type, limits, p);
    case XENIDL_TIMESTAMP:
    case XENIDL_UUID:
        return read_special(d, node, type, p);
    case XENIDL_ENUM:
    case XENIDL_OPEN_ENUM:
    case XENIDL_C_ENUM:
        return read_enum(d, node, type, p);
    case XENIDL_STRUCT:
    case XENIDL_C_STRUCT:
        return read_object(d, node, type, p);
    case XENIDL_EXTRA:
        return read_extra(d, node, p);
    case XENIDL_NOTHING:
    case XENIDL_C_NOTHING:
        return read_nothing(d, node, type);
    default:
        return xenidl_c_read(d, node, type, p);
    }
}

int xenidl_from_json(const xenidl_type *type, void *p, const char *json, size_t length, xenidl_error *error)
{
    xenidl_document d = { .text = json, .length = length, .error = error };
    int result;

    xenidl_init(type, p);
    if (!xenidl_is_libxls(type) && length > XENIDL_DOCUMENT_MAX)
        return xenidl_refuse(error, "%zu bytes; at most %d", length, XENIDL_DOCUMENT_MAX);
    d.budget = xenidl_is_libxls(type) ? BUDGET + (length > SIZE_MAX / 128 ? SIZE_MAX / 2 : length * BUDGET_PER_BYTE) : SIZE_MAX;
    result = xenidl_parse(&d, xenidl_is_libxls(type) ? INT32_MAX : XENIDL_DEPTH_MAX, !xenidl_is_libxls(type));
    if (result == 0)
        result = read_value(&d, 0, type, NULL, p);
    xenidl_document_free(&d);
    if (result < 0) {
        xenidl_dispose(type, p);
        xenidl_init(type, p);
    }
    return result;
}
