/* Directives: what a prompt itself asks of the fakes.
 *
 *   [[fake: steps=3 tools=check_inventory,reserve_stock latency@2=60s fail=500x2 fail/gpt-4o=429:1 answer="all done"]]
 *
 * A list of KEY[@STEP][/MODEL]=VALUE. A value is a word without white space, a "quoted text" (with \" \\ \n), or a JSON object or
 * array.
 * @STEP: only for that model call of the task (1, 2, ...); /MODEL: only for that model. README.md lists the keys. */
#ifndef FAKES_DIRECTIVE_H
#define FAKES_DIRECTIVE_H

#include "text.h"

enum { DIRECTIVE_ITEMS_MAX = 64 };

struct directive_item {
    struct span key, model; /* inside the text that was parsed */
    int64_t step;           /* 0: every step */
    struct span value;      /* quotes gone */
    bool quoted;
};

struct directive {
    struct directive_item items[DIRECTIVE_ITEMS_MAX];
    size_t count;
    struct span whole;    /* from [[ to ]] */
    struct text unquoted; /* what quoted values were decoded into */
};

/* Finds the first directive of `prompt`. False with `*why` NULL: there is none; with `*why` set: it is wrong. */
bool directive_parse(struct directive *d, struct span prompt, const char **why);
void directive_free(struct directive *d);

/* The last item of that key that fits the step and the model; NULL: none. */
const struct directive_item *directive_find(const struct directive *d, const char *key, int64_t step, struct span model);
/* The same for `key.name`, or else `key`. */
const struct directive_item *directive_find_for(const struct directive *d, const char *key, struct span name, int64_t step,
                                                struct span model);
bool directive_fits(const struct directive_item *i, const char *key, int64_t step, struct span model);
/* A number; false: `*why` is set. Without such an item `*n` is left alone. */
bool directive_number(const struct directive *d, const char *key, int64_t step, struct span model, int64_t *n, const char **why);

#endif
