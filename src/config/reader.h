/* The steps of config_load: sources → one tree → structs → checks. */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "options.h"
#include "problems.h"
#include "stepmill/arena.h"
#include "stepmill/secret.h"
#include "tree.h"

/* What config_free and config_show need. */
struct config_values {
    struct arena *arena; /* holds everything, the config itself too */
    struct node *root;
};

/* One load. */
struct reader {
    const struct config_source *source;
    unsigned needs; /* the source's, once it is known which sections there are */
    struct config_report *report;
    struct arena *arena;
    struct config *config;
    struct node *root;
    const char *folder;     /* of the file, absolute; the working folder where there is no file */
    const char *cwd;        /* absolute */
    struct place beginning; /* of the file: the place of what is missing; its name is NULL where there is no file */
};

/* sources.c: finds and reads the file, then lays the environment and the flags over it. False: nothing can be read from it. */
bool sources_read(struct reader *r);
/* "agents.search.max_steps" → "STEPMILL_AGENTS__SEARCH__MAX_STEPS". */
void sources_variable(const char *path, struct buf *to);

/* fill.c: defaults and the tree's values into the structs. */
void fill(struct reader *r);

/* kafka.c: librdkafka's own properties. */
void fill_kafka(struct reader *r);

/* scalar.c: the value of one scalar node, its references resolved. {NULL, 0}: a problem was added, or it was left unset because
 * nobody needs this section. */
struct slice scalar_text(struct reader *r, const struct node *n, const char *path, struct secret_use *use);
/* The value of "<path>" or, with `file`, what the file of "<path>_file" holds. */
bool scalar_secret(struct reader *r, struct node *n, const char *path, bool file, struct config_secret *secret);
/* What a file option names: an absolute path. */
const char *scalar_path(struct reader *r, const struct node *n, struct slice text);

/* extra.c: a node as JSON text. False: a problem was added. */
bool node_to_json(struct reader *r, const struct node *n, const char *path, struct buf *to);

/* check.c: what options must be to each other, and what is missing. */
void check(struct reader *r);
/* credentials.c: takes user and password out of the URLs, or refuses them. */
void split_credentials(struct reader *r);

/* The place of the value at `path`, else of the section around it, else the beginning of the file. */
struct place place_of(const struct reader *r, const char *path);
/* Whether the caller needs the section that `path` lies in. */
bool section_needed(const struct reader *r, const char *path);

#endif
