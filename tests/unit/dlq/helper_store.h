/* An index in a scratch folder, and letters and actions to fold into it. */
#ifndef HELPER_STORE_H
#define HELPER_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "effect.h"
#include "store.h"

extern struct arena *memory; /* for what is read, of one set-up */
/* A scratch folder per test. */
int store_set_up(void **state);
int store_tear_down(void **state);
struct store *open_writer(bool *made);
struct store *open_reader(void);

struct sample {
    int number; /* original offset; with it the id: "tasks:0:<number>" */
    const char *task, *session, *agent, *class, *message;
    int redrives;
    int64_t failed_at_ms;
    const char *value; /* NULL: none */
    const char *dlq;   /* NULL: "dlq" */
    const char *code;  /* NULL: "code" */
};
void fold_letter(struct store *s, const struct sample *l);
void fold_all(struct store *s, const struct sample *letters, size_t n);
struct slice id_of(int number); /* valid until the next 16 calls */
void fold_effect(struct store *s, struct effect e);

/* All that the index says of everything, as one text: equal for equal indexes. Free it. */
char *dump(void);

#endif
