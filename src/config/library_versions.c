/* The versions of libyaml and jansson at run time. */
#include "stepmill/versions.h"

#include <jansson.h>
#include <yaml.h>

const char *version_yaml(void) { return yaml_get_version_string(); }
const char *version_jansson(void) { return jansson_version_str(); }
