/* Loading configurations from texts, for the tests. */
#ifndef HELPER_CONFIG_H
#define HELPER_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/config.h"

/* A complete configuration with one agent and one model; its agent has a tool folder beside the file. */
extern const char whole_config[];

/* Makes a scratch folder the working folder, with c.yaml = `text`, prompt.txt, key.txt and tools/. Group set-up and tear-down. */
int scratch_set_up(void **state);
int scratch_tear_down(void **state);
void write_text(const char *path, const char *text);

struct inputs {
    const char *text; /* of c.yaml; NULL: no file */
    const char *sets[8];
    const char *environment[8];
    unsigned needs; /* 0: all */
};
/* The report is kept until the next call. */
struct config *load(struct inputs in);
const struct config_report *report(void);
/* Loads and asserts that there are exactly these problems, in this order; the list ends with NULL. */
void assert_problems(struct inputs in, const char *const *texts);

#endif
