/* The version of libevent at run time. */
#include <event2/event.h>

#include "stepmill/versions.h"

const char *version_libevent(void) { return event_get_version(); }
