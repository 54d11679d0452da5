/* The section `kafka`: librdkafka's own names, passed on as written, except those we own. */
#include <stdio.h>

#include "reader.h"
#include "stepmill/nearest.h"

static bool name_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'))
            return false;
    }
    return name.len > 0;
}

/* Names that people mistype most, and those of the Java client that are others here. Whether a name exists at all only librdkafka
 * knows. */
static const char *suggest(struct slice name)
{
    static const char *const known[] = {"bootstrap.servers",
                                        "group.id",
                                        "security.protocol",
                                        "sasl.mechanism",
                                        "sasl.username",
                                        "sasl.password",
                                        "ssl.ca.location",
                                        "ssl.certificate.location",
                                        "ssl.key.location",
                                        "ssl.key.password",
                                        "client.id",
                                        "session.timeout.ms",
                                        "heartbeat.interval.ms",
                                        "linger.ms",
                                        "compression.type",
                                        "debug",
                                        "client.rack",
                                        "socket.timeout.ms",
                                        "statistics.interval.ms"};
    char dotted[64];
    struct nearest near;
    size_t n = name.len < sizeof dotted ? name.len : 0;

    for (size_t i = 0; i < n; i++)
        dotted[i] = name.at[i] == '_' || name.at[i] == '-' ? '.' : name.at[i];
    near = nearest_to((struct slice){dotted, n});
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        nearest_offer(&near, known[i]);
    return near.name;
}

/* The property's name without _file, where it is the file form of a secret. */
static bool file_form(struct slice name, char plain[TREE_PATH_MAX])
{
    if (name.len <= strlen("_file") || strcmp(name.at + name.len - strlen("_file"), "_file") != 0)
        return false;
    snprintf(plain, TREE_PATH_MAX, "%.*s", (int)(name.len - strlen("_file")), name.at);
    return kafka_option_secret(plain);
}

static bool refuse_name(struct reader *r, const struct node *n, const char *name)
{
    const char *why = kafka_option_owned(name), *right;

    if (why) {
        problem_error(r->report, &n->named, "kafka.%s is refused: %s", name, why);
        return true;
    }
    if (name_valid(slice_of(name)))
        return false;
    right = suggest(slice_of(name));
    problem_error(r->report, &n->named, "unknown key \"kafka.%s\"%s%s%s", name,
                  right ? ": did you mean \"kafka." : ": librdkafka's names are made of a-z, 0-9 and dots", right ? right : "",
                  right ? "\"?" : "");
    return true;
}

static const char *read_value(struct reader *r, struct node *n, const char *name, bool file)
{
    char path[TREE_PATH_MAX];
    struct config_secret secret = {0};
    struct secret_use use;
    struct slice text;

    snprintf(path, sizeof path, "kafka.%s%s", name, file ? "_file" : "");
    if (n->kind != NODE_SCALAR || (node_is_null(n) && n->place.source == PLACE_FILE)) {
        problem_error(r->report, &n->named,
                      n->kind == NODE_SCALAR
                          ? "%s has no value: write one, or remove the line"
                          : "%s must be a single value; names below kafka are written with dots, such as bootstrap.servers",
                      path);
        return NULL;
    }
    if (kafka_option_secret(name))
        return scalar_secret(r, n, path, file, &secret) ? secret.value : NULL;
    text = scalar_text(r, n, path, &use);
    if (text.at && text.len == 0 && slice_is(slice_of(name), "bootstrap.servers") && r->needs & CONFIG_NEED_KAFKA)
        problem_error(r->report, &n->place, "%s is empty", path);
    return text.len ? text.at : NULL; /* "${NAME:-}" with nothing in it: not set */
}

static void read_property(struct reader *r, struct node *section, struct node *n, struct kafka_option *options)
{
    struct config_kafka *k = &r->config->kafka;
    char name[TREE_PATH_MAX];
    bool file = file_form(n->name, name);
    const char *value;
    struct slice copy;

    if (!file)
        snprintf(name, sizeof name, "%s", n->name.at);
    if (refuse_name(r, n, name))
        return;
    if (file && node_member(section, slice_of(name))) {
        problem_error(r->report, &n->named, "kafka.%s_file: kafka.%s is set too, only one of them is allowed", name, name);
        return;
    }
    value = read_value(r, n, name, file);
    if (!value)
        return;
    if (slice_is(slice_of(name), "group.id")) {
        k->group_id = value;
        return;
    }
    if (slice_is(slice_of(name), "bootstrap.servers"))
        k->bootstrap_servers = value;
    copy = arena_copy(r->arena, slice_of(name));
    if (copy.at)
        options[k->noptions++] = (struct kafka_option){copy.at, value};
    else
        problem_error(r->report, &n->place, "out of memory");
}

void fill_kafka(struct reader *r)
{
    struct node *section = node_member(r->root, SLICE("kafka"));
    struct kafka_option *options;

    if (!section || node_is_null(section))
        return;
    if (section->kind != NODE_MAP) {
        problem_error(r->report, &section->place, "kafka is a section: its options stand below it, one per line");
        return;
    }
    options = arena_alloc(r->arena, (section->count + 1) * sizeof *options);
    if (!options) {
        problem_error(r->report, &section->place, "out of memory");
        return;
    }
    r->config->kafka.options = options;
    for (struct node *n = section->first; n; n = n->next)
        read_property(r, section, n, options);
}
