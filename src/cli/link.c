/* Links to the registry and Kafka for one command, and times as people write them. */
#include "link.h"

#include <time.h>

#include "stepmill/units.h"

bool cli_link_open(struct cli *cli, const struct config *config, struct cli_link *link)
{
    struct error error;

    *link = (struct cli_link){.loop = loop_new()};
    if (cli->log.level < LOG_LEVEL_WARN) /* a command's own words say what goes well */
        cli->log.level = LOG_LEVEL_WARN;
    if (!link->loop) {
        cli_fail(cli, "no event loop: out of memory or file descriptors");
        return false;
    }
    error = http_client_new(link->loop, &cli->log, &(struct http_client_options){0}, &link->client);
    if (!failed(error))
        error = registry_new(&(struct registry_options){.loop = link->loop,
                                                        .client = link->client,
                                                        .log = &cli->log,
                                                        .config = &config->registry,
                                                        .limits = {.bytes = (size_t)config->limits.schema, .fields = 2000}},
                             &link->registry);
    if (!failed(error))
        return true;
    cli_fail(cli, "schema_registry: %s (%s)", error.text, error.code);
    cli_link_close(link);
    return false;
}

void cli_link_close(struct cli_link *link)
{
    registry_free(link->registry);
    http_client_free(link->client);
    loop_free(link->loop);
    *link = (struct cli_link){0};
}

static void tick(void *ctx) { (void)ctx; }

bool cli_link_ready(struct cli *cli, struct cli_link *link, int64_t timeout_ms)
{
    int64_t until = loop_now_ms(link->loop) + timeout_ms;
    struct registry_state state;
    struct loop_timer timer;

    loop_timer_init(&timer, link->loop, tick, NULL);
    for (state = registry_state(link->registry); !state.ready; state = registry_state(link->registry)) {
        if (loop_now_ms(link->loop) >= until || state.error.class == CLASS_CONFIG)
            break;
        loop_timer_set(&timer, 100);
        loop_turn(link->loop, true);
    }
    loop_timer_cancel(&timer);
    if (!state.ready)
        cli_fail(cli, "schema_registry: %s (%s)", state.error.text ? state.error.text : "no answer in time", state.detail);
    return state.ready;
}

struct kafka_options cli_kafka(const struct cli *cli, const struct config *config)
{
    return (struct kafka_options){
        .at = config->kafka.options, .count = config->kafka.noptions, .client_id = "stepmill-cli", .log = &cli->log};
}

static bool read_offset(const char *text, int64_t *seconds)
{
    int hours, minutes, n = 0;
    char sign;

    if (!strcmp(text, "Z") || !strcmp(text, "z")) {
        *seconds = 0;
        return true;
    }
    if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &n) != 3 || text[n] || (sign != '+' && sign != '-'))
        return false;
    *seconds = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
    return true;
}

static bool read_rfc3339(const char *text, int64_t *ms)
{
    struct tm t = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    int64_t offset, fraction = 0;

    if (!rest)
        return false;
    if (*rest == '.') {
        int64_t unit = 100;

        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            fraction += (*rest - '0') * unit;
    }
    if (!read_offset(rest, &offset))
        return false;
    *ms = ((int64_t)timegm(&t) - offset) * 1000 + fraction;
    return true;
}

bool cli_time(const char *text, bool ahead, int64_t now_ms, int64_t *ms)
{
    int64_t span;

    if (strlen(text) == 13 && slice_to_int(slice_of(text), 0, INT64_MAX, ms))
        return true;
    if (!duration_read(slice_of(text), &span)) {
        *ms = ahead ? now_ms + span : now_ms - span;
        return true;
    }
    return read_rfc3339(text, ms);
}

void cli_clock(char text[16], int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    snprintf(text, 16, "%02d:%02d:%02d.%03d", utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(wall_ms % 1000));
}
