/* stepmill dlq list, groups, show, export: looking. */
#include <stdlib.h>

#include "dlq_client.h"

enum { PAGE_MAX = 200 };

/* ---- list */

/* What others wrote may hold signs that move a terminal's cursor. */
static void put_safe(const char *text, int width)
{
    int n = 0;

    for (; *text && (width <= 0 || n < width); text++)
        if (((unsigned char)*text & 0xc0) == 0x80)
            putchar(*text); /* goes on with a character */
        else
            putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text), n++;
    for (; n < width; n++)
        putchar(' ');
}

static void put_letter(const json_t *l)
{
    put_safe(dlq_text(l, "failed_at"), 19);
    printf("  ");
    put_safe(dlq_text(l, "status"), 13);
    put_safe(dlq_text(l, "agent"), 12);
    printf(" ");
    put_safe(dlq_text(l, "code")[0] ? dlq_text(l, "code") : dlq_text(l, "class"), 24);
    printf(" %3lld  ", (long long)dlq_number(l, "redrives"));
    put_safe(dlq_text(l, "id"), 0);
    printf("  ");
    put_safe(dlq_text(l, "message"), 60);
    printf("\n");
}

/* Pages until so many rows were shown. */
static int show_pages(struct dlq_client *c, const char *path, const struct dlq_arguments *a, int64_t limit,
                      void (*show)(const json_t *row))
{
    char cursor[128] = "";
    int64_t shown = 0;

    do {
        struct buf query = BUF(16 * 1024);
        const json_t *items;
        bool fine;

        buf_printf(&query, "%s%climit=%lld", path, strchr(path, '?') ? '&' : '?',
                   (long long)(limit - shown < PAGE_MAX ? limit - shown : PAGE_MAX));
        dlq_filter_query(a, &query);
        if (cursor[0]) {
            buf_put_text(&query, "&cursor=");
            dlq_put_encoded(&query, cursor);
        }
        fine = dlq_client_call(c, "GET", buf_text(&query), NULL);
        buf_free(&query);
        if (!fine)
            return CLI_FAILED;
        items = json_object_get(c->body, "items");
        for (size_t i = 0; i < json_array_size(items); i++, shown++) {
            if (c->cli->json) {
                if (json_dumpf(json_array_get(items, i), stdout, JSON_COMPACT))
                    return cli_fail(c->cli, "cannot write the output");
                putchar('\n');
            } else {
                show(json_array_get(items, i));
            }
        }
        snprintf(cursor, sizeof cursor, "%s", dlq_text(c->body, "next"));
    } while (cursor[0] && shown < limit);
    return fflush(stdout) ? cli_fail(c->cli, "cannot write the output") : CLI_OK;
}

int cli_dlq_list(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    int64_t limit = 50;
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq list [FILTER]",
                              .about =
                                  "Dead letters, newest first: when, status, agent, error, redrives, id, message. --json: one "
                                  "object a line.",
                              .arguments = arguments,
                              .examples = "stepmill dlq list --status open --agent search\n"
                                          "stepmill dlq list --from 2h --text 'timeout' --json\n"};
    struct dlq_client c;
    int code;

    n += dlq_filter_arguments(&a, arguments + n);
    arguments[n++] = (struct cli_argument){"limit", 'n', CLI_INT, &limit, "N", "at most so many (50)", 1, 1000000};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!dlq_client_open(cli, &a, &c))
        return CLI_FAILED;
    code = show_pages(&c, "/letters", &a, limit, put_letter);
    dlq_client_close(&c);
    return code;
}

/* ---- groups */

static void put_group(const json_t *g)
{
    printf("%8lld %10lld  ", (long long)dlq_number(g, "letters"), (long long)dlq_number(g, "unfinished"));
    put_safe(dlq_text(g, "last_at"), 19);
    printf("  ");
    put_safe(dlq_text(g, "fingerprint"), 0);
    printf("  ");
    put_safe(dlq_text(g, "class"), 10);
    printf(" ");
    put_safe(dlq_text(g, "code"), 24);
    printf(" ");
    put_safe(dlq_text(g, "pattern"), 80);
    printf("\n");
}

int cli_dlq_groups(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    bool all = false;
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq groups",
                              .about =
                                  "Dead letters by cause, most first: letters, unfinished ones, last seen, fingerprint, error.",
                              .arguments = arguments};
    struct dlq_client c;
    int code;

    arguments[n++] = (struct cli_argument){"agent", 0, CLI_TEXT, &a.agent, "AGENT", "whose tasks", 0, 0};
    arguments[n++] = (struct cli_argument){"class", 0, CLI_TEXT, &a.class, "CLASS", "of the error", 0, 0};
    arguments[n++] = (struct cli_argument){"text", 0, CLI_TEXT, &a.text, "WORDS", "that occur in it", 0, 0};
    arguments[n++] = (struct cli_argument){"all", 0, CLI_FLAG, &all, NULL, "also those in which nothing is left to do", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!dlq_client_open(cli, &a, &c))
        return CLI_FAILED;
    code = show_pages(&c, all ? "/groups?unfinished=false" : "/groups?unfinished=true", &a, 1000, put_group);
    dlq_client_close(&c);
    return code;
}

/* ---- show */

static void put_members(const json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (json_is_null(value))
            continue;
        printf("%-18s ", name);
        if (json_is_string(value)) {
            put_safe(json_string_value(value), 0);
        } else {
            char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

            put_safe(text ? text : "", 0);
            free(text);
        }
        printf("\n");
    }
}

static void put_headers(const json_t *headers)
{
    printf("\nheaders\n");
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const json_t *h = json_array_get(headers, i);

        printf("  ");
        put_safe(dlq_text(h, "name"), 30);
        printf(" ");
        put_safe(json_is_null(json_object_get(h, "value")) ? dlq_text(h, "base64") : dlq_text(h, "value"), 0);
        printf("\n");
    }
}

static void put_value(const json_t *value)
{
    const json_t *inside = json_object_get(value, "json");

    printf("\nvalue (%s, %lld bytes)\n", dlq_text(value, "form"), (long long)dlq_number(value, "size"));
    if (inside && !json_is_null(inside)) {
        char *text = json_dumps(inside, JSON_INDENT(2) | JSON_ENCODE_ANY);

        printf("%s\n", text ? text : "");
        free(text);
    } else {
        put_safe(dlq_text(value, "text")[0] ? dlq_text(value, "text") : dlq_text(value, "base64"), 0);
        printf("\n");
    }
}

int cli_dlq_show(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    struct cli_usage usage = {.synopsis = "dlq show ID",
                              .about = "One dead letter with headers and value.",
                              .arguments = arguments,
                              .words_min = 1,
                              .words_max = 1};
    struct buf path = BUF(4096);
    struct dlq_client c;
    int code;

    usage.narguments = dlq_connection_arguments(&a, arguments);
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!dlq_client_open(cli, &a, &c))
        return CLI_FAILED;
    buf_put_text(&path, "/letters/");
    dlq_put_encoded(&path, cli->rest[0]);
    code = dlq_client_call(&c, "GET", buf_text(&path), NULL) ? CLI_OK : CLI_FAILED;
    buf_free(&path);
    if (code == CLI_OK && cli->json) {
        code = dlq_print_json(&c);
    } else if (code == CLI_OK) {
        put_members(json_object_get(c.body, "letter"));
        put_headers(json_object_get(c.body, "headers"));
        put_value(json_object_get(c.body, "value"));
    }
    dlq_client_close(&c);
    return code;
}

/* ---- export */

int cli_dlq_export(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    const char *format = "jsonl";
    int64_t cap = 0;
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq export [--format jsonl|csv] [FILTER]",
                              .about = "Dead letters of a filter to stdout, newest first. That it was done is recorded.",
                              .arguments = arguments,
                              .examples = "stepmill dlq export --format csv --from 7d >letters.csv\n"};
    struct dlq_client c;
    json_t *body;
    int code;

    n += dlq_filter_arguments(&a, arguments + n);
    arguments[n++] = (struct cli_argument){"format", 0, CLI_TEXT, &format, "FORMAT", "jsonl or csv", 0, 0};
    arguments[n++] = (struct cli_argument){"limit", 'n', CLI_INT, &cap, "N", "at most so many", 1, 1000000};
    arguments[n++] = (struct cli_argument){"reason", 0, CLI_TEXT, &a.reason, "TEXT", "why", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!dlq_client_open(cli, &a, &c))
        return CLI_FAILED;
    body = json_pack("{s:s, s:o}", "format", format, "filter", dlq_filter_json(&a));
    if (a.reason)
        json_object_set_new(body, "reason", json_string(a.reason));
    if (cap)
        json_object_set_new(body, "cap", json_integer(cap));
    code = dlq_client_call(&c, "POST", "/exports", body) ? CLI_OK : CLI_FAILED;
    if (code == CLI_OK && (fwrite(c.bytes.at ? c.bytes.at : "", 1, c.bytes.len, stdout) != c.bytes.len || fflush(stdout)))
        code = cli_fail(cli, "cannot write the output");
    dlq_client_close(&c);
    return code;
}
