/* libxl's builtin types, and the texts of UUIDs and timestamps. */
#include "xenidl_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT_MAX 2147483639
/* XEN_CPUID_INPUT_UNUSED: what C ends a list with. */
#define UNUSED UINT32_MAX

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Pairs of digits, and other characters where the form has them. */
static int from_hex(const char *form, const char *text, uint8_t *bytes)
{
    size_t i;
    int n = 0;

    if (strlen(text) != strlen(form))
        return -1;
    for (i = 0; form[i]; i++) {
        int digit = hex_digit(text[i]);

        if (form[i] != 'x') {
            if (text[i] != form[i])
                return -1;
            continue;
        }
        if (digit < 0)
            return -1;
        bytes[n / 2] = (uint8_t)(n % 2 ? bytes[n / 2] << 4 | digit : digit);
        n++;
    }
    return 0;
}

static void to_hex(const char *form, const uint8_t *bytes, char *text)
{
    size_t i;
    int n = 0;

    for (i = 0; form[i]; i++) {
        if (form[i] != 'x') {
            text[i] = form[i];
            continue;
        }
        text[i] = "0123456789abcdef"[n % 2 ? bytes[n / 2] & 15 : bytes[n / 2] >> 4];
        n++;
    }
    text[i] = '\0';
}

static const char uuid_form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
static const char mac_form[] = "xx:xx:xx:xx:xx:xx";

void xenidl_uuid_to_text(const xenidl_uuid *uuid, char *buffer)
{
    to_hex(uuid_form, uuid->bytes, buffer);
}

int xenidl_uuid_from_text(xenidl_uuid *uuid, const char *text)
{
    return from_hex(uuid_form, text, uuid->bytes);
}

/* Days since 1970 of a date, and back (H. Hinnant, "chrono-compatible low-level date algorithms"). */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    int64_t of_era, of_year, era;

    year -= month <= 2;
    era = floor_div(year, 400);
    of_era = year - era * 400;
    of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int64_t year, int64_t month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

void xenidl_timestamp_to_text(const xenidl_timestamp *timestamp, char *buffer)
{
    int64_t seconds = timestamp->seconds, days, z, era, day_of_era, of_era, day_of_year, mp, second, year;

    /* 0001-01-01 to 9999-12-31; what is outside is no text that can be read. */
    if (seconds < -62135596800 || seconds >= 253402300800 || timestamp->nanoseconds > 999999999) {
        strcpy(buffer, "?");
        return;
    }
    days = floor_div(seconds, 86400);
    second = seconds - days * 86400;
    z = days + 719468;
    era = floor_div(z, 146097);
    day_of_era = z - era * 146097;
    of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (of_era * 365 + of_era / 4 - of_era / 100);
    mp = (5 * day_of_year + 2) / 153;
    year = of_era + era * 400 + (mp >= 10);
    snprintf(buffer, 31, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (unsigned)year % 10000, (unsigned)(mp < 10 ? mp + 3 : mp - 9) % 100,
             (unsigned)(day_of_year - (153 * mp + 2) / 5 + 1) % 100, (unsigned)(second / 3600) % 100,
             (unsigned)(second / 60 % 60), (unsigned)(second % 60), timestamp->nanoseconds);
}

static int64_t number_at(const char *text, int from, int length)
{
    int64_t value = 0;

    while (length-- > 0)
        value = value * 10 + (text[from++] - '0');
    return value;
}

int xenidl_timestamp_from_text(xenidl_timestamp *timestamp, const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000000000Z";
    int64_t year, month, day, hour, minute, second;
    size_t i;

    if (strlen(text) != sizeof(form) - 1)
        return -1;
    for (i = 0; form[i]; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return -1;
    year = number_at(text, 0, 4);
    month = number_at(text, 5, 2);
    day = number_at(text, 8, 2);
    hour = number_at(text, 11, 2);
    minute = number_at(text, 14, 2);
    second = number_at(text, 17, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59)
        return -1;
    timestamp->seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    timestamp->nanoseconds = (uint32_t)number_at(text, 20, 9);
    return 0;
}

/* Reading. */

static char *text_of(xenidl_document *d, int node)
{
    if (d->nodes[node].kind != J_STRING) {
        xenidl_wrong_kind(d, node, "a string");
        return NULL;
    }
    return xenidl_node_text(d, node);
}

static int read_number(xenidl_document *d, int node, const xenidl_type *type, void *p)
{
    unsigned bits = (unsigned)type->size * 8;
    uint64_t magnitude, most = type->is_signed ? (uint64_t)INT64_MAX >> (64 - bits) : UINT64_MAX >> (64 - bits), value;
    bool negative, good;

    if (d->nodes[node].kind != J_INTEGER)
        return xenidl_wrong_kind(d, node, "an integer");
    good = xenidl_node_uint64(d, node, &negative, &magnitude);
    value = negative ? 0 - magnitude : magnitude;
    if (negative && magnitude == 0)
        negative = false;
    if (!negative)
        good = good && magnitude <= most;
    else if (type->is_signed)
        good = good && magnitude <= most + 1;
    else if (bits == 32) /* libxl on json-c casts 32 bits to int, and then refuses to read that. */
        good = good && magnitude <= (uint64_t)INT32_MAX + 1;
    else /* libxl on yajl prints some as signed; what an int can be, json-c's libxl cut. */
        good = good && bits == 64 && magnitude > (uint64_t)INT32_MAX + 1 && magnitude <= (uint64_t)INT64_MAX + 1;
    if (!good)
        return xenidl_refuse(d->error, "a number that %s %u bits cannot be", type->is_signed ? "a signed one of" : "an unsigned one of",
                             bits);
    switch (type->size) {
    case 1: { uint8_t v = (uint8_t)value; memcpy(p, &v, 1); break; }
    case 2: { uint16_t v = (uint16_t)value; memcpy(p, &v, 2); break; }
    case 4: { uint32_t v = (uint32_t)value; memcpy(p, &v, 4); break; }
    default: memcpy(p, &value, 8);
    }
    return 0;
}

static int read_text(xenidl_document *d, int node, char **p)
{
    char *text = NULL;

    if (d->nodes[node].kind != J_NULL) {
        text = text_of(d, node);
        if (!text)
            return -1;
    }
    free(*p);
    *p = text;
    return 0;
}

static int read_defbool(xenidl_document *d, int node, xenidl_defbool *p)
{
    char *text = text_of(d, node), shown[64];
    int result = 0;

    if (!text)
        return -1;
    if (strcmp(text, "True") == 0)
        p->val = 1;
    else if (strcmp(text, "False") == 0)
        p->val = -1;
    else if (strcmp(text, "<default>") == 0)
        p->val = 0;
    else
        result = xenidl_refuse(d->error, "%s is no defbool; it is \"True\", \"False\" or \"<default>\"", xenidl_shown(text, shown));
    free(text);
    return result;
}

static int read_hex(xenidl_document *d, int node, const xenidl_type *type, const char *form, void *p)
{
    char *text = text_of(d, node), shown[64];
    uint8_t bytes[16];
    int result;

    if (!text)
        return -1;
    result = from_hex(form, text, bytes);
    if (result == 0)
        memcpy(p, bytes, type->size);
    else
        xenidl_refuse(d->error, "%s is no %s", xenidl_shown(text, shown), type->name);
    free(text);
    return result;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int read_bitmap(xenidl_document *d, int node, xenidl_bitmap *p)
{
    int num = d->nodes[node].num, i = 0, child;
    uint32_t *bits;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    bits = num ? calloc((size_t)num, sizeof(*bits)) : NULL;
    if (num && !bits)
        return xenidl_refuse(d->error, "no memory");
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++) {
        int64_t bit = -1;

        if (d->nodes[child].kind != J_INTEGER)
            xenidl_wrong_kind(d, child, "an integer");
        else if (!xenidl_node_int64(d, child, &bit) || bit < 0 || bit > BIT_MAX)
            bit = xenidl_refuse(d->error, "a number that is no bit; libxl would write beyond its memory");
        if (bit < 0) {
            free(bits);
            return xenidl_within_index(d->error, i);
        }
        bits[i] = (uint32_t)bit;
    }
    if (num)
        qsort(bits, (size_t)num, sizeof(*bits), by_number);
    p->bits = bits;
    for (i = 0; i < num; i++)
        if (i == 0 || bits[i] != bits[p->num_bits - 1])
            bits[p->num_bits++] = bits[i];
    return 0;
}

static int read_word(xenidl_document *d, int node, uint32_t *word)
{
    if (d->nodes[node].kind != J_INTEGER)
        return xenidl_wrong_kind(d, node, "an integer");
    return xenidl_node_low_word(d, node, word) ? 0 : xenidl_refuse(d->error, "a number that is too large");
}

static int read_bits(xenidl_document *d, int node, size_t length, char **p)
{
    char *text = text_of(d, node), shown[64];
    int64_t bytes;

    if (!text)
        return -1;
    bytes = xenidl_text_length(text);
    if (bytes != (int64_t)length) {
        xenidl_refuse(d->error, "%s is not %zu bits", xenidl_shown(text, shown), length);
        free(text);
        return -1;
    }
    *p = text;
    return 0;
}

/* The place of a key among those that an object may have; -1 for others, -2 for one that is there twice. */
static int known_key(xenidl_document *d, int key, const char *const *keys, int num, unsigned *seen)
{
    char *name = xenidl_node_text(d, key);
    int i, found = -1;

    if (!name)
        return -2;
    for (i = 0; i < num; i++)
        if (strcmp(name, keys[i]) == 0)
            found = i;
    free(name);
    if (found >= 0 && *seen & 1u << found) {
        xenidl_refuse(d->error, "\"%s\" is there twice", keys[found]);
        return -2;
    }
    if (found >= 0)
        *seen |= 1u << found;
    return found;
}

static const char *const leaf_keys[] = { "leaf", "subleaf", "eax", "ebx", "ecx", "edx" };

static int read_leaf(xenidl_document *d, int node, xenidl_cpuid_leaf *leaf)
{
    unsigned seen = 0;
    int key;

    leaf->leaf = UNUSED;
    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    for (key = d->nodes[node].first; key >= 0; key = d->nodes[key].next) {
        int which = known_key(d, key, leaf_keys, 6, &seen), value = d->nodes[key].first, result = 0;

        if (which == -2)
            return -1;
        if (which == 0)
            result = read_word(d, value, &leaf->leaf);
        else if (which == 1)
            result = read_word(d, value, &leaf->subleaf);
        else if (which >= 2)
            result = read_bits(d, value, 32, &leaf->registers[which - 2]);
        if (result < 0)
            return xenidl_within(d->error, leaf_keys[which]);
        leaf->has_subleaf |= which == 1 && leaf->subleaf != UNUSED;
    }
    return 0;
}

static int read_msr(xenidl_document *d, int node, xenidl_msr *msr)
{
    static const char *const keys[] = { "index", "policy" };
    unsigned seen = 0;
    int key;

    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    for (key = d->nodes[node].first; key >= 0; key = d->nodes[key].next) {
        int which = known_key(d, key, keys, 2, &seen), value = d->nodes[key].first, result = 0;

        if (which == -2)
            return -1;
        if (which == 0)
            result = read_word(d, value, &msr->index);
        else if (which == 1)
            result = read_bits(d, value, 64, &msr->policy);
        if (result < 0)
            return xenidl_within(d->error, keys[which]);
    }
    return seen == 3 ? 0 : xenidl_refuse(d->error, "an MSR without its %s", seen & 1 ? "policy" : "index");
}

static void free_leaf(xenidl_cpuid_leaf *leaf)
{
    int r;

    for (r = 0; r < 4; r++)
        free(leaf->registers[r]);
    memset(leaf, 0, sizeof(*leaf));
}

static int read_leaves(xenidl_document *d, int node, xenidl_cpuid_policy_list *p)
{
    int num = d->nodes[node].num, i, child;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    if (num == 0)
        return 0;
    if (xenidl_charge(d, (size_t)num, sizeof(*p->cpuid)) < 0)
        return -1;
    p->cpuid = calloc((size_t)num, sizeof(*p->cpuid));
    if (!p->cpuid)
        return xenidl_refuse(d->error, "no memory");
    for (child = d->nodes[node].first, i = 0; child >= 0; child = d->nodes[child].next, i++) {
        p->num_cpuid = i + 1;
        if (read_leaf(d, child, &p->cpuid[i]) < 0)
            return xenidl_within_index(d->error, i);
    }
    /* In C the list ends at the first of these. */
    for (i = 0; i < num && p->cpuid[i].leaf != UNUSED; i++)
        ;
    p->num_cpuid = i;
    for (; i < num; i++)
        free_leaf(&p->cpuid[i]);
    return 0;
}

static int read_msrs(xenidl_document *d, int node, xenidl_cpuid_policy_list *p)
{
    int num = d->nodes[node].num, i = 0, child;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    if (num == 0)
        return 0;
    if (xenidl_charge(d, (size_t)num, sizeof(*p->msr)) < 0)
        return -1;
    p->msr = calloc((size_t)num, sizeof(*p->msr));
    if (!p->msr)
        return xenidl_refuse(d->error, "no memory");
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++) {
        p->num_msr = i + 1;
        if (read_msr(d, child, &p->msr[i]) < 0)
            return xenidl_within_index(d->error, i);
    }
    return 0;
}

static int read_cpuid(xenidl_document *d, int node, xenidl_cpuid_policy_list *p)
{
    static const char *const keys[] = { "cpuid", "msr" };
    unsigned seen = 0;
    int key;

    /* Up to Xen 4.17: the leaves alone. */
    if (d->nodes[node].kind == J_ARRAY)
        return read_leaves(d, node, p);
    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    for (key = d->nodes[node].first; key >= 0; key = d->nodes[key].next) {
        int which = known_key(d, key, keys, 2, &seen), value = d->nodes[key].first, result = 0;

        if (which == -2)
            return -1;
        if (which >= 0)
            result = which == 0 ? read_leaves(d, value, p) : read_msrs(d, value, p);
        if (result < 0)
            return xenidl_within(d->error, keys[which]);
    }
    return seen == 3 ? 0 : xenidl_refuse(d->error, "CPUID policies without \"%s\"", seen & 1 ? "msr" : "cpuid");
}

static int read_string_list(xenidl_document *d, int node, char ***p)
{
    int num = d->nodes[node].num, i = 0, child;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    if (num == 0)
        return 0;
    *p = calloc((size_t)num + 1, sizeof(**p));
    if (!*p)
        return xenidl_refuse(d->error, "no memory");
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++) {
        (*p)[i] = text_of(d, child);
        if (!(*p)[i])
            return xenidl_within_index(d->error, i);
    }
    return 0;
}

static int read_key_values(xenidl_document *d, int node, char ***p)
{
    int num = d->nodes[node].num, i = 0, key;

    if (d->nodes[node].kind != J_OBJECT)
        return xenidl_wrong_kind(d, node, "an object");
    if (num == 0)
        return 0;
    *p = calloc(2 * (size_t)num + 1, sizeof(**p));
    if (!*p)
        return xenidl_refuse(d->error, "no memory");
    for (key = d->nodes[node].first; key >= 0; key = d->nodes[key].next, i++) {
        char **pair = *p + 2 * i;

        pair[0] = text_of(d, key);
        if (!pair[0])
            return -1;
        if (read_text(d, d->nodes[key].first, &pair[1]) < 0)
            return xenidl_within(d->error, pair[0]);
    }
    return 0;
}

static int read_words(xenidl_document *d, int node, uint32_t *words, int least, int most)
{
    int i = 0, child;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    if (d->nodes[node].num < least || d->nodes[node].num > most)
        return xenidl_refuse(d->error, "%d numbers; there are %d", d->nodes[node].num, least);
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++)
        if (read_word(d, child, &words[i]) < 0)
            return xenidl_within_index(d->error, i);
    return 0;
}

static int read_genid(xenidl_document *d, int node, xenidl_ms_vm_genid *p)
{
    int i = 0, child;

    if (d->nodes[node].kind != J_ARRAY)
        return xenidl_wrong_kind(d, node, "an array");
    for (child = d->nodes[node].first; child >= 0; child = d->nodes[child].next, i++) {
        uint8_t byte;

        if (i >= 16)
            return xenidl_refuse(d->error, "one too many: there are 16"), xenidl_within_index(d->error, i);
        if (read_number(d, child, &xenidl_c_uint8, &byte) < 0)
            return xenidl_within_index(d->error, i);
        p->bytes[i] = byte;
    }
    return i == 16 ? 0 : xenidl_refuse(d->error, "%d bytes of a generation id, which has 16", i);
}

int xenidl_c_read(xenidl_document *d, int node, const xenidl_type *type, void *p)
{
    switch (type->kind) {
    case XENIDL_C_NUMBER:
        return read_number(d, node, type, p);
    case XENIDL_C_TEXT:
        return read_text(d, node, p);
    case XENIDL_C_DEFBOOL:
        return read_defbool(d, node, p);
    case XENIDL_C_UUID:
        return read_hex(d, node, type, uuid_form, p);
    case XENIDL_C_MAC:
        return read_hex(d, node, type, mac_form, p);
    case XENIDL_C_BITMAP:
        return read_bitmap(d, node, p);
    case XENIDL_C_CPUID:
        return read_cpuid(d, node, p);
    case XENIDL_C_STRING_LIST:
        return read_string_list(d, node, p);
    case XENIDL_C_KEY_VALUE_LIST:
        return read_key_values(d, node, p);
    case XENIDL_C_HWCAP:
        return read_words(d, node, ((xenidl_hwcap *)p)->words, 4, 8);
    case XENIDL_C_GENID:
        return read_genid(d, node, p);
    default:
        return xenidl_refuse(d->error, "a type that cannot be read: %s", type->name);
    }
}

/* Writing. */

static void put_number(xenidl_writer *w, uint32_t number)
{
    xenidl_element(w);
    xenidl_put_uint(w, number);
}

static int put_text_or_null(xenidl_writer *w, const char *text)
{
    if (text)
        return xenidl_put_string(w, text);
    xenidl_put(w, "null");
    return 0;
}

static int write_hex(xenidl_writer *w, const char *form, const uint8_t *bytes)
{
    char text[40];

    to_hex(form, bytes, text);
    return xenidl_put_string(w, text);
}

static int put_named_text(xenidl_writer *w, const char *key, const char *text)
{
    if (!text)
        return 0;
    return xenidl_put_key(w, key) < 0 ? -1 : xenidl_put_string(w, text);
}

static void put_named_number(xenidl_writer *w, const char *key, uint32_t number)
{
    xenidl_put_key(w, key);
    xenidl_put_uint(w, number);
}

static int write_cpuid(xenidl_writer *w, const xenidl_cpuid_policy_list *p)
{
    int i, r, result = 0;

    xenidl_open(w, '{');
    xenidl_put_key(w, "cpuid");
    xenidl_open(w, '[');
    for (i = 0; i < p->num_cpuid; i++) {
        const xenidl_cpuid_leaf *leaf = &p->cpuid[i];

        xenidl_element(w);
        xenidl_open(w, '{');
        put_named_number(w, "leaf", leaf->leaf);
        if (leaf->has_subleaf)
            put_named_number(w, "subleaf", leaf->subleaf);
        for (r = 0; r < 4; r++)
            result |= put_named_text(w, leaf_keys[r + 2], leaf->registers[r]);
        xenidl_close(w, '}');
    }
    xenidl_close(w, ']');
    xenidl_put_key(w, "msr");
    xenidl_open(w, '[');
    for (i = 0; i < p->num_msr; i++) {
        xenidl_element(w);
        xenidl_open(w, '{');
        put_named_number(w, "index", p->msr[i].index);
        result |= put_named_text(w, "policy", p->msr[i].policy);
        xenidl_close(w, '}');
    }
    xenidl_close(w, ']');
    xenidl_close(w, '}');
    return result;
}

static int write_lists(xenidl_writer *w, const xenidl_type *type, char *const *list)
{
    bool pairs = type->kind == XENIDL_C_KEY_VALUE_LIST;
    int result = 0;

    xenidl_open(w, pairs ? '{' : '[');
    for (; list && *list && result == 0; list += pairs ? 2 : 1) {
        if (pairs) {
            result = xenidl_put_key(w, list[0]) < 0 ? -1 : put_text_or_null(w, list[1]);
        } else {
            xenidl_element(w);
            result = xenidl_put_string(w, list[0]);
        }
    }
    xenidl_close(w, pairs ? '}' : ']');
    return result;
}

int xenidl_c_write(xenidl_writer *w, const xenidl_type *type, const void *p)
{
    int i, n;

    switch (type->kind) {
    case XENIDL_C_TEXT:
        return put_text_or_null(w, *(char *const *)p);
    case XENIDL_C_DEFBOOL:
        n = ((const xenidl_defbool *)p)->val;
        return xenidl_put_string(w, n > 0 ? "True" : n < 0 ? "False" : "<default>");
    case XENIDL_C_UUID:
        return write_hex(w, uuid_form, p);
    case XENIDL_C_MAC:
        return write_hex(w, mac_form, p);
    case XENIDL_C_BITMAP:
        xenidl_open(w, '[');
        for (i = 0; i < ((const xenidl_bitmap *)p)->num_bits; i++)
            put_number(w, ((const xenidl_bitmap *)p)->bits[i]);
        xenidl_close(w, ']');
        return 0;
    case XENIDL_C_CPUID:
        return write_cpuid(w, p);
    case XENIDL_C_STRING_LIST:
    case XENIDL_C_KEY_VALUE_LIST:
        return write_lists(w, type, *(char *const *const *)p);
    case XENIDL_C_HWCAP: {
        const uint32_t *words = ((const xenidl_hwcap *)p)->words;

        /* libxl's JSON holds four of the eight. */
        n = words[4] || words[5] || words[6] || words[7] ? 8 : 4;
        xenidl_open(w, '[');
        for (i = 0; i < n; i++)
            put_number(w, words[i]);
        xenidl_close(w, ']');
        return 0;
    }
    case XENIDL_C_GENID:
        xenidl_open(w, '[');
        for (i = 0; i < 16; i++)
            put_number(w, ((const xenidl_ms_vm_genid *)p)->bytes[i]);
        xenidl_close(w, ']');
        return 0;
    default:
        return xenidl_refuse(w->error, "a type that cannot be written: %s", type->name);
    }
}

/* What libxl leaves out of a struct. */
bool xenidl_c_is_zero(const xenidl_type *type, const void *p)
{
    static const uint8_t zeros[16];

    switch (type->kind) {
    case XENIDL_C_DEFBOOL:
        return ((const xenidl_defbool *)p)->val == 0;
    case XENIDL_C_UUID:
    case XENIDL_C_MAC:
    case XENIDL_C_GENID:
        return memcmp(p, zeros, type->size) == 0;
    case XENIDL_C_BITMAP:
        return ((const xenidl_bitmap *)p)->num_bits == 0;
    case XENIDL_C_CPUID:
        return ((const xenidl_cpuid_policy_list *)p)->num_cpuid == 0 && ((const xenidl_cpuid_policy_list *)p)->num_msr == 0;
    case XENIDL_C_STRING_LIST:
    case XENIDL_C_KEY_VALUE_LIST: {
        char *const *list = *(char *const *const *)p;

        return !list || !*list;
    }
    default:
        return false;
    }
}

/* Memory. */

static void free_list(char **list, bool pairs)
{
    char **one;

    for (one = list; one && *one; one += pairs ? 2 : 1) {
        free(one[0]);
        if (pairs)
            free(one[1]);
    }
    free(list);
}

void xenidl_c_dispose(const xenidl_type *type, void *p)
{
    xenidl_cpuid_policy_list *policies = p;
    int i;

    switch (type->kind) {
    case XENIDL_C_BITMAP:
        free(((xenidl_bitmap *)p)->bits);
        break;
    case XENIDL_C_CPUID:
        for (i = 0; i < policies->num_cpuid; i++)
            free_leaf(&policies->cpuid[i]);
        for (i = 0; i < policies->num_msr; i++)
            free(policies->msr[i].policy);
        free(policies->cpuid);
        free(policies->msr);
        break;
    case XENIDL_C_STRING_LIST:
    case XENIDL_C_KEY_VALUE_LIST:
        free_list(*(char ***)p, type->kind == XENIDL_C_KEY_VALUE_LIST);
        break;
    default:
        break;
    }
}

static int copy_list(char ***to, char *const *from, bool pairs)
{
    size_t num = 0, i;

    *to = NULL;
    while (from && from[num])
        num += pairs ? 2 : 1;
    if (num == 0)
        return 0;
    *to = calloc(num + 1, sizeof(**to));
    if (!*to)
        return -1;
    for (i = 0; i < num; i++) {
        (*to)[i] = from[i] ? xenidl_copy_text(from[i]) : NULL;
        if (from[i] && !(*to)[i])
            return -1;
    }
    return 0;
}

static int copy_cpuid(xenidl_cpuid_policy_list *to, const xenidl_cpuid_policy_list *from)
{
    int i, r;

    memset(to, 0, sizeof(*to));
    to->cpuid = from->num_cpuid ? calloc((size_t)from->num_cpuid, sizeof(*to->cpuid)) : NULL;
    to->msr = from->num_msr ? calloc((size_t)from->num_msr, sizeof(*to->msr)) : NULL;
    if ((from->num_cpuid && !to->cpuid) || (from->num_msr && !to->msr))
        return -1;
    for (i = 0; i < from->num_cpuid; i++) {
        xenidl_cpuid_leaf *leaf = &to->cpuid[to->num_cpuid++];

        *leaf = from->cpuid[i];
        memset(leaf->registers, 0, sizeof(leaf->registers));
        for (r = 0; r < 4; r++) {
            const char *text = from->cpuid[i].registers[r];

            leaf->registers[r] = text ? xenidl_copy_text(text) : NULL;
            if (text && !leaf->registers[r])
                return -1;
        }
    }
    for (i = 0; i < from->num_msr; i++) {
        xenidl_msr *msr = &to->msr[to->num_msr++];

        msr->index = from->msr[i].index;
        msr->policy = from->msr[i].policy ? xenidl_copy_text(from->msr[i].policy) : NULL;
        if (from->msr[i].policy && !msr->policy)
            return -1;
    }
    return 0;
}

int xenidl_c_copy(const xenidl_type *type, void *to, const void *from)
{
    const xenidl_bitmap *bitmap = from;
    xenidl_bitmap *copy = to;

    switch (type->kind) {
    case XENIDL_C_BITMAP:
        copy->num_bits = 0;
        copy->bits = bitmap->num_bits ? calloc((size_t)bitmap->num_bits, sizeof(*copy->bits)) : NULL;
        if (bitmap->num_bits && !copy->bits)
            return -1;
        if (bitmap->num_bits)
            memcpy(copy->bits, bitmap->bits, (size_t)bitmap->num_bits * sizeof(*copy->bits));
        copy->num_bits = bitmap->num_bits;
        return 0;
    case XENIDL_C_CPUID:
        return copy_cpuid(to, from);
    case XENIDL_C_STRING_LIST:
    case XENIDL_C_KEY_VALUE_LIST:
        return copy_list(to, *(char *const *const *)from, type->kind == XENIDL_C_KEY_VALUE_LIST);
    default:
        if (type->size)
            memcpy(to, from, type->size);
        return 0;
    }
}
