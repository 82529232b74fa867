/* JSON: a document parsed into nodes, and text written. For the support code only. */
#ifndef XENIDL_JSON_H
#define XENIDL_JSON_H

#include "xenidl_types.h"

typedef enum xenidl_json_kind { J_NULL, J_BOOL, J_INTEGER, J_DECIMAL, J_STRING, J_ARRAY, J_OBJECT } xenidl_json_kind;

typedef struct xenidl_node {
    xenidl_json_kind kind;
    bool escaped; /* a string with escapes */
    bool half;    /* a string with half of a surrogate pair */
    size_t start; /* in the text */
    size_t end;
    int parent; /* -1: none */
    int first;  /* the first element, the first key, or a key's value */
    int last;
    int next;
    int num; /* of elements or keys */
} xenidl_node;

typedef struct xenidl_document {
    const char *text;
    size_t length;
    xenidl_node *nodes; /* the first one is the whole */
    int num;
    int room;
    size_t budget; /* bytes that elements may still take */
    xenidl_error *error;
} xenidl_document;

typedef struct xenidl_writer {
    char *text;
    size_t length;
    size_t room;
    bool indented; /* as yajl does */
    bool failed;   /* no memory */
    bool first;
    int around;
    xenidl_error *error;
} xenidl_writer;

/* All return 0, or -1 and fill the error. */
int xenidl_refuse(xenidl_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
int xenidl_within(xenidl_error *error, const char *key);
int xenidl_within_index(xenidl_error *error, int index);
int xenidl_parse(xenidl_document *d, int depth, bool halves);
void xenidl_document_free(xenidl_document *d);
int xenidl_wrong_kind(xenidl_document *d, int node, const char *expected);
/* Takes memory for elements. */
int xenidl_charge(xenidl_document *d, size_t count, size_t size);

/* A string's text, malloc'd. */
char *xenidl_node_text(xenidl_document *d, int node);
/* Of a string node. */
bool xenidl_node_is(const xenidl_document *d, int node, const char *text);
/* The bytes of a value. */
char *xenidl_node_raw(const xenidl_document *d, int node);
/* An integer's digits: malformed ones are none of J_INTEGER. */
bool xenidl_node_int64(const xenidl_document *d, int node, int64_t *value);
bool xenidl_node_uint64(const xenidl_document *d, int node, bool *negative, uint64_t *magnitude);
bool xenidl_node_low_word(const xenidl_document *d, int node, uint32_t *word);

/* The next character of a text; its length, or 0 when it is not UTF-8. U+0000 is C0 80. */
int xenidl_char(const char *text, uint32_t *code);
/* Bytes of a text as JSON's readers count them. -1: not UTF-8. */
int64_t xenidl_text_length(const char *text);
/* A text for messages: quoted, escaped, cut. */
const char *xenidl_shown(const char *text, char buffer[64]);
/* The nearest of some names, or NULL. */
const char *xenidl_nearest(const char *word, const char *const *names, int num);

void xenidl_put(xenidl_writer *w, const char *text);
void xenidl_open(xenidl_writer *w, char bracket);
void xenidl_close(xenidl_writer *w, char bracket);
void xenidl_element(xenidl_writer *w);
int xenidl_put_key(xenidl_writer *w, const char *key);
int xenidl_put_string(xenidl_writer *w, const char *text);
void xenidl_put_int(xenidl_writer *w, int64_t value);
void xenidl_put_uint(xenidl_writer *w, uint64_t value);

/* libxl's builtin types. */
int xenidl_c_read(xenidl_document *d, int node, const xenidl_type *type, void *p);
int xenidl_c_write(xenidl_writer *w, const xenidl_type *type, const void *p);
bool xenidl_c_is_zero(const xenidl_type *type, const void *p);
void xenidl_c_dispose(const xenidl_type *type, void *p);
int xenidl_c_copy(const xenidl_type *type, void *to, const void *from);

#endif
