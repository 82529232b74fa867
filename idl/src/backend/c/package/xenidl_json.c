/* JSON: parsing without recursion, and writing. */
#include "xenidl_json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Errors. */

int xenidl_refuse(xenidl_error *error, const char *format, ...)
{
    va_list args;

    if (error) {
        error->path[0] = '\0';
        va_start(args, format);
        vsnprintf(error->problem, sizeof(error->problem), format, args);
        va_end(args);
    }
    return -1;
}

static int prepend(xenidl_error *error, const char *part)
{
    const char *dot;
    size_t length = strlen(part), rest;

    if (!error)
        return -1;
    dot = error->path[0] && error->path[0] != '[' ? "." : "";
    rest = strlen(error->path) + strlen(dot);
    if (length + rest < sizeof(error->path)) {
        memmove(error->path + length + strlen(dot), error->path, strlen(error->path) + 1);
        memcpy(error->path, part, length);
        memcpy(error->path + length, dot, strlen(dot));
    }
    return -1;
}

int xenidl_within(xenidl_error *error, const char *key)
{
    return prepend(error, key);
}

int xenidl_within_index(xenidl_error *error, int index)
{
    char part[16];

    snprintf(part, sizeof(part), "[%d]", index);
    return prepend(error, part);
}

const char *xenidl_error_text(const xenidl_error *error, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s%s", error->path, error->path[0] ? ": " : "", error->problem);
    return buffer;
}

/* Texts. */

int xenidl_char(const char *text, uint32_t *code)
{
    const unsigned char *t = (const unsigned char *)text;
    unsigned char b = t[0];

#define TAIL(i) ((t[i] & 0xc0) == 0x80)
    if (b < 0x80) {
        *code = b;
        return 1;
    }
    if (b == 0xc0 && t[1] == 0x80) {
        *code = 0;
        return 2;
    }
    if (b >= 0xc2 && b <= 0xdf && TAIL(1)) {
        *code = (uint32_t)(b & 0x1f) << 6 | (t[1] & 0x3f);
        return 2;
    }
    if ((b & 0xf0) == 0xe0 && TAIL(1) && TAIL(2)) {
        *code = (uint32_t)(b & 0x0f) << 12 | (uint32_t)(t[1] & 0x3f) << 6 | (t[2] & 0x3f);
        return *code < 0x800 || (*code >= 0xd800 && *code < 0xe000) ? 0 : 3;
    }
    if (b >= 0xf0 && b <= 0xf4 && TAIL(1) && TAIL(2) && TAIL(3)) {
        *code = (uint32_t)(b & 0x07) << 18 | (uint32_t)(t[1] & 0x3f) << 12 | (uint32_t)(t[2] & 0x3f) << 6 | (t[3] & 0x3f);
        return *code < 0x10000 || *code > 0x10ffff ? 0 : 4;
    }
#undef TAIL
    return 0;
}

int64_t xenidl_text_length(const char *text)
{
    int64_t bytes = 0;
    uint32_t code;
    int n;

    for (; *text; text += n) {
        n = xenidl_char(text, &code);
        if (n == 0)
            return -1;
        bytes += code == 0 ? 1 : n;
    }
    return bytes;
}

const char *xenidl_shown(const char *text, char buffer[64])
{
    size_t n = 0;
    uint32_t code;
    int length;

    buffer[n++] = '"';
    for (; *text && n < 54; text += length) {
        length = xenidl_char(text, &code);
        if (length == 0 || code < 0x20 || code == 0x7f) {
            length = length ? length : 1;
            buffer[n++] = '?';
            continue;
        }
        if (code == '"' || code == '\\')
            buffer[n++] = '\\';
        memcpy(buffer + n, text, (size_t)length);
        n += (size_t)length;
    }
    if (*text) {
        buffer[n++] = '.';
        buffer[n++] = '.';
    }
    buffer[n++] = '"';
    buffer[n] = '\0';
    return buffer;
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Edits (insert, delete, replace, swap of neighbours) between two words of at most 64 bytes. */
static int distance(const char *a, const char *b)
{
    int rows[3][66], n = (int)strlen(b), i, j;

    for (j = 0; j <= n; j++)
        rows[0][j] = j;
    for (i = 0; a[i]; i++) {
        int *before = rows[(i + 2) % 3], *last = rows[i % 3], *row = rows[(i + 1) % 3];

        row[0] = i + 1;
        for (j = 0; j < n; j++) {
            int best = last[j] + (lower(a[i]) != lower(b[j]));

            if (last[j + 1] + 1 < best)
                best = last[j + 1] + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (i > 0 && j > 0 && lower(a[i - 1]) == lower(b[j]) && lower(b[j - 1]) == lower(a[i]) &&
                before[j - 1] + 1 < best)
                best = before[j - 1] + 1;
            row[j + 1] = best;
        }
    }
    return rows[i % 3][n];
}

const char *xenidl_nearest(const char *word, const char *const *names, int num)
{
    const char *nearest = NULL;
    int limit = (int)strlen(word) / 3, i;

    if (strlen(word) > 64)
        return NULL;
    limit = limit < 1 ? 1 : limit > 3 ? 3 : limit;
    for (i = 0; i < num; i++) {
        int d = strlen(names[i]) > 64 ? limit + 1 : distance(word, names[i]);

        if (d <= limit) {
            limit = d - 1;
            nearest = names[i];
        }
    }
    return nearest;
}

/* Reading. */

static int expected(xenidl_document *d, size_t at, const char *what)
{
    if (at >= d->length)
        return xenidl_refuse(d->error, "expected %s, found the end of the text (at byte %zu)", what, at);
    return xenidl_refuse(d->error, "expected %s, found byte 0x%02x (at byte %zu)", what, (unsigned char)d->text[at], at);
}

static size_t space(const xenidl_document *d, size_t at)
{
    while (at < d->length && (d->text[at] == ' ' || d->text[at] == '\n' || d->text[at] == '\t' || d->text[at] == '\r'))
        at++;
    return at;
}

static int check_utf8(xenidl_document *d)
{
    size_t at = 0;

    while (at < d->length) {
        char window[5] = { 0 };
        uint32_t code;
        size_t left = d->length - at;
        int n;

        memcpy(window, d->text + at, left < 4 ? left : 4);
        n = xenidl_char(window, &code);
        /* A NUL is no JSON, but that is told elsewhere. */
        if (n == 0 || (n == 2 && code == 0))
            return xenidl_refuse(d->error, "not UTF-8: byte %zu begins no character", at);
        at += (size_t)n;
    }
    return 0;
}

static int hex4(const char *text, size_t left)
{
    int value = 0, i;

    if (left < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* A string from its quote on. */
static int scan_string(xenidl_document *d, xenidl_node *node, size_t *at, bool halves)
{
    size_t i = *at + 1;

    node->start = *at;
    for (;;) {
        unsigned char c;
        int unit;

        if (i >= d->length)
            return xenidl_refuse(d->error, "a string without an end (at byte %zu)", *at);
        c = (unsigned char)d->text[i];
        if (c == '"')
            break;
        if (c < 0x20)
            return xenidl_refuse(d->error, "a control character in a string (at byte %zu)", i);
        if (c != '\\') {
            i++;
            continue;
        }
        node->escaped = true;
        c = i + 1 < d->length ? (unsigned char)d->text[i + 1] : ' ';
        if (c != 'u') {
            if (c == 0 || !strchr("\"\\/bfnrt", c))
                return xenidl_refuse(d->error, "an escape that JSON does not have (at byte %zu)", i);
            i += 2;
            continue;
        }
        unit = hex4(d->text + i + 2, d->length - i - 2);
        if (unit < 0)
            return xenidl_refuse(d->error, "`\\u` takes four hexadecimal digits (at byte %zu)", i);
        i += 6;
        if (unit < 0xd800 || unit > 0xdfff)
            continue;
        if (unit < 0xdc00 && i + 1 < d->length && d->text[i] == '\\' && d->text[i + 1] == 'u') {
            int low = hex4(d->text + i + 2, d->length - i - 2);

            if (low >= 0xdc00 && low <= 0xdfff) {
                i += 6;
                continue;
            }
        }
        node->half = true;
        if (!halves)
            return xenidl_refuse(d->error, "half of a surrogate pair, which is no text (at byte %zu)", *at);
    }
    node->end = *at = i + 1;
    return 0;
}

static size_t digits(const xenidl_document *d, size_t at)
{
    while (at < d->length && d->text[at] >= '0' && d->text[at] <= '9')
        at++;
    return at;
}

static int scan_number(xenidl_document *d, xenidl_node *node, size_t *at)
{
    size_t i = *at, from;

    node->start = i;
    node->kind = J_INTEGER;
    if (d->text[i] == '-')
        i++;
    from = i;
    i = i < d->length && d->text[i] == '0' ? i + 1 : digits(d, i);
    if (i == from)
        return expected(d, i, "a digit");
    if (i < d->length && d->text[i] == '.') {
        node->kind = J_DECIMAL;
        from = i + 1;
        i = digits(d, from);
        if (i == from)
            return expected(d, i, "a digit");
    }
    if (i < d->length && (d->text[i] == 'e' || d->text[i] == 'E')) {
        node->kind = J_DECIMAL;
        i++;
        if (i < d->length && (d->text[i] == '+' || d->text[i] == '-'))
            i++;
        from = i;
        i = digits(d, from);
        if (i == from)
            return expected(d, i, "a digit");
    }
    node->end = *at = i;
    return 0;
}

static int scan_word(xenidl_document *d, xenidl_node *node, size_t *at, const char *word, xenidl_json_kind kind)
{
    size_t n = strlen(word);

    if (d->length - *at < n || memcmp(d->text + *at, word, n) != 0)
        return expected(d, *at, "a value");
    node->kind = kind;
    node->start = *at;
    node->end = *at = *at + n;
    return 0;
}

static int scan_scalar(xenidl_document *d, xenidl_node *node, size_t *at, bool halves)
{
    switch (d->text[*at]) {
    case '"':
        node->kind = J_STRING;
        return scan_string(d, node, at, halves);
    case 't':
        return scan_word(d, node, at, "true", J_BOOL);
    case 'f':
        return scan_word(d, node, at, "false", J_BOOL);
    case 'n':
        return scan_word(d, node, at, "null", J_NULL);
    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return scan_number(d, node, at);
    default:
        return expected(d, *at, "a value");
    }
}

/* A new node below a parent; -1 when there is no memory. */
static int add_node(xenidl_document *d, int parent, bool value_of_key)
{
    xenidl_node *node;

    if (d->num == d->room) {
        int room = d->room ? d->room * 2 : 64;
        xenidl_node *nodes = d->room > INT32_MAX / 4 ? NULL : realloc(d->nodes, (size_t)room * sizeof(*nodes));

        if (!nodes) {
            xenidl_refuse(d->error, "no memory");
            return -1;
        }
        d->nodes = nodes;
        d->room = room;
    }
    node = &d->nodes[d->num];
    *node = (xenidl_node){ .parent = parent, .first = -1, .last = -1, .next = -1 };
    if (parent >= 0 && value_of_key) {
        d->nodes[d->nodes[parent].last].first = d->num;
    } else if (parent >= 0) {
        if (d->nodes[parent].last >= 0)
            d->nodes[d->nodes[parent].last].next = d->num;
        else
            d->nodes[parent].first = d->num;
        d->nodes[parent].last = d->num;
        d->nodes[parent].num++;
    }
    return d->num++;
}

/* A key and its colon. */
static int scan_key(xenidl_document *d, int object, size_t *at, bool halves)
{
    int key;

    *at = space(d, *at);
    if (*at >= d->length || d->text[*at] != '"')
        return expected(d, *at, "a key");
    key = add_node(d, object, false);
    if (key < 0)
        return -1;
    d->nodes[key].kind = J_STRING;
    if (scan_string(d, &d->nodes[key], at, halves) < 0)
        return -1;
    *at = space(d, *at);
    if (*at >= d->length || d->text[*at] != ':')
        return expected(d, *at, "`:` after a key");
    ++*at;
    return 0;
}

int xenidl_parse(xenidl_document *d, int depth, bool halves)
{
    int around = -1, nested = 0;
    size_t at = 0;

    if (check_utf8(d) < 0)
        return -1;
    for (;;) {
        bool object = around >= 0 && d->nodes[around].kind == J_OBJECT;
        int node;

        at = space(d, at);
        if (at >= d->length)
            return expected(d, at, "a value");
        node = add_node(d, around, object);
        if (node < 0)
            return -1;
        if (d->text[at] == '{' || d->text[at] == '[') {
            char close = d->text[at] == '{' ? '}' : ']';

            if (++nested > depth)
                return xenidl_refuse(d->error, "nested deeper than %d", depth);
            d->nodes[node].kind = close == '}' ? J_OBJECT : J_ARRAY;
            d->nodes[node].start = at;
            around = node;
            at = space(d, at + 1);
            if (at >= d->length || d->text[at] != close) {
                if (close == '}' && scan_key(d, around, &at, halves) < 0)
                    return -1;
                continue;
            }
        } else if (scan_scalar(d, &d->nodes[node], &at, halves) < 0) {
            return -1;
        }
        /* Behind a value: the next one, or the ends of what is around. */
        while (around >= 0) {
            bool in_object = d->nodes[around].kind == J_OBJECT;

            at = space(d, at);
            if (at < d->length && d->text[at] == ',' && d->nodes[around].num > 0) {
                at++;
                if (in_object && scan_key(d, around, &at, halves) < 0)
                    return -1;
                break;
            }
            if (at >= d->length || d->text[at] != (in_object ? '}' : ']'))
                return expected(d, at, in_object ? "`,` or `}`" : "`,` or `]`");
            at++;
            d->nodes[around].end = at;
            around = d->nodes[around].parent;
            nested--;
        }
        if (around < 0)
            break;
    }
    at = space(d, at);
    return at < d->length ? expected(d, at, "the end of the text") : 0;
}

void xenidl_document_free(xenidl_document *d)
{
    free(d->nodes);
}

int xenidl_wrong_kind(xenidl_document *d, int node, const char *what)
{
    static const char *const kinds[] = { "null", "a truth value", "an integer", "a number with a fraction or exponent",
                                         "a string", "an array", "an object" };

    return xenidl_refuse(d->error, "%s where %s belongs", kinds[d->nodes[node].kind], what);
}

int xenidl_charge(xenidl_document *d, size_t count, size_t size)
{
    if (size && count > d->budget / size)
        return xenidl_refuse(d->error, "more elements than a document of this size may hold");
    d->budget -= count * size;
    return 0;
}

static size_t put_char(char *out, uint32_t code)
{
    if (code == 0) {
        out[0] = (char)0xc0;
        out[1] = (char)0x80;
        return 2;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

char *xenidl_node_text(xenidl_document *d, int index)
{
    const xenidl_node *node = &d->nodes[index];
    const char *text = d->text;
    size_t i = node->start + 1, end = node->end - 1, n = 0;
    char *out;

    if (node->half) {
        xenidl_refuse(d->error, "half of a surrogate pair, which is no text (at byte %zu)", node->start);
        return NULL;
    }
    /* An escape is never shorter than what it stands for. */
    out = malloc(end - i + 1);
    if (!out) {
        xenidl_refuse(d->error, "no memory");
        return NULL;
    }
    while (i < end) {
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *place;
        uint32_t code;

        if (text[i] != '\\') {
            out[n++] = text[i++];
            continue;
        }
        if (text[i + 1] != 'u') {
            place = strchr(from, text[i + 1]);
            out[n++] = place ? to[place - from] : text[i + 1];
            i += 2;
            continue;
        }
        code = (uint32_t)hex4(text + i + 2, 4);
        i += 6;
        if (code >= 0xd800 && code < 0xdc00) {
            code = 0x10000 + ((code & 0x3ff) << 10) + ((uint32_t)hex4(text + i + 2, 4) & 0x3ff);
            i += 6;
        }
        n += put_char(out + n, code);
    }
    out[n] = '\0';
    return out;
}

bool xenidl_node_is(const xenidl_document *d, int node, const char *text)
{
    size_t length = d->nodes[node].end - d->nodes[node].start - 2;

    return strlen(text) == length && memcmp(d->text + d->nodes[node].start + 1, text, length) == 0;
}

char *xenidl_node_raw(const xenidl_document *d, int node)
{
    size_t length = d->nodes[node].end - d->nodes[node].start;
    char *out = malloc(length + 1);

    if (!out) {
        xenidl_refuse(d->error, "no memory");
        return NULL;
    }
    memcpy(out, d->text + d->nodes[node].start, length);
    out[length] = '\0';
    return out;
}

bool xenidl_node_uint64(const xenidl_document *d, int node, bool *negative, uint64_t *magnitude)
{
    size_t at = d->nodes[node].start;

    *negative = d->text[at] == '-';
    *magnitude = 0;
    for (at += *negative; at < d->nodes[node].end; at++) {
        uint64_t digit = (uint64_t)(d->text[at] - '0');

        if (*magnitude > (UINT64_MAX - digit) / 10)
            return false;
        *magnitude = *magnitude * 10 + digit;
    }
    return true;
}

bool xenidl_node_int64(const xenidl_document *d, int node, int64_t *value)
{
    uint64_t magnitude;
    bool negative;

    if (!xenidl_node_uint64(d, node, &negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* What C cuts to 32 bits. Numbers of 127 bits and more are none to any reader. */
bool xenidl_node_low_word(const xenidl_document *d, int node, uint32_t *word)
{
    static const char too_large[] = "170141183460469231731687303715884105727";
    const xenidl_node *n = &d->nodes[node];
    bool negative = d->text[n->start] == '-';
    size_t at = n->start + negative, length = n->end - at, most = sizeof(too_large) - 1;
    uint32_t low = 0;

    if (length > most || (length == most && memcmp(d->text + at, too_large, most) >= 0))
        return false;
    for (; at < n->end; at++)
        low = low * 10 + (uint32_t)(d->text[at] - '0');
    *word = negative ? 0 - low : low;
    return true;
}

/* Writing. */

static void put_bytes(xenidl_writer *w, const char *bytes, size_t n)
{
    if (w->failed)
        return;
    if (w->room - w->length <= n) {
        size_t room = (w->room + n) * 2 + 256;
        char *text = realloc(w->text, room);

        if (!text) {
            w->failed = true;
            return;
        }
        w->text = text;
        w->room = room;
    }
    memcpy(w->text + w->length, bytes, n);
    w->length += n;
    w->text[w->length] = '\0';
}

void xenidl_put(xenidl_writer *w, const char *text)
{
    put_bytes(w, text, strlen(text));
}

static void indent(xenidl_writer *w)
{
    int i;

    for (i = 0; i < w->around; i++)
        put_bytes(w, "    ", 4);
}

void xenidl_open(xenidl_writer *w, char bracket)
{
    put_bytes(w, &bracket, 1);
    if (w->indented)
        put_bytes(w, "\n", 1);
    w->around++;
    w->first = true;
}

void xenidl_close(xenidl_writer *w, char bracket)
{
    w->around--;
    w->first = false;
    if (w->indented) {
        put_bytes(w, "\n", 1);
        indent(w);
    }
    put_bytes(w, &bracket, 1);
}

void xenidl_element(xenidl_writer *w)
{
    bool first = w->first;

    w->first = false;
    if (!first)
        put_bytes(w, ",", 1);
    if (w->indented) {
        if (!first)
            put_bytes(w, "\n", 1);
        indent(w);
    }
}

int xenidl_put_string(xenidl_writer *w, const char *text)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";

    put_bytes(w, "\"", 1);
    while (*text) {
        uint32_t code;
        int n = xenidl_char(text, &code);
        const char *place;

        if (n == 0)
            return xenidl_refuse(w->error, "a text that is not UTF-8");
        place = code && code < 0x80 ? strchr(from, (int)code) : NULL;
        if (place) {
            char escape[2] = { '\\', to[place - from] };

            put_bytes(w, escape, 2);
        } else if (code < 0x20) {
            char escape[8];

            snprintf(escape, sizeof(escape), w->indented ? "\\u%04X" : "\\u%04x", (unsigned)(code & 0x1f));
            put_bytes(w, escape, 6);
        } else {
            put_bytes(w, text, (size_t)n);
        }
        text += n;
    }
    put_bytes(w, "\"", 1);
    return 0;
}

int xenidl_put_key(xenidl_writer *w, const char *key)
{
    xenidl_element(w);
    if (xenidl_put_string(w, key) < 0)
        return -1;
    xenidl_put(w, w->indented ? ": " : ":");
    return 0;
}

void xenidl_put_int(xenidl_writer *w, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRId64, value);
    xenidl_put(w, digits);
}

void xenidl_put_uint(xenidl_writer *w, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    xenidl_put(w, digits);
}
