/* A configuration without memory: it is refused, never taken with a part of it missing. libyaml's own memory is not counted. */
#include "memory_faults.h"

#include "helper_config.h"

static bool load_and_show(void)
{
    struct config *c =
        load((struct inputs){.text = whole_config,
                             .sets = {"agents.search.max_steps=7", "http.listen=127.0.0.1:1"},
                             .environment = {"STEPMILL_REDIS__PREFIX=p:", "STEPMILL_AGENTS__SEARCH__MAX_WAITING=9"}});
    struct buf shown = BUF(1 << 20);
    bool done = c != NULL;

    if (!c && !report()->errors)
        fail_msg("no configuration, and no problem");
    if (c) {
        config_show(c, true, &shown);
        saw(slice_of(c->models[0].key.value)); /* what is not shown */
        saw(slice_of(c->agents[0].system_prompt));
    }
    done = saw_buf(&shown) && done;
    config_free(c);
    return done;
}

static bool as_json(void)
{
    struct config *c = load((struct inputs){.text = whole_config});
    struct buf shown = BUF(1 << 20);
    bool done = c != NULL;

    if (c)
        config_show_json(c, &shown);
    done = saw_buf(&shown) && done;
    config_free(c);
    return done;
}

static bool reference(void)
{
    struct buf text = BUF(1 << 20), json = BUF(1 << 20);

    config_reference(&text);
    config_reference_json(&json);
    return saw_buf(&text) & saw_buf(&json);
}

int main(void)
{
    static const struct memory_operation operations[] = {
        {"load and show", load_and_show, false},
        {"as JSON", as_json, false},
        {"reference", reference, false},
    };
    int failures;

    if (scratch_set_up(NULL))
        return 1;
    failures = memory_faults_run("a configuration without memory", operations, sizeof operations / sizeof *operations);
    return scratch_tear_down(NULL) ? 1 : failures;
}
