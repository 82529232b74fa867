/* The packages of the compiler's own inputs, as a user has them: names, defaults, limits, what is kept, copies, memory. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Some of what is tested is on its way out. */
#define XENIDL_OWN_CODE
#include "libxl_types.h"
#include "t_types.h"

static int failures;

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "FAILED: %s:%d: %s\n", __FILE__, __LINE__, #what);                                         \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static const char text[] =
    "{\"flag\":true,\"small\":0,\"mid\":7,\"large\":9007199254740991,\"number\":-5,\"dom\":32751,\"text\":\"abc\","
    "\"colour\":\"dark_blue\",\"type\":\"ab-1\",\"at\":\"2026-11-23T10:20:30.123456789Z\",\"for_long\":5,"
    "\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\",\"path\":\"/a b/c\",\"ram\":0,\"list\":[\"red\"],\"what.type\":{}}";

static void fill(t_strict *s)
{
    t_strict_init(s);
    s->large = 9007199254740991;
    s->number = -5;
    s->dom = 32751;
    s->type = strdup("ab-1");
    CHECK(xenidl_timestamp_from_text(&s->at, "2026-11-23T10:20:30.123456789Z") == 0);
    CHECK(xenidl_uuid_from_text(&s->id, "67e55044-10b1-426f-9247-bb680e5fe0c8") == 0);
    s->path = strdup("/a b/c");
    s->list = calloc(1, sizeof(*s->list));
    s->list[0] = T_COLOUR_RED;
    s->num_list = 1;
    s->what.kind = T_SIZE_TYPE;
}

static void strict(void)
{
    char message[1024], *json;
    xenidl_error error;
    t_strict s, copy;

    fill(&s);
    json = t_strict_to_json(&s, &error);
    CHECK(json && strcmp(json, text) == 0);
    free(json);
    s.has_width = true;
    s.width = 9;
    CHECK(t_strict_copy(&copy, &s) == 0);
    t_strict_dispose(&s);
    CHECK(copy.has_width && copy.width == 9 && strcmp(copy.type, "ab-1") == 0 && copy.list[0] == T_COLOUR_RED);
    copy.mid = 501;
    CHECK(!t_strict_to_json(&copy, &error));
    CHECK(strcmp(xenidl_error_text(&error, message, sizeof(message)), "mid: 501 is not from 5 to 500") == 0);
    copy.mid = 7;
    free(copy.type);
    copy.type = NULL;
    CHECK(!t_strict_to_json(&copy, &error));
    CHECK(strcmp(xenidl_error_text(&error, message, sizeof(message)), "type: it is not set") == 0);
    t_strict_dispose(&copy);

    CHECK(t_strict_from_json(&s, text, strlen(text), &error) == 0);
    CHECK(s.flag && s.mid == 7 && s.what.kind == T_SIZE_TYPE && !s.raw && strcmp(s.text, "abc") == 0);
    t_strict_dispose(&s);
    CHECK(t_strict_from_json(&s, "{\"list\":[\"red\",\"rde\"]}", 22, &error) < 0);
    CHECK(strcmp(xenidl_error_text(&error, message, sizeof(message)),
                 "list[1]: \"rde\" is no colour; did you mean \"red\"?") == 0);
    t_strict_dispose(&s);
    CHECK(strcmp(T_STRICT_PATH, "/local/domain/%s/t/%s") == 0 && T_STRICT_LIST_MAX == 3);
}

static void open_types(void)
{
    static const char newer[] =
        "{\"late\":{\"ids\":[],\"size.huge\":{\"n\": 1.50},\"z\":null,\"a\":[ ]},\"new\":\"\\u0001\"}";
    xenidl_error error;
    t_early early;
    t_size size;
    char *json;

    CHECK(t_early_from_json(&early, newer, strlen(newer), &error) == 0);
    CHECK(early.late.size.kind == T_SIZE_UNKNOWN && strcmp(early.late.size.u.unknown.name, "huge") == 0);
    CHECK(early.extra.num_fields == 1 && strcmp(early.extra.fields[0].json, "\"\\u0001\"") == 0);
    json = t_early_to_json(&early, &error);
    CHECK(json && strcmp(json, newer) == 0);
    free(json);
    strcpy(early.late.size.u.unknown.name, "small");
    CHECK(!t_early_to_json(&early, &error));
    t_early_dispose(&early);
    CHECK(t_size_from_string("later", &size) == 0 && size.value == T_SIZE_UNKNOWN && strcmp(t_size_to_string(&size), "later") == 0);
    CHECK(t_size_from_string("small", &size) == 0 && size.value == T_SIZE_SMALL);
    CHECK(t_size_from_string("Later", &size) < 0);
    CHECK(t_tag_check("ab-1", &error) == 0 && t_tag_check("ab-", &error) < 0);
    CHECK(strcmp(xenidl_type_name(t_type_by_name("early")), "early") == 0 && !t_type_by_name("nobody"));
}

static void times(void)
{
    static const char *const good[] = { "1970-01-01T00:00:00.000000000Z", "0001-01-01T00:00:00.000000000Z",
                                        "2024-02-29T23:59:59.999999999Z", "9999-12-31T23:59:59.000000001Z" };
    static const char *const bad[] = { "2023-02-29T00:00:00.000000000Z", "2026-01-01T24:00:00.000000000Z",
                                       "0000-01-01T00:00:00.000000000Z", "2026-11-23T10:20:30Z" };
    xenidl_timestamp t;
    char buffer[31];
    int i;

    for (i = 0; i < 4; i++) {
        CHECK(xenidl_timestamp_from_text(&t, good[i]) == 0);
        xenidl_timestamp_to_text(&t, buffer);
        CHECK(strcmp(buffer, good[i]) == 0);
        CHECK(xenidl_timestamp_from_text(&t, bad[i]) < 0);
    }
}

static void libxl(void)
{
    libxl_everything e, copy;
    xenidl_error error;
    libxl_kind kind;
    char *json, *again;

    libxl_everything_init(&e);
    CHECK(e.int_ == -1 && e.u32 == UINT32_MAX && e.u64 == UINT64_MAX && e.small == -2 && e.flag);
    CHECK((int)e.kind == -1 && e.kind_none == LIBXL_KIND_NONE && e.type == LIBXL_KIND_NONE);
    CHECK(libxl_kind_from_string("9PFS", &kind) == 0 && kind == LIBXL_KIND_9PFS && strcmp(libxl_kind_to_string(kind), "9pfs") == 0);
    CHECK(!libxl_kind_to_string((libxl_kind)99));
    e.type = LIBXL_KIND_9PFS;
    libxl_everything_9pfs_init(&e.u.n9pfs);
    e.u.n9pfs.path = strdup("/\xc0\x80");
    e.text = strdup("");
    e.u64 = 5;
    e.default_.val = -1;
    e.list = calloc(2, sizeof(*e.list));
    e.list[0] = strdup("one");
    e.map = calloc(3, sizeof(*e.map));
    e.map[0] = strdup("key");
    json = libxl_everything_to_json(&e, &error);
    CHECK(json && strstr(json, "\"path\": \"/\\u0000\"") && strstr(json, "\"key\": null") && strstr(json, "\"default\": \"False\""));
    CHECK(libxl_everything_copy(&copy, &e) == 0);
    libxl_everything_dispose(&e);
    again = libxl_everything_to_json(&copy, &error);
    CHECK(again && strcmp(json, again) == 0);
    CHECK(libxl_everything_from_json(&e, json, strlen(json), &error) == 0);
    free(again);
    again = libxl_everything_to_json(&e, &error);
    CHECK(again && strcmp(json, again) == 0);
    free(again);
    free(json);
    libxl_everything_dispose(&e);
    libxl_everything_dispose(&copy);
    CHECK(libxl_everything_from_json(&e, "{\"kinds\":[\"none\",\"9psf\"]}", 25, &error) < 0 && strcmp(error.path, "kinds[1]") == 0);
    libxl_everything_dispose(&e);
}

int main(void)
{
    strict();
    open_types();
    times();
    libxl();
    if (failures == 0)
        puts("c: ok");
    return failures != 0;
}
