/* The effective values, as YAML or JSON, secrets hidden. */
#include <stdio.h>

#include "reader.h"
#include "stepmill/json.h"
#include "stepmill/kafka_options.h"
#include "value.h"
#include "visit.h"

enum { TEXT_MAX = 1024 * 1024 };

#define HIDDEN "********"

/* Writing nested sections from a flat sequence of paths. */
struct printer {
    const struct config *config;
    struct buf *to;
    bool json, sources;
    char section[TREE_PATH_MAX]; /* open now: "agents.search", "" at the top */
    bool comma;                  /* JSON: something stands before at this level */
};

/* Where the option's own name begins: below kafka behind the first dot. */
static const char *last_name(const char *path)
{
    const char *dot = slice_starts_with(slice_of(path), "kafka.") ? strchr(path, '.') : strrchr(path, '.');

    return dot ? dot + 1 : path;
}

static size_t depth_of(const char *section)
{
    size_t n = *section != '\0';

    for (; *section; section++)
        n += *section == '.';
    return n;
}

static void line_start(struct printer *p, size_t depth)
{
    if (p->json && p->comma)
        buf_put_byte(p->to, ',');
    if (p->json)
        buf_put_byte(p->to, '\n');
    for (size_t i = 0; i < depth + p->json; i++)
        buf_put_text(p->to, "  ");
}

static void close_section(struct printer *p)
{
    char *dot = strrchr(p->section, '.');

    if (p->json) {
        p->comma = false;
        line_start(p, depth_of(p->section) - 1);
        buf_put_byte(p->to, '}');
        p->comma = true;
    }
    *(dot ? dot : p->section) = '\0';
}

/* Closes and opens sections until `section` is the open one. */
static void enter(struct printer *p, struct slice section)
{
    size_t n;

    while ((n = strlen(p->section)) > 0 &&
           !(slice_starts_with(section, p->section) && (section.len == n || section.at[n] == '.')))
        close_section(p);
    while ((n = strlen(p->section)) < section.len) {
        const char *name = section.at + n + (n > 0);
        size_t len = strcspn(name, ".") < (size_t)(section.at + section.len - name) ? strcspn(name, ".")
                                                                                    : (size_t)(section.at + section.len - name);

        line_start(p, depth_of(p->section));
        if (p->json)
            json_put_string(p->to, (struct slice){name, len});
        else
            buf_put(p->to, name, len);
        buf_put_text(p->to, p->json ? ": {" : ":\n");
        p->comma = false;
        snprintf(p->section + n, sizeof p->section - n, "%s%.*s", n ? "." : "", (int)len, name);
    }
}

static bool is_secret(const struct option *o, const char *path)
{
    return o->type == OPTION_SECRET || (o->type == OPTION_KAFKA && kafka_option_secret(last_name(path)));
}

static bool is_quoted(const struct printer *p, enum option_type type)
{
    switch (type) {
    case OPTION_INT:
    case OPTION_BOOL:
    case OPTION_DOUBLE:
    case OPTION_TOPICS:
    case OPTION_TOOLS:
    case OPTION_MODELS:
    case OPTION_JSON:
        return false;
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_ENUM:
        return p->json;
    default:
        return true;
    }
}

/* The number of bytes, and the character, where YAML would not take it raw or would read it as a line end: DEL, C1 controls,
 * U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. 0: another. */
static size_t unprintable(struct slice s, unsigned *character)
{
    const unsigned char *at = (const unsigned char *)s.at;

    *character = at[0];
    if (at[0] == 0x7f)
        return 1;
    if (s.len >= 2 && at[0] == 0xc2 && at[1] < 0xa0) {
        *character = at[1];
        return 2;
    }
    if (s.len < 3 || (at[0] & 0xf0) != 0xe0)
        return 0;
    *character = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    return *character == 0x2028 || *character == 0x2029 || *character == 0xfeff || *character >= 0xfffe ? 3 : 0;
}

/* What stands between quotes, as YAML reads it back: "${" is a reference there, so a plain one is escaped. */
static void put_escaped(struct printer *p, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        struct slice rest = {s.at + i, s.len - i};
        unsigned character;
        size_t n = p->json ? 0 : unprintable(rest, &character);

        if (n) {
            buf_printf(p->to, "\\u%04x", character);
            i += n - 1;
            continue;
        }
        if (!p->json && slice_starts_with(rest, "${"))
            buf_put_byte(p->to, '$');
        buf_put_byte(p->to, s.at[i]);
    }
}

static void put_list(struct printer *p, struct slice names)
{
    buf_put_byte(p->to, '[');
    for (const char *at = names.at, *end = names.at + names.len; at < end;) {
        const char *comma = memmem(at, (size_t)(end - at), ", ", 2), *stop = comma ? comma : end;

        if (at != names.at)
            buf_put_text(p->to, ", ");
        json_put_string(p->to, (struct slice){at, (size_t)(stop - at)});
        at = comma ? comma + 2 : end;
    }
    buf_put_byte(p->to, ']');
}

static void put_value(struct printer *p, const struct option *o, const void *base)
{
    struct buf text = BUF(TEXT_MAX), quoted = BUF(TEXT_MAX);

    value_write(o, base, &text);
    if (option_is_list(o))
        put_list(p, buf_slice(&text));
    else if (is_quoted(p, o->type)) {
        json_put_string(&quoted, buf_slice(&text));
        put_escaped(p, buf_slice(&quoted));
    } else {
        put_escaped(p, buf_slice(&text));
    }
    p->to->failed |= text.failed || quoted.failed;
    buf_free(&text);
    buf_free(&quoted);
}

static void put_source(struct printer *p, const struct node *n, bool derived)
{
    if (p->json || !p->sources)
        return;
    if (derived)
        buf_put_text(p->to, "  # from the URL");
    else if (!n)
        buf_put_text(p->to, "  # default");
    else if (n->place.source == PLACE_FILE)
        buf_printf(p->to, "  # %s:%d", n->place.name, n->place.line);
    else
        buf_printf(p->to, "  # %s", n->place.name);
}

/* The URL beside `path`, if user and password were taken out of it. */
static const struct node *url_beside(const struct printer *p, const char *path)
{
    char url[TREE_PATH_MAX];
    const struct node *n;

    if (strcmp(last_name(path), "username") && strcmp(last_name(path), "password"))
        return NULL;
    snprintf(url, sizeof url, "%.*surl", (int)(last_name(path) - path), path);
    n = tree_find(p->config->values->root, url);
    return n && n->credentials ? n : NULL;
}

static void show_option(void *context, const struct option *o, const char *path, const void *base)
{
    struct printer *p = context;
    const struct node *root_node = tree_find(p->config->values->root, path), *n = root_node, *url = NULL;
    const char *name = last_name(path);
    char file[TREE_PATH_MAX + 8], key[TREE_PATH_MAX + 8];
    bool from_file = false;

    if (!value_is_set(o, base) && !(n && is_secret(o, path) && n->kind == NODE_SCALAR && n->text.len))
        return; /* a secret whose variable is not set here is there all the same */
    snprintf(file, sizeof file, "%s_file", path);
    if (!n && (option_has_file(o) || is_secret(o, path)))
        from_file = (n = tree_find(p->config->values->root, file)) != NULL;
    if (!n && (url = url_beside(p, path)) && node_is_reference(url))
        return; /* the reference says it all */
    enter(p, (struct slice){path, name == path ? 0 : (size_t)(name - path - 1)});
    line_start(p, depth_of(p->section));
    snprintf(key, sizeof key, "%s%s", name, from_file ? "_file" : "");
    if (p->json)
        json_put_string(p->to, slice_of(key));
    else
        buf_put_text(p->to, key);
    buf_put_text(p->to, ": ");
    if (from_file)
        json_put_string(p->to, slice_of(n->path));
    else if (n && node_is_reference(n) && (is_secret(o, path) || n->credentials))
        json_put_string(p->to, n->text);
    else if (is_secret(o, path))
        buf_put_text(p->to, "\"" HIDDEN "\"");
    else
        put_value(p, o, base);
    put_source(p, n, url != NULL);
    if (!p->json)
        buf_put_byte(p->to, '\n');
    p->comma = true;
}

void config_show(const struct config *c, bool sources, struct buf *to)
{
    struct printer p = {.config = c, .to = to, .sources = sources};

    visit_options(c, show_option, &p);
}

void config_show_json(const struct config *c, struct buf *to)
{
    struct printer p = {.config = c, .to = to, .json = true};

    buf_put_byte(to, '{');
    visit_options(c, show_option, &p);
    enter(&p, (struct slice){"", 0});
    buf_put_text(to, "\n}\n");
}
