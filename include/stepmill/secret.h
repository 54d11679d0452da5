/* Secrets by reference: ${NAME} of the environment, or a file. Used by the configuration and by the tool files.
 *
 * Nothing here logs or prints. What went wrong names the variable or the file, never a value.
 */
#ifndef STEPMILL_SECRET_H
#define STEPMILL_SECRET_H

#include "bytes.h"
#include "error.h"

enum { SECRET_MAX = 64 * 1024 };

struct secret_use {
    bool references;  /* the text held at least one ${…} */
    bool literal;     /* the text held something beside them: with a secret, plain text that should not be there */
    char missing[64]; /* the variable that is not set (its first 63 bytes), for the message */
};

/* Appends `text` with each ${NAME} replaced by that variable, and ${NAME:-text} by `text` where it is not set or empty; "$${"
 * stands for a plain "${". What is put in is not expanded again. `environment` is as `environ` (NAME=value, NULL at the end).
 * Errors (config): secret_missing (use->missing), secret_syntax, secret_too_large; internal out_of_memory. On error `to` keeps
 * what it had before. */
MUST_CHECK struct error secret_expand(struct slice text, char *const *environment, struct buf *to, struct secret_use *use);

/* Appends what the file holds, without the line end at its end. Errors (config): secret_unreadable (errno says why),
 * secret_empty, secret_too_large, secret_binary (a NUL byte); internal out_of_memory. Blocking: at start and on reload only. */
MUST_CHECK struct error secret_read_file(const char *path, struct buf *to);

/* The variable's value, or NULL. */
const char *secret_environment(char *const *environment, struct slice name);

#endif
