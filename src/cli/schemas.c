/* stepmill schemas register | check | show */
#include <stdlib.h>

#include "cli.h"
#include "stepmill/json.h"
#include "stepmill/registry_admin.h"

/* One subject of ours, and what came of it. */
struct row {
    char subject[256];
    enum own_schema which;
    uint32_t id;
    const char *state; /* "registered", "unchanged", "missing", "differs", "failed" */
    bool fine;
    char note[256];
};

enum { ROWS_MAX = CONFIG_AGENTS_MAX + 3 };

struct run {
    struct cli *cli;
    struct config *config;
    struct loop *loop;
    struct http_client *client;
    struct registry *registry;
    struct row rows[ROWS_MAX];
    size_t nrows;
};

static void add_row(struct run *r, const char *topic, enum own_schema which)
{
    struct row *row = &r->rows[r->nrows++];

    snprintf(row->subject, sizeof row->subject, "%s-value", topic);
    row->which = which;
}

static void list_subjects(struct run *r)
{
    for (size_t i = 0; i < r->config->nagents; i++) {
        struct buf topic = BUF(512);

        config_tasks_topic(r->config, r->config->agents[i].name, &topic);
        add_row(r, buf_text(&topic), OWN_TASK);
        buf_free(&topic);
    }
    add_row(r, r->config->topics.results, OWN_RESULT);
    add_row(r, r->config->topics.events, OWN_EVENT);
    add_row(r, r->config->topics.dlq_actions, OWN_ACTION);
}

static void note(struct row *row, const char *state, struct error e, const struct detail *detail)
{
    row->state = state;
    row->fine = false;
    snprintf(row->note, sizeof row->note, "%s %.150s", e.text, detail->text);
}

/* BACKWARD or stricter. */
static bool protects(const char *level) { return !strncmp(level, "BACKWARD", 8) || !strncmp(level, "FULL", 4); }

/* The level is set before the schema goes in, so that the registry itself refuses one that breaks readers. */
static void register_one(struct run *r, struct row *row)
{
    struct detail detail = {""};
    struct slice text = own_schema_text(row->which);
    char level[32] = "";
    bool own, known = !failed(registry_lookup(r->registry, row->subject, text, &row->id, &detail)), change = false;
    struct error error = registry_compatibility(r->registry, row->subject, level, &own, &detail);

    if (!failed(error)) {
        change = !own || !protects(level);
        if (change)
            error = registry_set_compatibility(r->registry, row->subject, "BACKWARD", &detail);
    }
    if (!failed(error) && !known)
        error = registry_register(r->registry, row->subject, text, &row->id, &detail);
    if (failed(error)) {
        note(row, "failed", error, &detail);
        return;
    }
    row->fine = true;
    row->state = known ? "unchanged" : "registered";
    if (change)
        snprintf(row->note, sizeof row->note, "compatibility was %s, now BACKWARD", level);
}

/* Why our schema is not there: another version is, or nothing. */
static void explain_missing(struct run *r, struct row *row)
{
    struct buf text = BUF(1024 * 1024);
    struct detail detail = {""};
    struct schema *theirs = NULL, *ours = NULL;
    struct schema_limits limits = SCHEMA_LIMITS;
    int64_t version;
    struct error error = registry_latest(r->registry, row->subject, &row->id, &version, &text, &detail);
    bool same;

    row->fine = false;
    if (failed(error)) {
        row->state = "missing";
        snprintf(row->note, sizeof row->note, "nothing is registered; run: stepmill schemas register");
    } else {
        same = !failed(schema_parse(buf_slice(&text), &limits, &theirs, NULL)) &&
               !failed(schema_parse(own_schema_text(row->which), &limits, &ours, NULL)) && schema_equal(theirs, ours);
        row->state = "differs";
        snprintf(row->note, sizeof row->note,
                 "latest is version %lld (id %u), which differs in %s; run: stepmill schemas register", (long long)version,
                 row->id, same ? "docs or defaults only" : "its fields");
        row->id = 0;
    }
    schema_free(theirs);
    schema_free(ours);
    buf_free(&text);
}

static void check_one(struct run *r, struct row *row)
{
    struct detail detail = {""};
    char level[32];
    bool own;
    struct error error = registry_lookup(r->registry, row->subject, own_schema_text(row->which), &row->id, &detail);

    if (failed(error) && !strcmp(error.code, "schema_not_registered")) {
        explain_missing(r, row);
        return;
    }
    if (!failed(error))
        error = registry_compatibility(r->registry, row->subject, level, &own, &detail);
    if (failed(error)) {
        note(row, "failed", error, &detail);
        return;
    }
    row->state = "registered";
    row->fine = protects(level);
    if (!row->fine)
        snprintf(row->note, sizeof row->note, "compatibility is %s, should be BACKWARD; run: stepmill schemas register", level);
}

static void print_json(const struct run *r)
{
    struct buf out = BUF(1024 * 1024);

    buf_put_byte(&out, '[');
    for (size_t i = 0; i < r->nrows; i++) {
        const struct row *row = &r->rows[i];

        buf_put_text(&out, i ? ",\n {\"subject\": " : "{\"subject\": ");
        json_put_string(&out, slice_of(row->subject));
        buf_printf(&out, ", \"schema\": \"%s\", \"state\": \"%s\", \"id\": ", own_schema_name(row->which), row->state);
        if (row->id)
            buf_put_int(&out, row->id);
        else
            buf_put_text(&out, "null");
        buf_printf(&out, ", \"ok\": %s, \"note\": ", row->fine ? "true" : "false");
        json_put_string(&out, slice_of(row->note));
        buf_put_byte(&out, '}');
    }
    buf_put_text(&out, "]\n");
    fwrite(out.at, 1, out.len, stdout);
    buf_free(&out);
}

static void print_rows(const struct run *r)
{
    for (size_t i = 0; i < r->nrows; i++) {
        const struct row *row = &r->rows[i];

        printf("%-40s %-16s %-11s", row->subject, own_schema_name(row->which), row->state);
        if (row->id)
            printf(" id %u", row->id);
        printf("%s%s\n", row->note[0] ? "  " : "", row->note);
    }
}

static int finish(const struct run *r, bool checking)
{
    int code = CLI_OK;

    if (r->cli->json)
        print_json(r);
    else
        print_rows(r);
    for (size_t i = 0; i < r->nrows; i++)
        if (!strcmp(r->rows[i].state, "failed"))
            return CLI_FAILED;
        else if (!r->rows[i].fine && checking)
            code = CLI_FOUND;
    return fflush(stdout) ? CLI_FAILED : code;
}

static int with_registry(struct run *r, bool checking)
{
    struct error error;

    r->loop = loop_new();
    if (!r->loop)
        return cli_fail(r->cli, "no memory or no file descriptor left");
    error = http_client_new(r->loop, &r->cli->log, &(struct http_client_options){0}, &r->client);
    if (!failed(error))
        error = registry_new(&(struct registry_options){.loop = r->loop,
                                                        .client = r->client,
                                                        .log = &r->cli->log,
                                                        .config = &r->config->registry,
                                                        .limits = SCHEMA_LIMITS},
                             &r->registry);
    if (failed(error))
        return cli_fail(r->cli, "%s", error.text);
    for (size_t i = 0; i < r->nrows; i++)
        (checking ? check_one : register_one)(r, &r->rows[i]);
    return finish(r, checking);
}

static int show(struct cli *cli)
{
    const char *name = cli->nrest > 1 ? cli->rest[1] : NULL;

    for (int i = 0; i < OWN_SCHEMAS; i++) {
        struct slice text = own_schema_text((enum own_schema)i);

        if (!name)
            printf("%s\n", own_schema_name((enum own_schema)i));
        else if (!strcmp(name, own_schema_name((enum own_schema)i)))
            return fwrite(text.at, 1, text.len, stdout) == text.len && !fflush(stdout) ? CLI_OK : CLI_FAILED;
    }
    return name ? cli_misuse(cli, "there is no schema \"%s\"; `stepmill schemas show` lists them", name) : CLI_OK;
}

int cli_schemas(struct cli *cli, int argc, char **argv)
{
    static const char *const words[] = {"register", "check", "show", NULL};
    static const struct cli_usage usage = {
        .synopsis = "schemas register|check|show [NAME]",
        .about = "register: puts the schemas of this executable into the registry, subjects <topic>-value, and sets their "
                 "compatibility "
                 "to BACKWARD.\n"
                 "          The deploy step: workers wait until it is done. Doing it again changes nothing.\n"
                 "check:    says which are missing, differ, or may be changed so that readers break (exit code 3).\n"
                 "show:     prints the names, or one schema.",
        .words_min = 1,
        .words_max = 2,
        .examples =
            "stepmill schemas register --config stepmill.yaml\nstepmill schemas show AgentTaskEvent > AgentTaskEvent.avsc\n",
    };
    struct run *r;
    int code, word;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    word = cli_choose(cli, words, cli->rest[0]);
    if (word < 0)
        return CLI_USAGE;
    if (word == 2)
        return show(cli);
    if (cli->nrest > 1)
        return cli_misuse(cli, "schemas %s takes no name: it does all", words[word]);
    r = calloc(1, sizeof *r);
    if (!r)
        return cli_fail(cli, "no memory left");
    r->cli = cli;
    r->config = cli_config_load(cli, CONFIG_NEED_REGISTRY);
    code = CLI_FAILED;
    if (r->config) {
        list_subjects(r);
        code = with_registry(r, word == 1);
    }
    registry_free(r->registry);
    http_client_free(r->client);
    loop_free(r->loop);
    config_free(r->config);
    free(r);
    return code;
}
