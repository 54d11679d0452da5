/* The version of hiredis: the header's, the library does not say. */
#include <hiredis/hiredis.h>

#include "stepmill/versions.h"

#define TEXT_OF(x)                  #x
#define DOTTED(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *version_hiredis(void) { return DOTTED(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH); }
