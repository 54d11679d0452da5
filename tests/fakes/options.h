/* The command line of stepmill-fakes. */
#ifndef FAKES_OPTIONS_H
#define FAKES_OPTIONS_H

#include "fakes.h"

enum options_outcome { OPTIONS_RUN, OPTIONS_SHOWN, OPTIONS_WRONG };

/* Fills `o`, or prints help (stdout) or what is wrong (stderr). Strings point into argv but for `host`. */
enum options_outcome options_read(struct options *o, int argc, char **argv);

#endif
