# precis::plugin_api, the headers; precis_add_plugin and precis_validate_plugin, the functions.
include("${CMAKE_CURRENT_LIST_DIR}/precis-plugin-api-targets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/PrecisPlugin.cmake")
